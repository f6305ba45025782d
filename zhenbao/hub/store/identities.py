"""Who is the same person: the resident number joins, a person may join too, and anything a person joined can be undone.

History is never rewritten: every version of a patient that a kit sent stays, and links are rows that are only added
and ended.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, insert, or_, select, update

from zhenbao.hub.store.tables import patient_links, patient_versions, patients
from zhenbao.model.ids import uuid7
from zhenbao.model.patient import Patient
from zhenbao.sync.envelope import unpack


@dataclass(frozen=True, slots=True)
class Link:
    """Somebody said that two ids are one person."""

    id: UUID
    one: UUID
    other: UUID
    by: str
    reason: str
    at_ms: int
    undone_ms: int | None
    undone_by: str | None


@dataclass(frozen=True, slots=True)
class Version:
    """A patient as a kit sent it."""

    patient: Patient
    kit_id: str
    received_ms: int


def versions(connection: Connection, patient_id: UUID) -> list[Version]:
    """All versions of a patient in the order in which they came."""
    found = (
        select(patient_versions).where(patient_versions.c.patient_id == patient_id).order_by(patient_versions.c.number)
    )
    return [
        Version(value, row.kit_id, row.received_ms)
        for row in connection.execute(found)
        if isinstance(value := unpack("patient", row.body), Patient)
    ]


def same_person(connection: Connection, patient_id: UUID) -> list[UUID]:
    """All ids under which this person is known: by the same number, or because somebody joined them; oldest first."""
    known: set[UUID] = {patient_id}
    fresh: Collection[UUID] = known
    while fresh:
        numbers = select(patients.c.resident_number).where(
            patients.c.id.in_(fresh), patients.c.resident_number.is_not(None)
        )
        by_number = select(patients.c.id).where(patients.c.resident_number.in_(numbers))
        linked = select(patient_links.c.one, patient_links.c.other).where(
            or_(patient_links.c.one.in_(fresh), patient_links.c.other.in_(fresh)), patient_links.c.undone_ms.is_(None)
        )
        met = set(connection.execute(by_number).scalars())
        for one, other in connection.execute(linked):
            met |= {one, other}
        fresh = met - known
        known |= fresh
    return sorted(known)


def links(connection: Connection, patient_ids: Collection[UUID]) -> list[Link]:
    """All links of these ids, also those that were undone, in order."""
    found = (
        select(patient_links)
        .where(or_(patient_links.c.one.in_(patient_ids), patient_links.c.other.in_(patient_ids)))
        .order_by(patient_links.c.at_ms, patient_links.c.id)
    )
    return [Link(**row._mapping) for row in connection.execute(found)]


def link(connection: Connection, one: UUID, other: UUID, by: str, reason: str, now_ms: int) -> UUID:
    """Join two ids."""
    made = uuid7(now_ms)
    connection.execute(insert(patient_links).values(id=made, one=one, other=other, by=by, reason=reason, at_ms=now_ms))
    return made


def unlink(connection: Connection, link_id: UUID, by: str, now_ms: int) -> bool:
    """Undo a link; False where there is none, or it was undone before."""
    undone = (
        update(patient_links)
        .where(patient_links.c.id == link_id, patient_links.c.undone_ms.is_(None))
        .values(undone_ms=now_ms, undone_by=by)
    )
    return connection.execute(undone).rowcount == 1


def with_number(connection: Connection, number: str) -> list[UUID]:
    """Patients of this resident number."""
    return list(connection.execute(select(patients.c.id).where(patients.c.resident_number == number)).scalars())


def kits_of(connection: Connection, patient_ids: Collection[UUID]) -> list[str]:
    """The kits that have registered these."""
    found = select(patient_versions.c.kit_id).where(patient_versions.c.patient_id.in_(list(patient_ids))).distinct()
    return sorted(connection.execute(found).scalars())
