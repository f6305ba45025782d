"""What waits for the hub, lane by lane, with its size: for those who want to know what is left and what holds it up."""

from __future__ import annotations

from dataclasses import dataclass

from zhenbao.agent.store.database import Database
from zhenbao.sync.envelope import Lane


@dataclass(frozen=True, slots=True)
class LaneLook:
    """The waiting items of one lane."""

    lane: Lane
    items: int
    tried: int
    """Of these, handed to a road at least once, and not receipted."""
    size_bytes: int
    """As they lie here; on the road they are sealed, and mostly smaller."""
    oldest_ms: int
    """When the oldest was saved (Unix ms)."""


def lanes(database: Database) -> list[LaneLook]:
    """The lanes in which something waits, the most urgent first."""
    rows = database.read(
        "select o.lane, count(*), count(*) filter (where o.tries > 0),"
        " sum(coalesce(length(o.body), length(r.body), 0)), min(o.created_ms)"
        " from outbox o left join recordings r on o.body is null and r.id = o.subject_id"
        " where o.state = 'waiting' group by o.lane order by o.lane"
    )
    return [LaneLook(Lane(lane), items, tried, size, oldest) for lane, items, tried, size, oldest in rows]
