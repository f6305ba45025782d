"""A device's own results compared: the record of a real device first, then each way in which one can be wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from zhenbao.formats.read_summary import read_summaries
from zhenbao.model.errors import InputError
from zhenbao.model.spirometry_summary import SpirometrySummary, SummaryAnalysis, SummaryConflict, SummaryValue
from zhenbao.signal.spirometry import reference
from zhenbao.signal.spirometry.summary import analyse_summary, device_grade
from zhenbao.signal.spirometry.tables import settings
from zhenbao.words import LANGUAGES, catalogue

VECTORS = Path(__file__).resolve().parents[2] / "vectors"


@pytest.fixture(scope="module")
def xeek() -> SpirometrySummary:
    (summary,) = read_summaries((VECTORS / "summary_xeek.json").read_bytes())
    return summary


@pytest.fixture
def sound() -> SpirometrySummary:
    """A man of 50 years and 170 cm at 90 % of Jian 2017, sent with that equation's own numbers."""
    known = reference("jian2017", sex="male", age_years=50, height_cm=170)
    fev1, fvc = 0.9 * known["FEV1"].predicted, 0.9 * known["FVC"].predicted
    ratio = 100 * fev1 / fvc
    lines = {"FVC": (fvc, "L"), "FEV1": (fev1, "L"), "FEV1FVC": (ratio, "%")}
    values = {
        name: SummaryValue(
            measured=measured,
            unit=unit,
            predicted=known[name].predicted,
            lln=known[name].lln,
            percent_predicted=known[name].percent(measured),
            z=round(known[name].z(measured), 2),
        )
        for name, (measured, unit) in lines.items()
    }
    return SpirometrySummary(
        "xeek-json",
        values,
        {"fvc": "A", "fev1": "A"},
        "通气功能正常",
        "Jian 2017",
        sex="male",
        age_years=50,
        height_cm=170,
        stage="pre",
    )


def with_line(summary: SpirometrySummary, name: str, **changes: object) -> SpirometrySummary:
    line = replace(summary.values.get(name, SummaryValue(None, "")), **changes)  # type: ignore[arg-type]
    return replace(summary, values={**summary.values, name: line})


def codes(analysis: SummaryAnalysis, parameter: str | None = None) -> set[str]:
    return {c.code for c in analysis.conflicts if parameter in (None, c.parameter)}


def one(analysis: SummaryAnalysis, code: str) -> SummaryConflict:
    (found,) = [c for c in analysis.conflicts if c.code == code]
    return found


def test_a_record_called_mild_restrictive_is_mixed_and_severe(xeek: SpirometrySummary) -> None:
    analysis = analyse_summary(xeek)
    assert (analysis.label.class_, analysis.label.severity, analysis.label.small_airway) == (
        "restrictive",
        "mild",
        True,
    )
    assert (analysis.device_class, analysis.device_severity) == ("mixed", "severe")
    assert analysis.interpretation is not None
    assert (analysis.interpretation.cn5_class, analysis.interpretation.cn5_severity) == ("mixed", "severe")
    for against in ("device", "ours"):
        assert one(analysis, f"label-class-{against}") == SummaryConflict(
            f"label-class-{against}", told="restrictive", found="mixed"
        )
        assert one(analysis, f"label-severity-{against}").found == "severe"
    assert {"SP05", "SP13"} <= {f.rule_id for f in analysis.findings}


def test_both_references_stand_side_by_side(xeek: SpirometrySummary) -> None:
    values = {v.parameter: v for v in analyse_summary(xeek).values}
    fvc, fev1, ratio = values["FVC"], values["FEV1"], values["FEV1FVC"]
    assert (fvc.device_predicted, fvc.device_percent, fvc.device_z) == (2.459, 69.8, -2.5)
    # By the published tables: FVC 2.976 L for a woman of 69.4 years and 166 cm, z of FEV1 -5.5.
    assert fvc.predicted == pytest.approx(2.976, abs=0.005)
    assert fev1.z == pytest.approx(-5.5, abs=0.05)
    assert ratio.unit == "1" and ratio.predicted == pytest.approx(0.77, abs=0.01)
    assert analyse_summary(xeek).fev1_fvc == pytest.approx(0.920 / 1.716)


