"""SFLOAT and FLOAT, the decimal numbers of medical devices.

Source: IEEE 11073-20601, annex F (SFLOAT-Type, FLOAT-Type); Bluetooth GATT Specification Supplement,
``medfloat16`` and ``medfloat32``. Value = mantissa * 10^exponent, kept as an exact ``Decimal``.
"""

from decimal import Decimal
from enum import Enum


class Special(Enum):
    """What a device sends where it has no number. A special value never becomes a number."""

    NAN = "not a number"
    NRES = "not at this resolution"
    PLUS_INFINITY = "+infinity"
    MINUS_INFINITY = "-infinity"
    RESERVED = "reserved"


def sfloat(raw: int) -> Decimal | Special:
    """Decode 16 bits: exponent in bits 15-12, mantissa in bits 11-0, both two's complement.

    A special mantissa with an exponent other than 0 is outside of the standard; it is ``RESERVED``, not a number.

    Raises:
        ValueError: ``raw`` is not an unsigned 16-bit number.
    """
    if not 0 <= raw <= 0xFFFF:
        raise ValueError(f"{raw} is not an unsigned 16-bit number")
    return _decimal(raw & 0xFFF, raw >> 12, mantissa_bits=12, exponent_bits=4)


def medfloat32(raw: int) -> Decimal | Special:
    """Decode 32 bits (FLOAT): exponent in bits 31-24, mantissa in bits 23-0, both two's complement.

    Raises:
        ValueError: ``raw`` is not an unsigned 32-bit number.
    """
    if not 0 <= raw <= 0xFFFFFFFF:
        raise ValueError(f"{raw} is not an unsigned 32-bit number")
    return _decimal(raw & 0xFFFFFF, raw >> 24, mantissa_bits=24, exponent_bits=8)


def _decimal(mantissa: int, exponent: int, *, mantissa_bits: int, exponent_bits: int) -> Decimal | Special:
    top = 1 << (mantissa_bits - 1)
    special = {
        top - 1: Special.NAN,
        top: Special.NRES,
        top - 2: Special.PLUS_INFINITY,
        top + 2: Special.MINUS_INFINITY,
        top + 1: Special.RESERVED,
    }.get(mantissa)
    if special is not None:
        return special if exponent == 0 else Special.RESERVED
    return Decimal(_signed(mantissa, mantissa_bits)).scaleb(_signed(exponent, exponent_bits))


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value
