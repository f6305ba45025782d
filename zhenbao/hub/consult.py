"""Asking the provincial expert: a bundle of chosen readings with a question, open for some hours, without a name.

The expert sees what was chosen and nothing else of the hub. The opinion comes back into the case; the report stays the
county's.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from uuid import UUID

from sqlalchemy import Connection

from zhenbao.hub.access import check
from zhenbao.hub.permission import reach
from zhenbao.hub.store import audit, consults, grants, people, records, slots, thread, work
from zhenbao.hub.store.consults import Consult
from zhenbao.hub.store.hub_store import HubStore
from zhenbao.hub.store.people import Practitioner
from zhenbao.hub.store.slots import Slot
from zhenbao.hub.store.work import WorkItem
from zhenbao.model.errors import InputError
from zhenbao.model.ids import uuid7
from zhenbao.model.observation import Device, Observation
from zhenbao.model.patient import Patient
from zhenbao.model.recording import Recording
from zhenbao.model.time import local_text, local_time


@dataclass(frozen=True, slots=True)
class Limits:
    """``consult.toml``."""

    default_h: int
    choices_h: tuple[int, ...]
    shortest_question: int
    longest_question: int
    longest_history: int
    longest_opinion: int
    slot_remind_h: int
    slot_latest_days: int
    longest_place: int
    longest_number: int
    shortest_refusal: int


@dataclass(frozen=True, slots=True)
class SlotWish:
    """An appointment that is wished with a consultation."""

    kind: str
    from_on: str
    """ISO dates, both included."""
    until_on: str


@dataclass(frozen=True, slots=True)
class Request:
    """What the asker chose."""

    expert: str
    question: str
    history: str
    observation_ids: tuple[UUID, ...]
    hours: int
    named: bool = False
    slot: SlotWish | None = None


@dataclass(frozen=True, slots=True)
class Bundle:
    """What the expert sees."""

    consult: Consult
    item: WorkItem
    patient: Patient | None
    """Sex and birth date; the name only where it was to go along, the number never."""
    readings: tuple[tuple[Observation, tuple[Recording, ...]], ...]
    asker: str
    """The asking physician's name."""
    slot: Slot | None = None
    """The appointment that was wished."""


@cache
def limits() -> Limits:
    raw = tomllib.loads(files("zhenbao.hub").joinpath("consult.toml").read_text(encoding="utf-8"))
    return Limits(**(raw | {"choices_h": tuple(raw["choices_h"])}))


def lacking(
    request: Request, patient: Patient | None, readings: dict[UUID, Observation], arrived: set[UUID]
) -> tuple[str, ...]:
    """What a bundle lacks before it may go, as keys of the ``hub.consult.lacks`` words; none: it is complete.

    Args:
        readings: of the case, by id.
        arrived: recordings that the hub has.
    """
    chosen = [readings[id_] for id_ in request.observation_ids if id_ in readings]
    lacks = []
    if len(request.question.strip()) < limits().shortest_question:
        lacks.append("question")
    if not request.history.strip():
        lacks.append("history")
    if not chosen or len(chosen) != len(request.observation_ids):
        lacks.append("readings")
    if any(recording not in arrived for reading in chosen for recording in reading.recordings):
        lacks.append("waveform")
    if patient is None or patient.birth_date is None:
        lacks.append("age")
    if not request.expert:
        lacks.append("expert")
    return tuple(lacks)


def experts(connection: Connection) -> list[Practitioner]:
    """Who can be asked."""
    return [person for person in people.everyone(connection) if reach(person.role, "opine") is not None]


def ask(store: HubStore, case_id: UUID, person: Practitioner, request: Request) -> Consult:
    """Send a bundle: it opens to the expert at once, for the hours that were chosen.

    Raises:
        InputError: ``case-unknown``; why not (see ``access.check``); ``consult-incomplete`` where ``lacking`` names
            anything; ``consult-long``; ``consult-hours``; ``consult-named``: the history or the question names the
            patient although no name is to go along; ``consult-slot``: the wished appointment cannot be.
    """
    now_ms = store.clock.now_ms()
    known = limits()
    if len(request.question) > known.longest_question or len(request.history) > known.longest_history:
        raise InputError("consult-long", question=known.longest_question, history=known.longest_history)
    if request.hours not in known.choices_h:
        raise InputError("consult-hours")
    with store.writing() as connection:
        item = _found(connection, case_id)
        check(connection, person, "consult", item, now_ms)
        patient = records.patient(connection, item.patient_id)
        readings = {reading.id: reading for reading, _ in records.observations_of(connection, item.encounter_id)}
        arrived = {r.id for id_ in request.observation_ids for r in records.recordings_of(connection, id_)}
        expert = next((p for p in experts(connection) if p.login == request.expert), None)
        if lacking(replace(request, expert=expert.login if expert else ""), patient, readings, arrived):
            raise InputError("consult-incomplete")
        if patient is not None and not request.named and _names(patient, request.question + request.history):
            raise InputError("consult-named")
        grant = grants.give(
            connection, request.expert, item.patient_id, "consult", "", person.login, now_ms, request.hours
        )
        made = Consult(
            id=uuid7(now_ms),
            work_item_id=case_id,
            asker=person.login,
            expert=request.expert,
            question=request.question.strip(),
            history=request.history.strip(),
            observation_ids=request.observation_ids,
            named=request.named,
            grant_id=grant.id,
            asked_ms=now_ms,
            ends_ms=grant.ends_ms,
        )
        consults.add(connection, made)
        if request.slot is not None:
            slots.add(connection, _wished(made, request.slot))
        audit.append(
            connection,
            now_ms,
            person.login,
            "consult-asked",
            f"consult:{made.id}",
            case=str(case_id),
            expert=request.expert,
            hours=str(request.hours),
            named="yes" if request.named else "no",
            **({"slot": request.slot.kind} if request.slot is not None else {}),
        )
    return made


