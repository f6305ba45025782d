"""Reference values at their edges: ages, heights, groups, and many people at once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao.model.errors import InputError
from zhenbao.model.spirometry import EQUATIONS, Reference
from zhenbao.signal.spirometry import reference, reference_arrays

RANGES = {"gli2012": (3.0, 95.0), "gli2022": (3.0, 95.0), "jian2017": (4.0, 80.0)}


@pytest.mark.parametrize("equation", EQUATIONS)
def test_both_ends_of_the_age_range_belong_to_it(equation: str) -> None:
    for age, beyond in zip(RANGES[equation], (-math.inf, math.inf), strict=True):
        found = reference(equation, sex="F", age_years=age, height_cm=150.0)
        assert all(math.isfinite(r.lln) and r.lln < r.predicted < r.uln for r in found.values())
        for age_ in (math.nextafter(age, beyond), age + math.copysign(0.01, beyond)):
            with pytest.raises(InputError, match="reference-age"):
                reference(equation, sex="F", age_years=age_, height_cm=150.0)


@pytest.mark.parametrize("equation", EQUATIONS)
def test_the_error_of_an_age_names_the_equation_and_its_range(equation: str) -> None:
    with pytest.raises(InputError) as refused:
        reference(equation, sex="M", age_years=2.0, height_cm=90.0)
    least, most = RANGES[equation]
    assert (refused.value.facts["least"], refused.value.facts["most"]) == (least, most)
    assert str(refused.value.facts["equation"]).startswith(("GLI", "Jian"))


@pytest.mark.parametrize("height_cm", [50.0, 250.0])
def test_both_ends_of_the_heights_belong_to_them(height_cm: float) -> None:
    assert reference("gli2022", sex="M", age_years=30.0, height_cm=height_cm)
    for beyond in (math.nextafter(height_cm, math.inf if height_cm > 100 else -math.inf), math.nan, -170.0, math.inf):
        with pytest.raises(InputError, match="reference-height"):
            reference("gli2022", sex="M", age_years=30.0, height_cm=beyond)


def test_gli_moves_between_its_rows_and_jian_stands_until_the_next() -> None:
    def predicted(equation: str, *ages: float) -> list[float]:
        return [reference(equation, sex="F", age_years=age, height_cm=150.0)["FVC"].m for age in ages]

    # Jian's row of 10.0 years holds until 10.2: inside it only ln(age) moves, at its end the spline jumps.
    before, last, first = predicted("jian2017", 10.1998, 10.1999, 10.2)
    assert abs(first - last) > 10 * abs(last - before)
    before, last, first = predicted("gli2022", 10.2498, 10.2499, 10.25)
    assert abs(first - last) < 1.2 * abs(last - before)


@pytest.mark.parametrize("age", [4.2, 17.4, 20.6, 47.8, 79.6])
def test_an_age_on_a_row_of_jian_takes_that_row(age: float) -> None:
    exact, above = (reference("jian2017", sex="M", age_years=a, height_cm=160.0)["FVC"].m for a in (age, age + 1e-4))
    assert exact == pytest.approx(above, rel=1e-5)


def test_a_person_without_a_limit_of_normal_has_none() -> None:
    # A child of four and 2.5 m: the formula would take a root of a negative number.
    found = reference("jian2017", sex="M", age_years=4.0, height_cm=250.0)["FEV1FVC"]
    assert math.isnan(found.lln)
    many = reference_arrays("jian2017", sex=["M"], age_years=[4.0], height_cm=[250.0])["FEV1FVC"]
    assert np.isnan(many.lln[0])


def test_flows_beyond_their_age_are_nan_among_many() -> None:
    found = reference_arrays("gli2012", sex=["F", "M"], age_years=[90.5, 60.0], height_cm=[150.0, 170.0])
    assert np.isnan(found["FEF75"].m).tolist() == [True, False]
    assert np.isfinite(found["FVC"].m).all()
    assert np.isnan(found["FEF75"].z([0.5, 0.5])).tolist() == [True, False]


WHO: dict[str, Any] = {"sex": ["M", "F"], "age_years": [50.0, 60.0], "height_cm": [170.0, 158.0]}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"sex": ["M", "?"]}, "reference-sex"),
        ({"age_years": [50.0, 80.1]}, "reference-age"),
        ({"age_years": [50.0, math.nan]}, "reference-age"),
        ({"height_cm": [170.0, 1.58]}, "reference-height"),
    ],
)
def test_one_wrong_person_among_many_is_refused(change: dict[str, Any], code: str) -> None:
    with pytest.raises(InputError, match=code):
        reference_arrays("jian2017", **{**WHO, **change})


def test_arrays_must_fit_together() -> None:
    for change in ({"sex": ["M"]}, {"age_years": [50.0]}, {"ethnicity": ["NEAsia"]}):
        with pytest.raises(ValueError, match="one"):
            reference_arrays("gli2012", **{**WHO, **change})
    with pytest.raises(InputError, match="reference-ethnicity"):
        reference_arrays("gli2012", **WHO, ethnicity=["NEAsia", "Martian"])
    with pytest.raises(InputError, match="reference-equation"):
        reference_arrays("knudson", **WHO)


def test_groups_may_differ_among_many() -> None:
    found = reference_arrays("gli2012", **WHO, ethnicity=["NEAsia", "Caucasian"])["FEV1"]
    one = reference("gli2012", sex="F", age_years=60.0, height_cm=158.0, ethnicity="Caucasian")["FEV1"]
    assert found.m[1] == pytest.approx(one.m, rel=1e-12)
    assert found.groups == ("NEAsia", "Caucasian")
    same = reference_arrays("gli2012", **WHO)["FEV1"]
    assert same.groups == ("Other", "Other")
    nobody = reference_arrays("gli2022", sex=[], age_years=[], height_cm=[])
    assert all(r.m.shape == (0,) for r in nobody.values())


@given(
    equation=st.sampled_from(EQUATIONS),
    sex=st.sampled_from("MF"),
    age=st.floats(4, 80),
    height=st.floats(90, 210),
    z=st.floats(-4, 4),
)
def test_any_person_stands_where_the_limits_say(equation: str, sex: str, age: float, height: float, z: float) -> None:
    for found in reference(equation, sex=sex, age_years=age, height_cm=height).values():
        if math.isfinite(found.lln):
            assert found.z(found.lln) == pytest.approx(-1.645, abs=1e-9)
        assert found.z(found.uln) == pytest.approx(1.645, abs=1e-9)
        assert found.z(found.predicted) == pytest.approx(0.0, abs=1e-9)
        assert found.percent(found.predicted) == pytest.approx(100.0)
        base = 1 + z * found.l * found.s
        if base > 0:
            assert found.z(found.m * base ** (1 / found.l)) == pytest.approx(z, abs=1e-6)


def test_a_distribution_without_skew_is_log_normal() -> None:
    flat = Reference(0.0, 2.0, 0.1, 2.0, 1.7, 2.4)
    assert flat.z(2.0 * math.exp(0.1)) == pytest.approx(1.0)
