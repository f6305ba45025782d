"""The closed loop of a critical value, as people take its steps: 发现, 通知, 复述确认, 处理, 记录.

What was delivered to a kit is not acknowledged: somebody in the village has to repeat it. The loop goes on by telephone
where the village has no network, and every step has a name and a time.
"""

from __future__ import annotations

from typing import get_args
from uuid import UUID

from zhenbao.hub.access import check
from zhenbao.hub.clocks import LOOP_STEPS
from zhenbao.hub.store import HubStore, audit, work
from zhenbao.hub.store import loop as rows
from zhenbao.hub.store.loop import Channel, LoopEntry, LoopStep
from zhenbao.hub.store.people import Practitioner
from zhenbao.model.errors import InputError

LONGEST_NAME = 40
LONGEST_NOTE = 400
_FURTHEST_BACK_MS = 24 * 3_600_000
"""A step is written down within a day of its taking."""
_NEEDS_PERSON = ("notified", "read-back", "handled")


def note(
    store: HubStore,
    case_id: UUID,
    by: Practitioner,
    *,
    step: str,
    person: str,
    channel: str,
    text: str,
    minutes_ago: int = 0,
) -> LoopEntry:
    """Note a step of a case's loop.

    Args:
        step: ``notified``, ``read-back``, ``handled`` or ``recorded``; the kit's finding is noted by the hub itself.
        person: the other person's name: who was told, who repeated it, who acted.
        channel: how.
        text: what was said or done, in a few words.
        minutes_ago: for what is written down afterwards (补记).

    Raises:
        InputError: ``case-unknown``; why not (see ``access.check``); ``loop-step``, ``loop-person``, ``loop-note``,
            ``loop-time``; ``loop-order``, an earlier step is missing.
    """
    now_ms = store.clock.now_ms()
    steps: dict[str, LoopStep] = {name: name for name in get_args(LoopStep) if name != "found"}
    channels: dict[str, Channel] = {name: name for name in get_args(Channel)}
    who, what = " ".join(person.split()), " ".join(text.split())
    if step not in steps or channel not in channels:
        raise InputError("loop-step")
    if (step in _NEEDS_PERSON and not who) or len(who) > LONGEST_NAME:
        raise InputError("loop-person", longest=LONGEST_NAME)
    if len(what) > LONGEST_NOTE or (step in ("handled", "read-back") and not what):
        raise InputError("loop-note", longest=LONGEST_NOTE)
    if not 0 <= minutes_ago * 60_000 <= _FURTHEST_BACK_MS:
        raise InputError("loop-time")
    entry = LoopEntry(steps[step], now_ms - minutes_ago * 60_000, now_ms, by.login, who, channels[channel], what)
    with store.writing() as connection:
        item = work.find(connection, case_id)
        if item is None:
            raise InputError("case-unknown")
        check(connection, by, "loop", item, now_ms)
        done = rows.done(rows.entries(connection, case_id), item.ranked_ms)
        if not set(LOOP_STEPS[1 : LOOP_STEPS.index(step)]) <= set(done):
            raise InputError("loop-order")
        rows.add(connection, case_id, entry)
        # The names and the words stay with the case; the audit knows who wrote which step when.
        audit.append(connection, now_ms, by.login, "loop-step", f"case:{case_id}", step=step, channel=channel)
    return entry
