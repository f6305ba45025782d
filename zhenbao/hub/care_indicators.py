"""Indicators of chronic care, of recognised results and of what a second pair of eyes said. Pure.

A register is one person and one disease: who is managed for two diseases counts in both, and a person is never counted
as a visit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from zhenbao.model.chronic import Disease, Past, Register
from zhenbao.rules import followup

YEAR_DAYS = 365
"""A last follow-up that is older says nothing of this year (national norm: counted within the year)."""


@dataclass(frozen=True, slots=True)
class Recall:
    """What a recall of a coronary, stroke or tumour patient asked; None: it did not ask, or the review was not due."""

    on: date
    revisited: bool | None
    readmitted: bool | None


@dataclass(frozen=True, slots=True)
class Managed:
    """One register, with what was done for it."""

    disease: Disease
    since: date
    ended_on: date | None
    """None: still managed."""
    past: tuple[Past, ...] = ()
    """All that count, oldest first."""
    recalls: tuple[Recall, ...] = ()


@dataclass(frozen=True, slots=True)
class Days:
    """The days that are counted, both included, and the day on which it is asked."""

    first: date
    last: date
    today: date

    @property
    def end(self) -> date:
        """The last day of which anything is known."""
        return min(self.last, self.today)


@dataclass(frozen=True, slots=True)
class Care:
    """What the indicators of care are counted from."""

    days: Days
    managed: tuple[Managed, ...] = ()
    recognised: int = 0
    second: tuple[int, int] = (0, 0)
    """Second readings of the period: that agreed, and all."""
    scored: tuple[int, int, int] = (0, 0, 0)
    """Reports that the quality role scored: agreed, with a major difference, and all."""


def counts(care: Care) -> dict[str, tuple[int, int | None]]:
    """Numerator and denominator by key; a denominator of 0 is "no data"."""
    days = care.days
    present = [m for m in care.managed if m.since <= days.end and (m.ended_on is None or m.ended_on > days.end)]
    due = [outcome for m in care.managed for outcome in _timely(m, days)]
    revisits = [known for m in care.managed if (known := _last(m.recalls, days)) is not None]
    readmitted = [known for m in care.managed if (known := _ever(m.recalls, days)) is not None]
    return {
        "managed": (len(present), None),
        "managed-by-norm": (sum(_by_norm(m, days.end) for m in present), len(present)),
        "controlled": (sum(_controlled(m, days.end) for m in present), len(present)),
        "follow-up-on-time": (sum(due), len(due)),
        "three-c-revisit": (sum(revisits), len(revisits)),
        "three-c-readmitted": (sum(readmitted), len(readmitted)),
        "recognised": (care.recognised, None),
        "second-agreement": care.second,
        "quality-agreed": (care.scored[0], care.scored[2]),
        "quality-major": (care.scored[1], care.scored[2]),
    }


def _until(managed: Managed, day: date) -> list[Past]:
    return [p for p in managed.past if managed.since <= p.on <= day]


def _by_norm(managed: Managed, day: date) -> bool:
    """Whether no tier's follow-up was overdue on this day."""
    past = followup.recent_past(_until(managed, day))
    register = Register(UUID(int=0), managed.disease, managed.since, "", past)
    return all(due.state(day) != "overdue" for due in followup.due(register))


def _controlled(managed: Managed, day: date) -> bool:
    """Whether the last follow-up, of the last year, was at target; none at all is not at target."""
    past = _until(managed, day)
    return bool(past) and past[-1].outcome == "controlled" and past[-1].on > day - timedelta(days=YEAR_DAYS)


def _timely(managed: Managed, days: Days) -> Iterable[bool]:
    """Of each follow-up that fell due in the period whether it was done by its day; what may yet be done is neither."""
    for first in followup.due(Register(UUID(int=0), managed.disease, managed.since, "")):
        done = [p for p in managed.past if p.tier == first.tier and p.on >= managed.since]
        due = [first.on, *(p.next_on for p in done)]
        for number, on in enumerate(due):
            if not days.first <= on <= days.last or (managed.ended_on is not None and on >= managed.ended_on):
                continue
            came = done[number].on if number < len(done) else None
            if came is not None and came <= on:
                yield True
            elif came is not None or on < days.today:
                yield False


def _last(recalls: Sequence[Recall], days: Days) -> bool | None:
    """Whether the patient came to the review, by the last recall of the period that knows."""
    known = [r.revisited for r in recalls if days.first <= r.on <= days.last and r.revisited is not None]
    return known[-1] if known else None


def _ever(recalls: Sequence[Recall], days: Days) -> bool | None:
    """Whether any recall of the period heard of a stay in hospital; None: none asked."""
    known = [r.readmitted for r in recalls if days.first <= r.on <= days.last and r.readmitted is not None]
    return any(known) if known else None
