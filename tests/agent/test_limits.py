"""Limits of typing: data with a source, no narrower than what the rules judge, and the three ways to be refused."""

import re

import pytest

from zhenbao import rules
from zhenbao.agent.limits import OPTIONS, admit, limits, plausible
from zhenbao.model.errors import InputError
from zhenbao.model.quantity import Quantity
from zhenbao.words import LANGUAGES, Words


@pytest.mark.parametrize("key", sorted(limits()), ids=" ".join)
def test_a_limit_has_an_order_and_a_source(key: tuple[str, str]) -> None:
    limit = limits()[key]
    assert limit.possible[0] <= limit.plausible[0] < limit.plausible[1] <= limit.possible[1]
    assert len(limit.source) > 15
    assert limit.shown


def test_limits_that_a_rule_gives_are_the_rules() -> None:
    assert rules.rule("BP34").value == "50-280"
    assert limits()["bp_systolic", "mm[Hg]"].plausible == (50, 280)
    assert "脉压<10" in rules.rule("BP34").condition
    assert limits()["bp_pulse_pressure", "mm[Hg]"].plausible[0] == 10
    high, low = rules.rule("GL15"), rules.rule("GL16")
    assert limits()["glucose_capillary", "mmol/L"].plausible == (float(low.value), float(high.value))
    assert limits()["glucose_capillary", "mg/dL"].plausible == (float(low.value_alt), float(high.value_alt))
    assert re.search("0.6-35.0", low.note)
    assert limits()["glucose_capillary", "mmol/L"].possible == (0.6, 35.0)


@pytest.mark.parametrize(
    ("name", "value", "unit", "code"),
    [
        ("bp_systolic", 301, "mm[Hg]", "typed-impossible"),
        ("bp_systolic", 281, "mm[Hg]", "typed-implausible"),
        ("bp_systolic", 29, "mm[Hg]", "typed-impossible"),
        ("glucose_capillary", 140, "mmol/L", "typed-unit"),
        ("glucose_capillary", 7.8, "mg/dL", "typed-unit"),
        ("glucose_capillary", 34, "mmol/L", "typed-implausible"),
        ("glucose_capillary", 900, "mg/dL", "typed-impossible"),
        ("body_temperature", 98.6, "Cel", "typed-unit"),
        ("body_temperature", 38.4, "[degF]", "typed-unit"),
        ("body_temperature", 43, "Cel", "typed-implausible"),
        ("spo2", 101, "%", "typed-impossible"),
        ("spo2", 65, "%", "typed-implausible"),
        ("fvc", 3050, "L", "typed-impossible"),
    ],
)
def test_what_cannot_be_right_is_named(name: str, value: float, unit: str, code: str) -> None:
    with pytest.raises(InputError) as error:
        admit(name, Quantity(value, unit), sure=False)
    assert error.value.code == code
    for language in LANGUAGES:
        what, do = Words(language).error(error.value)
        assert f"{value:g}" in what
        assert "{" not in what + do
    if code == "typed-unit":
        assert error.value.facts["option"] in OPTIONS.values()


def test_sure_lets_the_implausible_in_and_never_the_impossible() -> None:
    assert admit("spo2", Quantity(65, "%"), sure=True)
    assert not admit("spo2", Quantity(96, "%"), sure=True)
    with pytest.raises(InputError):
        admit("spo2", Quantity(101, "%"), sure=True)
    with pytest.raises(InputError):
        admit("body_temperature", Quantity(98.6, "Cel"), sure=True)


def test_both_ends_are_inside() -> None:
    assert all(
        plausible(name, Quantity(end, unit)) for (name, unit), limit in limits().items() for end in limit.plausible
    )
