"""Names that others gave: codes of quantities (LOINC, MDC) and medical specialties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from zhenbao.rules.table import Bilingual, read_csv


@dataclass(frozen=True, slots=True)
class Code:
    """One row of ``codes.csv``: only codes that were read in a source (LOINC's notice: docs/clinical/rules.md)."""

    key: str
    name: Bilingual
    unit: str
    """UCUM; empty where it has none."""
    loinc: str | None
    mdc: int | None
    """IEEE 11073-10101 code: partition in the upper 16 bits, term in the lower."""
    source: str


@dataclass(frozen=True, slots=True)
class Specialty:
    """Who answers. ``kind`` is ``department``, ``role``, or ``relation`` (to be resolved against the case)."""

    key: str
    name: Bilingual
    kind: str


@cache
def _codes() -> Mapping[str, Code]:
    return MappingProxyType(
        {
            row["key"]: Code(
                row["key"],
                Bilingual(row["name_zh"], row["name_en"]),
                row["unit"],
                row["loinc"] or None,
                int(row["mdc"]) if row["mdc"] else None,
                row["source"],
            )
            for row in read_csv("codes.csv")
        }
    )


def codes(key: str) -> Code:
    """The codes of a quantity or document (``bp_systolic``, ``fev1``, ``report_ecg``...).

    Capillary glucose has one key per unit: ``glucose_capillary`` (mmol/L) and ``glucose_capillary_mass`` (mg/dL).

    Raises:
        KeyError: no code was read in a source for this key.
    """
    return _codes()[key]


@cache
def specialties() -> Mapping[str, Specialty]:
    """All specialties by key."""
    return MappingProxyType(
        {
            row["key"]: Specialty(row["key"], Bilingual(row["name_zh"], row["name_en"]), row["kind"])
            for row in read_csv("specialties.csv")
        }
    )
