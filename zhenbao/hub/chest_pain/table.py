"""The table of the chest-pain channel, read and checked once."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

from zhenbao import rules
from zhenbao.model.chest_pain import MILESTONES, Milestone

Applies = Literal["all", "transferred", "either", "either-end"]


@dataclass(frozen=True, slots=True)
class Target:
    """How long something may take."""

    key: str
    starts: tuple[Milestone, ...]
    ends: tuple[Milestone, ...]
    limit_ms: int
    strict: bool
    """Less than the limit; False: not more."""
    applies: Applies
    percent: float | None
    """Of the cases that should meet it; None: the source names no share."""
    unless: Milestone | None
    """Not of cases that know this instant."""
    only_with: Milestone | None
    """Of no others."""
    rule_id: str
    source: str


@dataclass(frozen=True, slots=True)
class Table:
    """The whole table. Times in ms."""

    transit_ms: int
    told_ms: int
    live_ms: int
    changed_ms: int
    afterwards_ms: int
    furthest_back_ms: int
    may_write: tuple[Milestone, ...]
    targets: tuple[Target, ...]
    transmitted_percent: float


@functools.cache
def table() -> Table:
    """The table that comes with the program.

    Raises:
        KeyError, ValueError: it is not such a table.
    """
    raw: dict[str, Any] = tomllib.loads(
        files("zhenbao.hub.chest_pain").joinpath("table.toml").read_text(encoding="utf-8")
    )
    clock, people = raw["clock"], raw["people"]
    return Table(
        transit_ms=1000 * clock["transit_s"],
        told_ms=1000 * clock["told_s"],
        live_ms=1000 * clock["live_s"],
        changed_ms=1000 * clock["changed_s"],
        afterwards_ms=1000 * clock["afterwards_s"],
        furthest_back_ms=86_400_000 * people["furthest_back_days"],
        may_write=_milestones(people["may_write"]),
        targets=tuple(_target(key, row) for key, row in raw["target"].items()),
        transmitted_percent=float(rules.rule(raw["share"]["transmitted"]["rule"]).value),
    )


def _target(key: str, row: dict[str, Any]) -> Target:
    rule = rules.rule(row["rule"])
    if rule.unit != "min" or rule.comparator not in ("<", "<="):
        raise ValueError(f"table.toml: {key}: {rule.rule_id} is no limit in minutes")
    return Target(
        key,
        _milestones(row["from"]),
        _milestones(row["to"]),
        round(60_000 * float(rule.value)),
        rule.comparator == "<",
        row["applies"],
        row.get("percent"),
        row.get("unless"),
        row.get("only_with"),
        rule.rule_id,
        rule.source,
    )


def _milestones(names: list[str]) -> tuple[Milestone, ...]:
    known: dict[str, Milestone] = {name: name for name in MILESTONES}
    return tuple(known[name] for name in names)
