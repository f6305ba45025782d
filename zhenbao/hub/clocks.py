"""The clocks of a case: which run, since when, and which steps of escalation they have reached. Pure.

Delivered is not read, read is not handled: each has a clock of its own, and each is ended by its own fact only.
"""

from __future__ import annotations

from dataclasses import dataclass

from zhenbao.model.finding import Urgency
from zhenbao.rules.escalation import ClockKind, Step, steps

LOOP_STEPS = ("found", "notified", "read-back", "handled", "recorded")
"""发现, 通知, 复述确认, 处理, 记录: the closed loop of a critical value. The first is the kit's finding itself."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a case. Instants are the hub's, Unix ms; None: has not happened."""

    urgency: Urgency
    ranked_ms: int
    """When this urgency began at the hub."""
    late: bool = False
    acknowledged_ms: int | None = None
    reported_ms: int | None = None
    delivered_ms: int | None = None
    """When the kit's receipt for the newest report came."""
    read_ms: int | None = None
    """When the hub learned that the village doctor opened it."""
    loop: tuple[str, ...] = ()
    """Steps of the loop that are done."""
    said_ms: int | None = None
    """When the report was signed that alone calls the case critical; None: its readings do."""
    corrected: bool = False
    """The newest report corrects one and was signed after the read-back, which therefore does not stand for it."""


@dataclass(frozen=True, slots=True)
class Running:
    """A clock that runs."""

    kind: ClockKind
    since_ms: int


@dataclass(frozen=True, slots=True)
class Reached:
    """A step of escalation that a running clock has reached."""

    step: Step
    since_ms: int
    """When its clock began."""
    due_ms: int


def running(facts: Facts) -> tuple[Running, ...]:
    """The clocks that run."""
    clocks = []
    if facts.late and "notified" not in facts.loop:
        clocks.append(Running("late", facts.ranked_ms))
    if facts.acknowledged_ms is None:
        clocks.append(Running("ack", facts.ranked_ms))
    if facts.reported_ms is None:
        clocks.append(Running("report", facts.ranked_ms))
    else:
        told = "read-back" in facts.loop and not facts.corrected
        if facts.delivered_ms is None and not told:
            clocks.append(Running("deliver", facts.reported_ms))
        if facts.read_ms is None and not told:
            clocks.append(Running("read", facts.reported_ms))
    if facts.urgency is Urgency.RED and set(LOOP_STEPS[1:]) - set(facts.loop):
        clocks.append(Running("loop", facts.ranked_ms if facts.said_ms is None else facts.said_ms))
    return tuple(clocks)


def reached(facts: Facts, now_ms: int) -> tuple[Reached, ...]:
    """The steps that are due now, the longest due first."""
    due = []
    for clock in running(facts):
        for step in steps(facts.urgency):
            due_ms = clock.since_ms + step.after_min * 60_000
            if step.clock == clock.kind and due_ms <= now_ms:
                due.append(Reached(step, clock.since_ms, due_ms))
    return tuple(sorted(due, key=lambda r: (r.due_ms, r.step.key)))
