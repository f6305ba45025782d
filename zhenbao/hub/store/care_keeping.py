"""Keeping a follow-up with its consequences: what is due next, and who of the three is told."""

from __future__ import annotations

from sqlalchemy import Connection

from zhenbao.hub.store import care_notices, chronic, follow_ups, identities
from zhenbao.hub.store.chronic import Entry
from zhenbao.model.chronic import FollowUp


def keep(connection: Connection, made: FollowUp, org_id: str, login: str | None, now_ms: int) -> bool:
    """Keep a follow-up; False where it is known. Of a patient in no register it is kept all the same.

    Raises:
        Rejected: ``other-body``.
    """
    if not follow_ups.save(connection, made, org_id, login, now_ms):
        return False
    for entry in chronic.of_patients(connection, identities.same_person(connection, made.patient_id), ended=False):
        if entry.disease == made.disease:
            chronic.plan(connection, entry)
            if made.refer or made.outcome in ("adverse", "complication"):
                notify(connection, entry, "refer" if made.refer else "outcome", f"follow-up:{made.id}", now_ms)
    return True


def notify(connection: Connection, entry: Entry, kind: str, key: str, now_ms: int) -> int:
    """Tell the three of an entry."""
    return care_notices.tell(connection, entry.team, kind, entry.patient_id, key, now_ms)
