"""Joining a temporary identity to the person it belongs to: by a person, with a reason, and undone the same way."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection

from zhenbao.hub.access import LONGEST_REASON, SHORTEST_REASON, viewer
from zhenbao.hub.store import HubStore, audit, identities, records, work
from zhenbao.hub.store.people import Practitioner
from zhenbao.model.errors import InputError
from zhenbao.model.identity import Sex
from zhenbao.model.patient import Patient


def find(store: HubStore, by: Practitioner, number: str) -> list[Patient]:
    """Patients of a resident number whom this person may see.

    Raises:
        InputError: ``denied-role``.
    """
    with store.reading() as connection:
        found = identities.with_number(connection, number.strip().upper())
        return [patient for id_ in found if (patient := _seen(connection, store, by, id_)) is not None]


def merge(store: HubStore, case_id: UUID, other_id: UUID, by: Practitioner, *, reason: str, sure: bool = False) -> UUID:
    """Say that a case's patient is the same person as another; returns the link's id.

    Args:
        case_id: a case of the one.
        other_id: the other patient.
        reason: how it was found out.
        sure: although sex or birth date differ.

    Raises:
        InputError: ``case-unknown``; why not (see ``access.check``); ``merge-self``, they are one already;
            ``merge-numbers``, two persons with a number each are never joined; ``merge-differs``, sex or birth date
            differ and ``sure`` is not set; ``reason-missing`` or ``reason-long``.
    """
    told = _reason(reason)
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        one, other = _patient(connection, store, by, case_id), _seen(connection, store, by, other_id)
        if other is None:
            raise InputError("case-unknown")
        group = identities.same_person(connection, one.id)
        if other.id in group:
            raise InputError("merge-self")
        both = [
            *(records.patient(connection, id_) for id_ in group),
            *(records.patient(connection, id_) for id_ in identities.same_person(connection, other.id)),
        ]
        if len({patient.resident_number for patient in both if patient and patient.resident_number}) > 1:
            raise InputError("merge-numbers")
        if _differ(one, other) and not sure:
            raise InputError("merge-differs")
        made = identities.link(connection, one.id, other.id, by.login, told, now_ms)
        audit.append(connection, now_ms, by.login, "patients-merged", f"link:{made}")
    return made


def unmerge(store: HubStore, case_id: UUID, link_id: UUID, by: Practitioner) -> None:
    """Undo a link of a case's patient.

    Raises:
        InputError: ``case-unknown``, why not (see ``access.check``), or ``merge-unknown``.
    """
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        patient = _patient(connection, store, by, case_id)
        known = identities.links(connection, identities.same_person(connection, patient.id))
        if link_id not in {link.id for link in known} or not identities.unlink(connection, link_id, by.login, now_ms):
            raise InputError("merge-unknown")
        audit.append(connection, now_ms, by.login, "merge-undone", f"link:{link_id}")


def _patient(connection: Connection, store: HubStore, by: Practitioner, case_id: UUID) -> Patient:
    item = work.find(connection, case_id)
    if item is None:
        raise InputError("case-unknown")
    if (denied := viewer(connection, by, store.clock.now_ms()).denial("merge", item)) is not None:
        raise InputError(denied)
    patient = records.patient(connection, item.patient_id)
    if patient is None:
        raise InputError("case-unknown")
    return patient


def _seen(connection: Connection, store: HubStore, by: Practitioner, patient_id: UUID) -> Patient | None:
    """A patient of whom this person may see a case within their reach."""
    seer = viewer(connection, by, store.clock.now_ms())
    if not seer.allowed("merge"):
        raise InputError("denied-role")
    cases = work.of_patients(connection, [patient_id], 50)
    shown = [case for case in cases if case.restricted_ms is None]
    if not any(case.org_id in seer.orgs or seer.grant(case) is not None for case in shown):
        return None
    return records.patient(connection, patient_id)


def _differ(one: Patient, other: Patient) -> bool:
    sexes = {one.sex, other.sex} - {Sex.UNKNOWN, Sex.UNSPECIFIED}
    births = {one.birth_date, other.birth_date} - {None}
    return len(sexes) > 1 or len(births) > 1


def _reason(text: str) -> str:
    told = " ".join(text.split())
    if len(told) < SHORTEST_REASON:
        raise InputError("reason-missing", shortest=SHORTEST_REASON)
    if len(told) > LONGEST_REASON:
        raise InputError("reason-long", longest=LONGEST_REASON)
    return told