def test_pseudo_z_fixed_limits_and_a_cut_z_are_seen(xeek: SpirometrySummary) -> None:
    analysis = analyse_summary(xeek)
    assert codes(analysis, "FVC") == {"lln-fixed", "pseudo-z", "predicted-differs"}
    assert codes(analysis, "FEV1FVC") == {"lln-fixed", "pseudo-z"}
    assert codes(analysis, "PEF") == {"lln-fixed", "z-cut"}
    assert one(analysis, "z-cut").numbers["line"] == pytest.approx(1.645 * (1.991 - 6.109) / (6.109 - 4.887))
    assert one(analysis, "equation-code").told == "1"
    differs = {c.parameter: round(c.numbers["percent"]) for c in analysis.conflicts if c.code == "predicted-differs"}
    assert differs == {"FVC": -17, "FEV1": -14}


def test_without_curves_there_is_no_grade_of_ours(xeek: SpirometrySummary) -> None:
    analysis = analyse_summary(xeek)
    assert analysis.device_grade == "B"
    assert "summary-no-curve" in analysis.limits and "screening-only" in analysis.limits
    assert not hasattr(analysis, "fev1_grade")


def test_a_sound_summary_has_no_conflict(sound: SpirometrySummary) -> None:
    analysis = analyse_summary(sound)
    assert analysis.conflicts == ()
    assert analysis.interpretation is not None and analysis.interpretation.cn5_class == "cannot-say"
    assert {v.parameter: v.z for v in analysis.values}["FVC"] == pytest.approx(sound.values["FVC"].z, abs=0.01)


def test_ndd_of_another_equation(sound: SpirometrySummary) -> None:
    """Limits near 80 % of predicted, as an older equation has them, and no z: nothing is called fake."""
    (summary,) = read_summaries((VECTORS / "summary_ndd.xml").read_bytes())
    analysis = analyse_summary(summary, equation="gli2012", ethnicity="Caucasian")
    assert not codes(analysis) & {"pseudo-z", "z-cut", "order", "ratio-mismatch", "impossible", "unit-missing"}
    assert analysis.device_grade == "D"
    assert analysis.interpretation is not None and analysis.interpretation.cn5_class == "not-graded"
    assert "summary-device-quality-low" in analysis.limits


@pytest.mark.parametrize(
    ("name", "changes", "code"),
    [
        ("FVC", {"unit": ""}, "unit-missing"),
        ("FVC", {"unit": "gallon"}, "unit-unknown"),
        ("FVC", {"unit": "L/s"}, "unit-unknown"),
        ("FVC", {"measured": 3600.0}, "unit-mistaken"),
        ("FVC", {"unit": "mL"}, "unit-mistaken"),
        ("PEF", {"measured": 366.0, "unit": "L/s"}, "unit-mistaken"),
        ("PEF", {"measured": 6.1, "unit": "L/min"}, "unit-mistaken"),
        ("FVC", {"measured": 14.0}, "impossible"),
        ("FVC", {"measured": -1.0}, "impossible"),
        ("FEV1FVC", {"measured": 130.0, "percent_predicted": None}, "impossible"),
        ("FEV1FVC", {"measured": 60.0, "percent_predicted": None}, "ratio-mismatch"),
        ("FVC", {"percent_predicted": 75.0}, "percent-mismatch"),
        ("FVC", {"predicted": 2.5, "percent_predicted": None}, "predicted-differs"),
        ("FEF75", {"measured": 3.0, "unit": "L/s"}, None),
    ],
)
def test_each_way_to_be_wrong_has_its_flag(
    sound: SpirometrySummary, name: str, changes: dict[str, object], code: str | None
) -> None:
    found = codes(analyse_summary(with_line(sound, name, **changes)), name)
    assert found == ({code} if code else set())


def test_what_a_mistaken_unit_would_be_is_named_and_nothing_is_corrected(sound: SpirometrySummary) -> None:
    analysis = analyse_summary(with_line(sound, "FVC", measured=3600.0))
    assert one(analysis, "unit-mistaken").found == "ml"
    assert {v.parameter: v.measured for v in analysis.values}["FVC"] is None
    assert analysis.interpretation is None
    assert "summary-no-fev1-fvc" in analysis.limits


def test_millilitres_and_litres_a_minute_are_converted_where_they_are_said(sound: SpirometrySummary) -> None:
    litres = sound.values["FVC"]
    assert litres.measured is not None and litres.predicted is not None and litres.lln is not None
    in_ml = {"measured": 1000 * litres.measured, "predicted": 1000 * litres.predicted, "lln": 1000 * litres.lln}
    changed = with_line(with_line(sound, "FVC", unit="mL", **in_ml), "PEF", measured=480.0, unit="L/min")
    analysis = analyse_summary(changed)
    assert analysis.conflicts == ()
    values = {v.parameter: v for v in analysis.values}
    assert values["FVC"].measured == pytest.approx(litres.measured)
    assert values["PEF"].measured == pytest.approx(8.0)


