"""What people do on the chest-pain channel: write an instant down, open, divert and close it, send advice."""

from __future__ import annotations

from uuid import UUID

from zhenbao.hub.access import viewer
from zhenbao.hub.chest_pain.chain import Written
from zhenbao.hub.chest_pain.table import table
from zhenbao.hub.permission import Action
from zhenbao.hub.store import HubStore, audit, outbox, work
from zhenbao.hub.store import chest_pain as rows
from zhenbao.hub.store.chest_pain import ChannelStep
from zhenbao.hub.store.people import Practitioner
from zhenbao.hub.store.work import WorkItem
from zhenbao.model.chest_pain import CHANNEL_STATES, ChannelNews
from zhenbao.model.errors import InputError
from zhenbao.model.ids import uuid7

LONGEST_NAME = 40
LONGEST_PLACE = 60
LONGEST_NOTE = 200
LONGEST_ADVICE = 200


def write_time(
    store: HubStore, case_id: UUID, by: Practitioner, *, milestone: str, at_ms: int, person: str, note: str = ""
) -> Written:
    """Write an instant down; what was written before of the same milestone stays, and no longer counts.

    Args:
        at_ms: when it was, by whoever's watch.
        person: who says so.

    Raises:
        InputError: ``case-unknown``; why not, which the audit keeps (see ``access.check``);
            ``chest-pain-milestone``, kit and hub know it by themselves; ``chest-pain-person``; ``chest-pain-note``;
            ``chest-pain-time``, in the future or too long ago.
    """
    now_ms, rules = store.clock.now_ms(), table()
    who, told = " ".join(person.split()), " ".join(note.split())
    written = Written(uuid7(now_ms), milestone, at_ms, now_ms, by.login, who, told)
    item = _allowed(store, case_id, by, "chest-pain")
    with store.writing() as connection:
        if milestone not in rules.may_write:
            raise InputError("chest-pain-milestone")
        if not who or len(who) > LONGEST_NAME:
            raise InputError("chest-pain-person", longest=LONGEST_NAME)
        if len(told) > LONGEST_NOTE:
            raise InputError("chest-pain-note", longest=LONGEST_NOTE)
        if not -rules.furthest_back_ms <= at_ms - now_ms <= rules.told_ms:
            raise InputError("chest-pain-time", days=rules.furthest_back_ms // 86_400_000)
        rows.write(connection, item.encounter_id, written)
        # Names and words stay with the case; the audit knows who wrote which instant, and when.
        audit.append(
            connection, now_ms, by.login, "chest-pain-time", f"case:{case_id}", milestone=milestone, at=str(at_ms)
        )
    return written


def set_channel(
    store: HubStore,
    case_id: UUID,
    by: Practitioner,
    *,
    state: str,
    decided_by: str = "",
    hospital: str = "",
    ambulance: str = "",
    advice: str = "",
) -> ChannelNews:
    """Bring the channel into a state, or send advice in the state it is in; the kit is told in the same transaction.

    Args:
        state: a ``ChannelState``.
        decided_by: the physician whose decision it is; empty: the one who writes.
        advice: only by whoever may report on the case.

    Raises:
        InputError: ``case-unknown``; why not (see ``access.check``); ``channel-state``; ``channel-text``, one is too
            long, or the advice is of several lines; ``channel-hospital``, an open one names where the patient goes;
            ``channel-advice``, this person may not advise; ``chest-pain-person``, who decided is not said.
    """
    now_ms = store.clock.now_ms()
    who, place, car = (" ".join(text.split()) for text in (decided_by, hospital, ambulance))
    told = advice.strip()
    item = _allowed(store, case_id, by, "channel")
    with store.writing() as connection:
        advises = viewer(connection, by, now_ms).may("report", item)
        if state not in CHANNEL_STATES:
            raise InputError("channel-state")
        if max(len(place), len(car)) > LONGEST_PLACE or len(told) > LONGEST_ADVICE or len(told.splitlines()) > 1:
            raise InputError("channel-text", place=LONGEST_PLACE, advice=LONGEST_ADVICE)
        if state in ("open", "diverted") and not place:
            raise InputError("channel-hospital")
        if told and not advises:
            raise InputError("channel-advice")
        if (not advises and not who) or len(who) > LONGEST_NAME:
            raise InputError("chest-pain-person", longest=LONGEST_NAME)
        step = ChannelStep(state, place, car, told, who or by.name, by.login, now_ms)
        news = ChannelNews(
            uuid7(now_ms), item.encounter_id, item.patient_id, state, told, step.decided_by, now_ms, place, car
        )
        rows.add_step(connection, item.encounter_id, news.id, step)
        audit.append(connection, now_ms, by.login, "channel-set", f"case:{case_id}", state=state)
        outbox.post(connection, store.sender, news, news.id, item.kit_id, now_ms)
    return news


def _allowed(store: HubStore, case_id: UUID, by: Practitioner, action: Action) -> WorkItem:
    """The case, for whoever may; a denial leaves a line in the audit."""
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        item = work.find(connection, case_id)
        denied = viewer(connection, by, now_ms).denial(action, item) if item is not None else None
        if denied is not None:
            audit.append(connection, now_ms, by.login, f"{action}-denied", f"case:{case_id}", reason=denied)
    if item is None:
        raise InputError("case-unknown")
    if denied is not None:
        raise InputError(denied)
    return item
