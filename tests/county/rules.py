"""The county's rules, read a second time and by other code: from the same tables, and from the documents by hand.

Nothing of the program is imported here.
"""

from __future__ import annotations

import csv
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

TABLES = Path(__file__).parents[2] / "zhenbao"
ORDER = ("RED", "ORANGE", "YELLOW", "BLUE", "GREEN")
# RULES 2.5, the table of urgencies, by hand: minutes to the first answer and to the report.
CLOCKS = {"RED": (5, 10), "ORANGE": (15, 30), "YELLOW": (120, 1440), "BLUE": (1440, 4320)}
LOOP = ("notified", "read-back", "handled", "recorded")


@dataclass(frozen=True, slots=True)
class Routed:
    """Where a visit goes."""

    urgency: str
    first: str
    """Specialty; empty: the archive."""
    second: str
    route: str


NOWHERE = Routed("GREEN", "", "", "")


@cache
def routes() -> tuple[dict[str, str], ...]:
    """The table of routes, as it stands in the file."""
    with (TABLES / "rules" / "routing.csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


@cache
def chains() -> dict[str, tuple[tuple[str, int, str], ...]]:
    """By urgency: clock, minutes, whom."""
    found: dict[str, list[tuple[str, int, str]]] = {urgency: [] for urgency in ORDER}
    with (TABLES / "rules" / "escalation.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found[row["urgency"]].append((row["clock"], int(row["after_min"]), row["to"]))
    return {urgency: tuple(rows) for urgency, rows in found.items()}


@cache
def toml(name: str) -> dict[str, Any]:
    """A table of the hub or of the rules."""
    return tomllib.loads((TABLES / name).read_text(encoding="utf-8"))


@cache
def late_after_min() -> float:
    """From which age on a critical reading is late."""
    return float(next(row for row in routes() if row["trigger_kind"] == "late")["late_above_min"])


def more_urgent(*urgencies: str) -> str:
    """The most urgent of some."""
    return min(urgencies, key=ORDER.index)


@cache
def route(found: tuple[tuple[str, str], ...], pain: str, age: int | None) -> Routed:
    """One case for a visit, by all that was found; the most urgent wins, then the row further up."""
    taken: dict[str, str] = {}
    for rule, urgency in found:
        if rule.endswith("?") or urgency == "GREEN":
            continue
        fitting = [row for row in routes() if _fits(row, rule, urgency, pain)] or [_only("unknown-rule")]
        for row in fitting:
            taken[row["route_id"]] = more_urgent(taken.get(row["route_id"], row["urgency"]), urgency)
    if pain == "yes":
        taken.setdefault(_only("chest-pain")["route_id"], _only("chest-pain")["urgency"])
    if not taken:
        open_question = any(rule.endswith("?") and urgency != "GREEN" for rule, urgency in found)
        row = _only("undetermined" if open_question else "normal")
        taken[row["route_id"]] = row["urgency"]
    place = {row["route_id"]: n for n, row in enumerate(routes())}
    first = min(taken, key=lambda r: (ORDER.index(taken[r]), place[r]))
    old = _only("elderly")
    yellow = sum(urgency == "YELLOW" for urgency in taken.values())
    if taken[first] == "YELLOW" and yellow >= int(old["yellow_from"]) and (age or 0) >= int(old["age_from_years"]):
        return Routed("YELLOW", old["first_specialty"], old["second_specialty"], old["route_id"])
    row = next(row for row in routes() if row["route_id"] == first)
    return Routed(taken[first], row["first_specialty"], row["second_specialty"], first)


def _only(kind: str) -> dict[str, str]:
    return next(row for row in routes() if row["trigger_kind"] == kind)


def _fits(row: dict[str, str], rule: str, urgency: str, pain: str) -> bool:
    if rule not in row["trigger_rules"].split(";") or (row["if_urgency"] and row["if_urgency"] != urgency):
        return False
    # Nobody asked: the worse is taken.
    return not row["if_chest_pain"] or row["if_chest_pain"] == ("no" if pain == "no" else "yes")


@dataclass(slots=True)
class Duty:
    """Who is called, by the roster of now."""

    desk_phone: str
    emergency: str = "emergency"
    duty: list[Any] = field(default_factory=list)
    contact: list[Any] = field(default_factory=list)

    def first(self, specialty: str, urgency: str, at_ms: int) -> str:
        """Whose case it becomes; empty: the desk finds somebody."""
        row = self._on(specialty, at_ms)
        if row is None and urgency in ("RED", "ORANGE"):
            row = self._on(self.emergency, at_ms)
        return row[1] if row else ""

    def call(self, to: str, specialty: str, org: str, at_ms: int) -> tuple[str | None, str]:
        """Login and telephone of a step; where nobody is named, the desk's."""
        if to == "second-line":
            row = self._on(specialty, at_ms) or self._on(self.emergency, at_ms)
            return (row[2], f"1-{row[2]}") if row and row[2] else (None, self.desk_phone)
        if to == "desk":
            return None, self.desk_phone
        township = org.partition("-")[0]
        for of in ((org, township, "county"), ("",)):
            for what, where, of_specialty, login in self.contact:
                if what == to and where in of and of_specialty in ("", specialty):
                    return (login or None), f"2-{login}"
        return None, self.desk_phone

    def _on(self, specialty: str, at_ms: int) -> Any:
        minute = (at_ms // 60_000 + 480) % 1440
        for row in self.duty:
            if row[0] == specialty and _covers(row[3], minute):
                return row
        return None


def _covers(hours: str, minute: int) -> bool:
    if not hours:
        return True
    start, end = (int(text[:2]) * 60 + int(text[3:]) for text in hours.split("-"))
    return start <= minute < end if start < end else minute >= start or minute < end