def test_more_in_the_first_second_than_in_all_is_no_class(sound: SpirometrySummary) -> None:
    fvc = sound.values["FVC"].measured
    assert fvc is not None
    analysis = analyse_summary(with_line(sound, "FEV1", measured=fvc + 0.3, percent_predicted=None))
    assert one(analysis, "order").numbers["other"] == fvc
    assert analysis.interpretation is None and "summary-contradicts-itself" in analysis.limits
    rounded = analyse_summary(with_line(sound, "FEV1", measured=fvc + 0.01, percent_predicted=None))
    assert "order" not in codes(rounded), "two decimals of two blows may meet"


def test_a_true_z_is_not_called_fake_though_one_limit_is_near_80_per_cent(sound: SpirometrySummary) -> None:
    predicted = sound.values["FVC"].predicted
    assert predicted is not None
    analysis = analyse_summary(with_line(sound, "FVC", lln=0.8 * predicted))
    assert codes(analysis) == set()


@pytest.mark.parametrize(("equation", "code"), [(None, "equation-missing"), ("7", "equation-code"), ("ECSC", None)])
def test_the_equation_must_have_a_name(sound: SpirometrySummary, equation: str | None, code: str | None) -> None:
    assert codes(analyse_summary(replace(sound, equation=equation))) == ({code} if code else set())


def test_words_against_numbers(sound: SpirometrySummary) -> None:
    analysis = analyse_summary(replace(sound, label="重度阻塞性通气功能障碍"))
    assert codes(analysis) == {"label-class-device", "label-class-ours"}
    small = analyse_summary(replace(sound, label="小气道功能障碍"))
    assert codes(small) == set(), "without the flows nobody can say"
    unknown = analyse_summary(replace(sound, label="无阻塞性通气功能障碍"))
    assert codes(unknown) == {"label-unread"}


@pytest.mark.parametrize(("field", "limit"), [("sex", "no-sex"), ("age_years", "no-age"), ("height_cm", "no-height")])
def test_without_the_person_only_the_device_is_checked(sound: SpirometrySummary, field: str, limit: str) -> None:
    analysis = analyse_summary(replace(sound, label="限制性", **{field: None}))
    assert analysis.interpretation is None and limit in analysis.limits
    assert codes(analysis) == {"label-class-device"}


def test_what_the_caller_knows_goes_before_the_file(sound: SpirometrySummary) -> None:
    analysis = analyse_summary(sound, height_cm=150)
    assert codes(analysis) == {"predicted-differs"}
    with pytest.raises(InputError, match="reference-equation"):
        analyse_summary(sound, equation="ecsc")


def test_before_after_or_unsaid_bronchodilator(sound: SpirometrySummary) -> None:
    assert "before-bronchodilator" in analyse_summary(sound).limits
    assert "summary-stage-unknown" in analyse_summary(replace(sound, stage=None)).limits
    after = analyse_summary(replace(sound, stage="post"))
    assert not {"before-bronchodilator", "summary-stage-unknown"} & set(after.limits)


@pytest.mark.parametrize(
    ("quality", "grade"),
    [
        ({"fvc": "B", "fev1": "A"}, "B"),
        ({"session": "综合质控结果：D级"}, "D"),
        ({"session": "D1"}, "D"),
        ({"session": "U"}, "U"),
        ({"session": "acceptable"}, None),
        ({"session": "FVC"}, None),
        ({}, None),
    ],
)
def test_the_devices_own_letter(quality: dict[str, str], grade: str | None) -> None:
    assert device_grade(quality) == grade


def test_every_conflict_and_limit_has_words_and_every_limit_a_source(xeek: SpirometrySummary) -> None:
    for language in LANGUAGES:
        words = catalogue(language)
        for conflict in analyse_summary(xeek).conflicts:
            assert f"summary_conflict.{conflict.code}" in words
        for limit in analyse_summary(xeek).limits:
            assert f"summary_limit.{limit}" in words or f"spirometry_limit.{limit}" in words
    table = settings("summary")
    assert all(table[name]["source"] for name in ("mistaken", "order", "ratio", "percent", "predicted", "pseudo_z"))
    assert table["possible_source"]["source"] and settings("labels")["source"]