def bundle(store: HubStore, consult_id: UUID, person: Practitioner) -> Bundle:
    """The bundle for its expert, while it is open.

    Raises:
        InputError: ``denied-role``; ``denied-grant``: not theirs, or there is none; ``consult-ended``, with the time.
            A denial leaves a line in the audit.
    """
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        try:
            found, item = opened(connection, consult_id, person, now_ms)
        except InputError as denied:
            reason, error = denied.code, denied
        else:
            reason = ""
            if found.looked_ms is None:
                consults.change(connection, consult_id, looked_ms=now_ms)
        deed = {"reason": reason} if reason else {}
        action = "consult-denied" if reason else "consult-looked"
        audit.append(connection, now_ms, person.login, action, f"consult:{consult_id}", **deed)
    if reason:
        raise error
    with store.reading() as connection:
        patient = records.patient(connection, item.patient_id)
        asker = people.find(connection, found.asker)
        slot = slots.find(connection, consult_id)
        chosen = [
            (bare(reading), tuple(records.recordings_of(connection, reading.id)))
            for reading, _ in records.observations_of(connection, item.encounter_id)
            if reading.id in found.observation_ids
        ]
    shown = None if patient is None else unnamed(patient, keep_name=found.named)
    return Bundle(found, item, shown, tuple(chosen), asker.name if asker else found.asker, slot)


def give_opinion(store: HubStore, consult_id: UUID, person: Practitioner, opinion: str) -> None:
    """The expert's opinion, once; it comes back into the case.

    Raises:
        InputError: as ``bundle``; ``opinion-empty``; ``opinion-long``; ``consult-answered``.
    """
    now_ms = store.clock.now_ms()
    text = opinion.replace("\r\n", "\n").strip()
    if not text:
        raise InputError("opinion-empty")
    if len(text) > limits().longest_opinion:
        raise InputError("opinion-long", longest=limits().longest_opinion)
    with store.writing() as connection:
        found, item = opened(connection, consult_id, person, now_ms)
        if found.answered_ms is not None:
            raise InputError("consult-answered")
        consults.change(connection, consult_id, opinion=text, answered_ms=now_ms)
        thread.add(connection, item.id, "opinion", person.login, now_ms, text=text)
        audit.append(connection, now_ms, person.login, "consult-answered", f"consult:{consult_id}", case=str(item.id))


def withdraw(store: HubStore, consult_id: UUID, person: Practitioner) -> UUID:
    """Close a bundle before its time; returns its case.

    Raises:
        InputError: ``denied-grant``: no such consultation, or another's; ``consult-ended``.
    """
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        found = consults.find(connection, consult_id)
        if found is None or found.asker != person.login:
            raise InputError("denied-grant")
        if found.ended(now_ms):
            raise _ended(found)
        consults.change(connection, consult_id, withdrawn_ms=now_ms)
        grants.end(connection, found.grant_id, now_ms)
        slots.end(connection, consult_id, "withdrawn", now_ms)
        audit.append(connection, now_ms, person.login, "consult-withdrawn", f"consult:{consult_id}")
        return found.work_item_id


def _wished(made: Consult, wish: SlotWish) -> Slot:
    kind = next((known for known in slots.KINDS if known == wish.kind), None)
    today = local_time(made.asked_ms).date()
    try:
        begin, end = date.fromisoformat(wish.from_on), date.fromisoformat(wish.until_on)
    except ValueError:
        raise InputError("consult-slot", days=limits().slot_latest_days) from None
    if kind is None or not today <= begin <= end <= today + timedelta(days=limits().slot_latest_days):
        raise InputError("consult-slot", days=limits().slot_latest_days)
    remind_ms = made.asked_ms + limits().slot_remind_h * 3_600_000
    return Slot(made.id, made.work_item_id, made.asker, made.expert, kind, begin, end, made.asked_ms, remind_ms)


def unnamed(patient: Patient, *, keep_name: bool) -> Patient:
    """Sex and birth date alone (a page shows the age); never number or telephone."""
    return replace(patient, name=patient.name if keep_name else "", resident_number=None, phone=None)


def bare(reading: Observation) -> Observation:
    """A reading without what leads to a kit or a person: no serial, no files, no free text of the village."""
    device = Device(reading.device.driver, reading.device.maker, reading.device.model)
    return replace(reading, kit_id="", device=device, device_key=None, attachments=())


def _names(patient: Patient, text: str) -> bool:
    compact = "".join(text.split())
    tell_tale = [patient.name, patient.resident_number or "", patient.phone or ""]
    return any(len(part) > 1 and part in compact for part in tell_tale)


def opened(connection: Connection, consult_id: UUID, person: Practitioner, now_ms: int) -> tuple[Consult, WorkItem]:
    """A consultation and its case, for its expert while it is open.

    Raises:
        InputError: as ``bundle``.
    """
    if reach(person.role, "opine") is None:
        raise InputError("denied-role")
    found = consults.find(connection, consult_id)
    if found is None or found.expert != person.login:
        raise InputError("denied-grant")
    item = work.find(connection, found.work_item_id)
    opened = {grant.id for grant in grants.open_for(connection, person.login, now_ms)}
    if item is None or found.ended(now_ms) or found.grant_id not in opened:
        raise _ended(found)
    return found, item


def _ended(found: Consult) -> InputError:
    ends_ms = min(found.ends_ms, found.withdrawn_ms or found.ends_ms)
    return InputError("consult-ended", time=local_text(ends_ms))


def _found(connection: Connection, case_id: UUID) -> WorkItem:
    item = work.find(connection, case_id)
    if item is None:
        raise InputError("case-unknown")
    return item
