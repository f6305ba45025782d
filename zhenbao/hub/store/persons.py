"""The ids of many persons at once: as ``identities.same_person``, in a few queries for a whole county."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection, or_, select

from zhenbao.hub.store.tables import patient_links, patients

_PART = 400
_Key = TypeVar("_Key")


def same_persons(connection: Connection, patient_ids: Collection[UUID]) -> dict[UUID, frozenset[UUID]]:
    """All ids under which each of these is known: by the same number, or because somebody joined them."""
    stands_for: dict[UUID, UUID] = {}
    by_number: dict[str, UUID] = {}

    def root(id_: UUID) -> UUID:
        while (above := stands_for.setdefault(id_, id_)) != id_:
            id_ = above
        return id_

    seen: set[UUID] = set()
    fresh = set(patient_ids)
    while fresh:
        seen |= fresh
        numbers: set[str] = set()
        for part in parts(sorted(fresh)):
            held = select(patients.c.resident_number).where(patients.c.id.in_(part))
            numbers |= {number for number in connection.execute(held).scalars() if number is not None}
            linked = select(patient_links.c.one, patient_links.c.other).where(
                or_(patient_links.c.one.in_(part), patient_links.c.other.in_(part)), patient_links.c.undone_ms.is_(None)
            )
            for one, other in connection.execute(linked):
                stands_for[root(one)] = root(other)
        for some in parts(sorted(numbers)):
            held_by = select(patients.c.id, patients.c.resident_number).where(patients.c.resident_number.in_(some))
            for id_, number in connection.execute(held_by):
                stands_for[root(id_)] = root(by_number.setdefault(number, id_))
        fresh = set(stands_for) - seen
    groups: dict[UUID, set[UUID]] = {}
    for id_ in seen:
        groups.setdefault(root(id_), set()).add(id_)
    return {id_: frozenset(groups[root(id_)]) for id_ in patient_ids}


def parts(keys: Sequence[_Key]) -> list[Sequence[_Key]]:
    """Not more at once than any database takes as parameters."""
    return [keys[start : start + _PART] for start in range(0, len(keys), _PART)]
