"""Records of kits from before a field existed are read as what they were."""

import msgspec
import pytest

from zhenbao.model.spirometry import Interpretation, Reference, Session, SpirometryAnalysis

OLD = {
    "blows": [],
    "session": {
        "fev1_grade": "A",
        "fvc_grade": "A",
        "fev1_l": 2.0,
        "fvc_l": 2.6,
        "fev1_fvc": 0.77,
        "fev1_repeatability_l": 0.05,
        "fvc_repeatability_l": 0.05,
        "best_blow": 0,
        "more_blows": 0,
    },
    "equation": "jian2017",
    "references": {"FEV1": {"l": 1.0, "m": 2.6, "s": 0.15, "predicted": 2.6, "lln": 1.96, "uln": 3.24}},
    "interpretation": {
        "ats2021_pattern": "normal",
        "ats2021_severity": None,
        "cn5_class": "unclassified",
        "cn5_severity": None,
        "small_airway": "cannot-say",
        "gold": None,
        "prism": True,
        "decided_by": {"fev1_percent_predicted": 76.9},
    },
    "findings": [],
    "limits": ["screening-only"],
}


def test_an_older_record_does_not_claim_what_it_did_not_keep() -> None:
    found = msgspec.convert(OLD, SpirometryAnalysis)
    assert found.interpretation is not None
    assert found.interpretation.shown_class == "unclassified"
    assert (found.equation_chosen, found.post_bronchodilator, found.age_years, found.sex) == (None, None, None, "")
    assert found.references["FEV1"].equation == ""
    assert isinstance(found.session, Session)


def test_a_record_comes_back_as_it_was_sent() -> None:
    interpretation = Interpretation(
        "non-specific", "mild", "normal", None, "no", None, True, {"fev1_z": -2.0}, "gli2012", "NEAsia", "unclassified"
    )
    assert interpretation.shown_class == "unclassified"
    found = SpirometryAnalysis(
        (),
        msgspec.convert(OLD["session"], Session),
        "gli2012",
        {"FEV1": Reference(1.0, 2.6, 0.15, 2.6, 1.96, 3.24, "gli2012", "NEAsia")},
        interpretation,
        (),
        ("screening-only",),
        "NEAsia",
        True,
        "F",
        61.5,
        158.0,
        False,
    )
    assert msgspec.convert(msgspec.to_builtins(found), SpirometryAnalysis) == found


@pytest.mark.parametrize("measured", [0.8, 2.0, 4.5])
def test_z_and_percent_of_a_reference(measured: float) -> None:
    # L = 1: a plain normal distribution.
    found = Reference(1.0, 2.5, 0.2, 2.5, 1.68, 3.32)
    assert found.z(measured) == pytest.approx((measured - 2.5) / 0.5)
    assert found.percent(measured) == pytest.approx(measured * 40)
