"""Reference values of flows, worked out by hand from the printed equations."""

from __future__ import annotations

import pytest

from zhenbao.model.errors import InputError
from zhenbao.signal.spirometry import flow_reference, interpret, reference


def test_a_man_of_45_years_and_175_cm() -> None:
    found = flow_reference("eccs1993", sex="M", age_years=45, height_cm=175)
    # 5.46 * 1.75 - 0.029 * 45 - 0.47; 3.79 * 1.75 - 0.031 * 45 - 0.35; 2.61 * 1.75 - 0.026 * 45 - 1.34
    assert [round(found[name].predicted, 4) for name in ("FEF25", "FEF50", "FEF75")] == [7.78, 4.8875, 2.0575]
    assert found["FEF50"].lln == pytest.approx(4.8875 - 1.645 * 1.32)
    assert found["FEF50"].z(4.8875 - 1.32) == pytest.approx(-1)
    assert found["FEF50"].equation == "eccs1993"


def test_a_woman_and_the_young() -> None:
    found = flow_reference("eccs1993", sex="female", age_years=60, height_cm=158)
    assert found["FEF75"].predicted == pytest.approx(1.05 * 1.58 - 0.025 * 60 + 1.11)
    young = flow_reference("eccs1993", sex="F", age_years=18, height_cm=158)
    assert young == flow_reference("eccs1993", sex="F", age_years=25, height_cm=158)


@pytest.mark.parametrize("age", [17.9, 70.1])
def test_outside_its_ages_there_is_none(age: float) -> None:
    assert flow_reference("eccs1993", sex="M", age_years=age, height_cm=170) == {}


def test_an_unknown_equation_is_named() -> None:
    with pytest.raises(InputError, match="reference-equation"):
        flow_reference("other", sex="M", age_years=40, height_cm=170)


def test_with_flows_the_class_can_be_told() -> None:
    person = {"sex": "M", "age_years": 45.0, "height_cm": 175.0}
    own = reference("jian2017", **person)
    values = {"fev1_l": own["FEV1"].m, "fvc_l": own["FVC"].m, "mmef_l_s": own["MMEF"].m}
    flows = flow_reference("eccs1993", **person)
    assert interpret(references=own, **values, fef50_l_s=4.5, fef75_l_s=1.9).cn5_class == "cannot-say"
    both = {**flows, **own}
    assert interpret(references=both, **values, fef50_l_s=4.5, fef75_l_s=1.9).cn5_class == "normal"
    assert interpret(references=both, **values, fef50_l_s=2.5, fef75_l_s=1.0).cn5_class == "small-airway"
