"""What holds up the queue, as codes with facts; the words are under ``[holdup]`` and ``[error]``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from zhenbao.agent.road_status import RoadStatus
from zhenbao.agent.store.queue_look import LaneLook

_ANSWER_MS = 60_000
"""Longer than a receipt takes on a slow line."""


@dataclass(frozen=True, slots=True)
class Holdup:
    """One reason. ``road`` is empty where it has nothing to do with one road."""

    code: str
    road: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


def holdups(
    lanes: Sequence[LaneLook], status: RoadStatus | None, refused: int, last_receipt_ms: int | None, now_ms: int
) -> list[Holdup]:
    """Why things still wait, the first to be dealt with first; empty where nothing is wrong.

    Args:
        status: of the service; None: it does not run.
        refused: items set aside by one side.
        last_receipt_ms: when the hub last confirmed anything.
    """
    found = [Holdup("refused", facts={"count": refused})] if refused else []
    if not lanes:
        return found
    if status is None:
        return [*found, Holdup("no-service")]
    connected = [road for road in status.roads if road.connected]
    through = [road for road in connected if not road.stalled]
    found += [Holdup(road.trouble, road.name, road.facts) for road in status.roads if road.trouble]
    found += [Holdup("stalled", road.name) for road in connected if road.stalled]
    if not connected and not any(road.trouble for road in status.roads):
        found.append(Holdup("connecting"))
    backlog = sum(road.backlog_bytes for road in through)
    if backlog:
        found.append(Holdup("slow", facts={"kilobytes": backlog / 1000}))
    elif through and sum(lane.tried for lane in lanes):
        silent_ms = now_ms - (last_receipt_ms or min(lane.oldest_ms for lane in lanes))
        if silent_ms > _ANSWER_MS:
            found.append(Holdup("unanswered", facts={"minutes": silent_ms // 60_000}))
    return found
