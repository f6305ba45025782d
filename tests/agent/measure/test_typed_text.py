"""What people type: full-width digits, spaces, slips; anything else is refused by one error."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao.agent.measure.typed import _number, _pair
from zhenbao.model.errors import InputError


@pytest.mark.parametrize(
    ("text", "number"), [("38.4", 38.4), (" ３８．４ ", 38.4), ("38。4", 38.4), ("152", 152.0), ("007.80", 7.8)]
)
def test_numbers(text: str, number: float) -> None:
    assert _number(text, "1") == number


@pytest.mark.parametrize("text", ["152/94", "１５２／９４", " 152 / 94 "])
def test_pairs(text: str) -> None:
    assert _pair(text, "1/1") == (152.0, 94.0)


@pytest.mark.parametrize("text", ["", "x", "-5", "+5", "1e2", "nan", "inf", "36,5", "5.", ".5", "12345", "1 2"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(InputError) as error:
        _number(text, "7.8")
    assert error.value.code == "typed-form"
    assert error.value.facts["example"] == "7.8"


@pytest.mark.parametrize("text", ["", "152", "152/", "/94", "152/94/80", "152-94"])
def test_what_is_no_pair(text: str) -> None:
    with pytest.raises(InputError) as error:
        _pair(text, "152/94")
    assert error.value.facts["example"] == "152/94"


@given(st.text(max_size=12))
def test_any_text_is_a_finite_number_or_refused(text: str) -> None:
    number = None
    with contextlib.suppress(InputError):
        number = _number(text, "1")
    assert number is None or (math.isfinite(number) and number >= 0)
