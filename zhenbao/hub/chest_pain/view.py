"""One case's channel as its page shows it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from zhenbao.hub.chest_pain.chain import Interval, Stamp, between, chain
from zhenbao.hub.chest_pain.table import table
from zhenbao.hub.chest_pain.targets import Judged, judge
from zhenbao.hub.store import chest_pain as rows
from zhenbao.hub.store import records
from zhenbao.hub.store.chest_pain import ChannelStep
from zhenbao.hub.store.work import WorkItem
from zhenbao.model.chest_pain import MILESTONES, Milestone
from zhenbao.model.finding import Urgency


@dataclass(frozen=True, slots=True)
class Line:
    """One milestone on the timeline."""

    milestone: Milestone
    stamp: Stamp
    """The one that counts."""
    others: tuple[Stamp, ...]
    """What was noted before, or is known by another clock."""
    since: Interval | None
    """After the line above."""


@dataclass(frozen=True, slots=True)
class Channel:
    """All of it."""

    lines: tuple[Line, ...]
    """As things happened."""
    unknown: tuple[Milestone, ...]
    """Of which nothing is known, in the order in which they are expected."""
    judged: tuple[Judged, ...]
    steps: tuple[ChannelStep, ...]
    """The newest first."""
    kit_ahead_ms: int
    """By how much the kit's clock was ahead when it sent something, where that is worth a word; negative: behind."""

    @property
    def state(self) -> str:
        """How the channel stands."""
        return self.steps[0].state if self.steps else "none"

    @property
    def opened(self) -> ChannelStep | None:
        """Who opened it first."""
        return next((step for step in reversed(self.steps) if step.state in ("open", "diverted")), None)


def is_one(connection: Connection, item: WorkItem) -> bool:
    """Whether a case belongs on the channel: chest pain was said, something is kept of it, or a heart is critical."""
    encounter = records.encounter(connection, item.encounter_id)
    if encounter is not None and encounter.chest_pain == "yes":
        return True
    critical = item.urgency is Urgency.RED and item.specialty == "cardiology"
    return critical or rows.known(connection, item.encounter_id)


def channel(connection: Connection, item: WorkItem, now_ms: int) -> Channel:
    """How the channel of a case stands."""
    stamps = chain(rows.facts(connection, item))
    known = [name for name in MILESTONES if name in stamps]
    # As things happened, as well as is known; what nobody knows stands behind, in the order in which it is expected.
    happened = sorted(known, key=lambda name: stamps[name][0].hub_ms)
    lines = []
    before: Stamp | None = None
    for name in happened:
        first, *others = stamps[name]
        lines.append(Line(name, first, tuple(others), between(before, first) if before is not None else None))
        before = first
    aheads = [stamp.ahead_ms for name in known for stamp in stamps[name] if stamp.clock == "kit"]
    worst_ms = max(aheads, key=abs, default=0)
    return Channel(
        tuple(lines),
        tuple(name for name in MILESTONES if name not in stamps),
        tuple(judge(stamps, now_ms)),
        tuple(reversed(rows.steps(connection, item.encounter_id))),
        worst_ms if abs(worst_ms) > table().transit_ms else 0,
    )
