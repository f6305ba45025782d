"""What a person agreed to, each purpose for itself. Rows are only added: the newest of a purpose counts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select

from zhenbao.hub.store import identities
from zhenbao.hub.store.law_tables import consents, family_contacts
from zhenbao.model.ids import uuid7

Kind = Literal["county-sharing", "family-notice", "research"]
How = Literal["signature", "thumbprint", "spoken"]
Relation = Literal["self", "guardian", "spouse", "child", "parent", "other"]
TEXT_VERSION = "2026-11"
"""Of the words that were read out or signed (docs/hub-law.md)."""


@dataclass(frozen=True, slots=True)
class Consent:
    """One statement. ``at_ms`` is when it was made, ``noted_ms`` when the hub learned of it."""

    id: UUID
    patient_id: UUID
    kind: Kind
    given: bool
    """False: withdrawn."""
    by_name: str
    relation: Relation
    how: How
    form_number: str
    """Of the signed paper; empty where it was spoken."""
    witness: str
    """Who heard it; needed where it was spoken or marked by thumb."""
    language: str
    text_version: str
    at_ms: int
    noted_ms: int
    noted_by: str


@dataclass(frozen=True, slots=True)
class FamilyContact:
    """Whom a patient wants told."""

    patient_id: UUID
    name: str
    relation: Relation
    phone: str


def add(connection: Connection, consent: Consent) -> None:
    """Keep a statement."""
    connection.execute(
        insert(consents).values(**{name: getattr(consent, name) for name in Consent.__dataclass_fields__})
    )


def new_id(now_ms: int) -> UUID:
    """An id for a statement."""
    return uuid7(now_ms)


def of_patients(connection: Connection, patient_ids: Collection[UUID]) -> list[Consent]:
    """All statements of a person, in order of their making."""
    found = (
        select(consents)
        .where(consents.c.patient_id.in_(patient_ids))
        .order_by(consents.c.at_ms, consents.c.noted_ms, consents.c.id)
    )
    return [Consent(**row._mapping) for row in connection.execute(found)]


def state(connection: Connection, patient_id: UUID, kind: Kind) -> bool | None:
    """Whether a person, under whichever id, agrees to a purpose; None: was never asked."""
    said = of_patients(connection, identities.same_person(connection, patient_id))
    newest = next((c for c in reversed(said) if c.kind == kind), None)
    return None if newest is None else newest.given


def set_contact(connection: Connection, contact: FamilyContact, login: str, now_ms: int) -> None:
    """Keep whom to tell, instead of anybody before."""
    drop_contacts(connection, [contact.patient_id])
    connection.execute(
        insert(family_contacts).values(
            patient_id=contact.patient_id,
            name=contact.name,
            relation=contact.relation,
            phone=contact.phone,
            noted_ms=now_ms,
            noted_by=login,
        )
    )


def contact(connection: Connection, patient_ids: Collection[UUID]) -> FamilyContact | None:
    """Whom to tell of a person: what was noted last."""
    found = (
        select(family_contacts)
        .where(family_contacts.c.patient_id.in_(patient_ids))
        .order_by(family_contacts.c.noted_ms.desc())
        .limit(1)
    )
    row = connection.execute(found).one_or_none()
    return None if row is None else FamilyContact(row.patient_id, row.name, row.relation, row.phone)


def drop_contacts(connection: Connection, patient_ids: Collection[UUID]) -> int:
    """Forget whom to tell; returns how many were forgotten."""
    return connection.execute(delete(family_contacts).where(family_contacts.c.patient_id.in_(patient_ids))).rowcount
