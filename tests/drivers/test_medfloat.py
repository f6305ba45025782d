"""SFLOAT and FLOAT against other people's vectors."""

import math
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao.drivers.medfloat import Special, medfloat32, sfloat

VECTORS = tomllib.loads((Path(__file__).parents[1] / "vectors" / "sfloat.toml").read_text(encoding="utf-8"))["vector"]
SPECIALS = {
    "nan": Special.NAN,
    "nres": Special.NRES,
    "plus-infinity": Special.PLUS_INFINITY,
    "minus-infinity": Special.MINUS_INFINITY,
    "reserved": Special.RESERVED,
}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['type']} {v['raw']}")
def test_agrees_with_other_projects(vector: dict[str, object]) -> None:
    raw = int.from_bytes(bytes.fromhex(str(vector["raw"])), "little")
    decoded = (sfloat if vector["type"] == "sfloat" else medfloat32)(raw)
    if "special" in vector:
        assert decoded is SPECIALS[str(vector["special"])]
    else:
        assert float(decoded) == vector["value"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("raw", "printed"),
    [
        pytest.param(0x0078, "120", id="what a wrong bias would read as 0.0000012"),
        pytest.param(0x100C, "120", id="12e1"),
        pytest.param(0xB05A, "0.00090", id="90 mg/dL in kg/L"),
        pytest.param(0xF800 | 0x03, "-204.5", id="the least mantissa"),
        pytest.param(0x77FD, "20450000000", id="the greatest number"),
    ],
)
def test_numbers_are_exact(raw: int, printed: str) -> None:
    assert sfloat(raw) == Decimal(printed)


@pytest.mark.parametrize("mantissa", [0x7FE, 0x7FF, 0x800, 0x801, 0x802])
@pytest.mark.parametrize("exponent", range(1, 16))
def test_a_special_mantissa_is_never_a_number(mantissa: int, exponent: int) -> None:
    assert sfloat(exponent << 12 | mantissa) is Special.RESERVED


@given(st.integers(0, 0xFFFF))
def test_every_number_has_the_value_of_its_parts(raw: int) -> None:
    decoded = sfloat(raw)
    mantissa, exponent = raw & 0xFFF, raw >> 12
    mantissa -= 0x1000 * (mantissa > 0x7FF)
    exponent -= 16 * (exponent > 7)
    if isinstance(decoded, Special):
        assert mantissa in (2046, 2047, -2048, -2047, -2046)
    else:
        assert math.isclose(float(decoded), mantissa * 10.0**exponent, rel_tol=1e-12)


@pytest.mark.parametrize("raw", [-1, 0x10000])
def test_more_than_16_bits_is_our_mistake(raw: int) -> None:
    with pytest.raises(ValueError, match="16-bit"):
        sfloat(raw)
