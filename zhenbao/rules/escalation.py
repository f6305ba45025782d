"""Who is called when a clock runs out: ``escalation.csv`` says by urgency what the routes' chains say in words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from zhenbao.model.finding import Urgency
from zhenbao.rules.table import read_csv

ClockKind = Literal["late", "ack", "report", "deliver", "read", "loop"]
To = Literal["desk", "second-line", "shift-leader", "emergency-head", "township-head", "township-gp", "department-head"]


@dataclass(frozen=True, slots=True)
class Step:
    """One row: so long after its clock began, and while it runs, this person is called."""

    urgency: Urgency
    clock: ClockKind
    after_min: int
    to: To
    source: str

    @property
    def key(self) -> str:
        """Names the step for ever: ``ack-3-second-line``."""
        return f"{self.clock}-{self.after_min}-{self.to}"


@cache
def steps(urgency: Urgency) -> tuple[Step, ...]:
    """The steps of an urgency, by clock and minutes."""
    return tuple(step for step in _all() if step.urgency is urgency)


@cache
def _all() -> tuple[Step, ...]:
    parsed = []
    for row in read_csv("escalation.csv"):
        if row["clock"] not in get_args(ClockKind) or row["to"] not in get_args(To) or not row["source"]:
            raise ValueError(f"escalation.csv: {row}")
        parsed.append(
            Step(Urgency(row["urgency"]), row["clock"], int(row["after_min"]), row["to"], row["source"])  # type: ignore[arg-type]
        )
    if len({(step.urgency, step.key) for step in parsed}) != len(parsed):
        raise ValueError("escalation.csv: a step stands there twice")
    return tuple(parsed)
