"""An appointment with the provincial expert (号源): the wish goes with the bundle, the answer comes back as data.

Booking itself is done where the province does it; here stands what was wished, what was answered, and that an answer is
missing.
"""

from __future__ import annotations

import re
from datetime import date
from uuid import UUID

from sqlalchemy import Connection

from zhenbao.hub.consult import limits, opened
from zhenbao.hub.store import audit, slots
from zhenbao.hub.store.hub_store import HubStore
from zhenbao.hub.store.people import Practitioner
from zhenbao.hub.store.slots import Slot, State
from zhenbao.model.errors import InputError
from zhenbao.model.time import local_time

_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def book(
    store: HubStore, consult_id: UUID, person: Practitioner, *, on: str, time: str, place: str, number: str
) -> None:
    """The expert's side gives an appointment.

    Args:
        on: ISO date, today or later; another day than was wished is possible.
        time: ``HH:MM``, or empty where only the day is known.
        number: of the reservation; may be empty for a remote consultation.

    Raises:
        InputError: as ``consult.bundle``; ``slot-none``, nothing was wished; ``slot-answered``; ``slot-answer``: the
            day, the time or the place is missing or cannot be.
    """
    now_ms, known = store.clock.now_ms(), limits()
    place, number = " ".join(place.split()), " ".join(number.split())
    with store.writing() as connection:
        slot = _asked(connection, consult_id, person, now_ms)
        try:
            day = date.fromisoformat(on)
        except ValueError:
            raise InputError("slot-answer") from None
        needs = slot.kind == "visit" and not number
        if (
            day < local_time(now_ms).date()
            or (time and not _TIME.fullmatch(time))
            or not 0 < len(place) <= known.longest_place
            or len(number) > known.longest_number
            or needs
        ):
            raise InputError("slot-answer")
        told = {"booked_on": day, "booked_time": time, "place": place, "number": number}
        _end(connection, slot, "booked", person, now_ms, **told)


def refuse(store: HubStore, consult_id: UUID, person: Practitioner, reason: str) -> None:
    """There is no appointment, and why.

    Raises:
        InputError: as ``book``, but ``reason-missing`` or ``reason-long`` for the reason.
    """
    now_ms, told = store.clock.now_ms(), " ".join(reason.split())
    with store.writing() as connection:
        slot = _asked(connection, consult_id, person, now_ms)
        if len(told) < limits().shortest_refusal:
            raise InputError("reason-missing", shortest=limits().shortest_refusal)
        if len(told) > limits().longest_place:
            raise InputError("reason-long", longest=limits().longest_place)
        _end(connection, slot, "refused", person, now_ms, reason=told)


def withdraw(store: HubStore, consult_id: UUID, person: Practitioner) -> UUID:
    """Whoever asked no longer needs it, also after the bundle has ended; returns the case.

    Raises:
        InputError: ``slot-none``: no such wish, or another's; ``slot-answered``.
    """
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        slot = slots.find(connection, consult_id)
        if slot is None or slot.asker != person.login:
            raise InputError("slot-none")
        _end(connection, slot, "withdrawn", person, now_ms)
    return slot.work_item_id


def reminders(store: HubStore, person: Practitioner) -> list[Slot]:
    """Their wishes whose answer is missing and due: tasks of whoever asked."""
    with store.reading() as connection:
        return slots.unanswered(connection, person.login, store.clock.now_ms())


def _asked(connection: Connection, consult_id: UUID, person: Practitioner, now_ms: int) -> Slot:
    opened(connection, consult_id, person, now_ms)
    slot = slots.find(connection, consult_id)
    if slot is None:
        raise InputError("slot-none")
    if slot.state != "asked":
        raise InputError("slot-answered")
    return slot


def _end(connection: Connection, slot: Slot, state: State, person: Practitioner, now_ms: int, **values: object) -> None:
    if not slots.end(connection, slot.consult_id, state, now_ms, **values):
        raise InputError("slot-answered")
    # Place, number and reason stay out of the audit: they lead to the patient.
    audit.append(
        connection, now_ms, person.login, f"slot-{state}", f"consult:{slot.consult_id}", case=str(slot.work_item_id)
    )
