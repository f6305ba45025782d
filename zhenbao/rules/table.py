"""The clinical rules as rows, and the clocks of each urgency.

``thresholds.csv`` is the only place where a clinical number is written for people. A row is versioned with the
program, shows its source, and is changed only by a named clinician (see docs/clinical/rules.md).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from zhenbao.model.finding import Urgency


@dataclass(frozen=True, slots=True)
class Bilingual:
    """A text in Chinese and English; call it with a locale name (``zh_CN``, ``en``, ``en_GB.UTF-8``)."""

    zh: str
    en: str

    def __call__(self, language: str) -> str:
        return self.en if language.lower().startswith("en") else self.zh


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of ``thresholds.csv``; the texts of its cells are for people, not for parsing."""

    rule_id: str
    domain: str
    """``bp glucose ecg spirometry spo2 resp news2 chestpain sla``."""
    urgency: Urgency | None
    """None for rows that define how to measure, to compute or to follow up."""
    label: Bilingual
    """What a doctor or a patient may read. Where the name of the category would say too much (one visit is never
    hypertension), this is the guarded wording; see ``name``."""
    name: Bilingual
    """The category as the source calls it."""
    action: Bilingual
    """What to do; empty where the row says nothing beyond its route's village action."""
    parameter: str
    applies_to: str
    comparator: str
    value: str
    unit: str
    value_alt: str
    unit_alt: str
    condition: str
    on_device: str
    evidence: str
    """``found`` (read in the source), ``memory`` (the original was not read), ``design`` (our proposal), or a mix."""
    confidence: str
    source: str
    note: str


@dataclass(frozen=True, slots=True)
class Clocks:
    """How fast a case of one urgency must be answered, in minutes after the hub received it; None: no clock."""

    urgency: Urgency
    ack_min: int | None
    report_min: int | None
    escalate_min: int | None
    """Without an acknowledgement after this long, the next person is called."""
    source: str


def read_csv(name: str) -> list[dict[str, str]]:
    """The rows of one of this package's own tables."""
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def parse_rules(rows: Iterable[Mapping[str, str]]) -> Mapping[str, Rule]:
    """Rules by id, in the table's order.

    Raises:
        ValueError: naming every row that has no source or no label, or whose id stands twice.
    """
    rules: dict[str, Rule] = {}
    wrong: list[str] = []
    for row in rows:
        rule_id = row["rule_id"]
        if rule_id in rules:
            wrong.append(f"{rule_id} stands twice")
        if not row["source"].strip():
            wrong.append(f"{rule_id} has no source")
        if not (row["label_zh"] and row["label_en"]):
            wrong.append(f"{rule_id} has no label")
        name = Bilingual(row["label_zh"], row["label_en"])
        shown = Bilingual(row["shown_zh"] or name.zh, row["shown_en"] or name.en)
        rules[rule_id] = Rule(
            rule_id=rule_id,
            urgency=None if row["urgency"] == "-" else Urgency(row["urgency"]),
            label=shown,
            name=name,
            action=Bilingual(row["action_zh"], row["action_en"]),
            **{
                column: row[column]
                for column in (
                    "domain", "parameter", "applies_to", "comparator", "value", "unit", "value_alt", "unit_alt",
                    "condition", "on_device", "evidence", "confidence", "source", "note",
                )
            },
        )  # fmt: skip
    if wrong:
        raise ValueError("thresholds.csv: " + "; ".join(wrong))
    return MappingProxyType(rules)


@cache
def rules_by_id() -> Mapping[str, Rule]:
    """Every rule by id, in the table's order."""
    return parse_rules(read_csv("thresholds.csv"))


def rule(rule_id: str) -> Rule:
    """One rule.

    Raises:
        KeyError: there is no such row.
    """
    return rules_by_id()[rule_id]


def all_rules() -> tuple[Rule, ...]:
    """Every rule, in the table's order."""
    return tuple(rules_by_id().values())


@cache
def _clocks() -> Mapping[Urgency, Clocks]:
    clocks: dict[Urgency, Clocks] = {}
    for row in all_rules():
        if row.domain == "sla" and row.parameter.startswith("urgency ") and row.urgency is not None:
            found = re.fullmatch(r"ack (\d*) / report (\d*) / escalate (\d*)", row.value)
            if found is None:
                raise ValueError(f"thresholds.csv: {row.rule_id}: no clocks in {row.value!r}")
            ack, report, escalate = (int(digits) if digits else None for digits in found.groups())
            clocks[row.urgency] = Clocks(row.urgency, ack, report, escalate, row.source)
    if missing := [urgency for urgency in Urgency if urgency not in clocks]:
        raise ValueError(f"thresholds.csv: no clocks for {', '.join(missing)}")
    return MappingProxyType(clocks)


def clocks(urgency: Urgency) -> Clocks:
    """The clocks of an urgency (rows SL01 to SL05)."""
    return _clocks()[urgency]
