"""What a person may ask of the hub about themselves: everything it has of them, or its deletion.

Three steps by two people: somebody checks who is asking and writes the request down, a second person agrees, the first
(or a colleague with the same right) carries it out. A deletion that the law does not allow yet restricts instead: the
record is kept and shown to nobody.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal, get_args
from uuid import UUID

from sqlalchemy import Connection, insert, select, update

from zhenbao.hub.access import LONGEST_REASON, SHORTEST_REASON, viewer
from zhenbao.hub.permission import Action, reach
from zhenbao.hub.store import HubStore, audit, identities, person, records, referrals, work
from zhenbao.hub.store.law_tables import privacy_requests
from zhenbao.hub.store.people import Practitioner
from zhenbao.model.errors import InputError
from zhenbao.model.ids import uuid7

Kind = Literal["access", "deletion"]
State = Literal["recorded", "approved", "refused", "done"]
Checked = Literal["id-card", "household-book", "known-in-person"]
KINDS: tuple[Kind, ...] = get_args(Kind)
CHECKED: tuple[Checked, ...] = get_args(Checked)
RELATIONS = ("self", "guardian", "spouse", "child", "parent", "other")
_LONGEST_NAME = 40
_C = privacy_requests.c


@dataclass(frozen=True, slots=True)
class PrivacyRequest:
    """One request, and what became of it."""

    id: UUID
    patient_id: UUID
    kind: Kind
    org_id: str
    asked_by: str
    relation: str
    checked: Checked
    """How the identity of the one who asked was checked."""
    reason: str
    state: State
    recorded_ms: int
    recorded_by: str
    decided_ms: int | None = None
    decided_by: str | None = None
    done_ms: int | None = None
    done_by: str | None = None
    outcome: str = ""
    """JSON: what was deleted, kept and until when, and which kits have copies."""

    def result(self) -> dict[str, object]:
        """The outcome; empty before it is done."""
        found: dict[str, object] = json.loads(self.outcome) if self.outcome else {}
        return found


def record(
    store: HubStore,
    by: Practitioner,
    *,
    kind: str,
    number: str,
    name: str,
    asked_by: str,
    relation: str,
    checked: str,
    reason: str = "",
    case_id: UUID | None = None,
) -> PrivacyRequest:
    """Write a request down.

    Args:
        number: the patient's resident number; empty where ``case_id`` names a case of theirs.
        name: the patient's name as on the paper that was checked: it must be the one that is kept.

    Raises:
        InputError: ``denied-role``, ``privacy-fields``, ``privacy-reason``; ``privacy-nobody``, within reach there is
            no such person of this name.
    """
    kinds, ways = {v: v for v in KINDS}, {v: v for v in CHECKED}
    who, told, shown = (" ".join(text.split()) for text in (asked_by, reason, name))
    if kind not in kinds or checked not in ways or relation not in RELATIONS or not 1 <= len(who) <= _LONGEST_NAME:
        raise InputError("privacy-fields")
    if (kind == "deletion" and len(told) < SHORTEST_REASON) or len(told) > LONGEST_REASON:
        raise InputError("privacy-reason", shortest=SHORTEST_REASON, longest=LONGEST_REASON)
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        seer = _allowed(connection, by, "privacy", now_ms)
        found = _person(connection, seer, number, case_id)
        patient = records.patient(connection, found) if found is not None else None
        if found is None or patient is None or patient.name.replace("·", "") != shown.replace("·", ""):
            # One answer for all: it must not tell who is known here.
            raise InputError("privacy-nobody")
        request = PrivacyRequest(
            uuid7(now_ms),
            found,
            kinds[kind],
            by.org_id,
            who,
            relation,
            ways[checked],
            told,
            "recorded",
            now_ms,
            by.login,
        )
        connection.execute(
            insert(privacy_requests).values(
                **{field: getattr(request, field) for field in PrivacyRequest.__dataclass_fields__}
            )
        )
        audit.append(connection, now_ms, by.login, "privacy-recorded", f"privacy:{request.id}", kind=kind)
    return request


def decide(store: HubStore, request_id: UUID, by: Practitioner, *, approve: bool) -> PrivacyRequest:
    """Agree as the second person, or refuse.

    Raises:
        InputError: ``denied-role``, ``privacy-unknown``, ``privacy-self`` (never who recorded it), ``privacy-state``.
    """
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        seer = _allowed(connection, by, "privacy-approve", now_ms)
        request = _request(connection, request_id, seer)
        if request.recorded_by == by.login:
            raise InputError("privacy-self")
        state: State = "approved" if approve else "refused"
        _move(connection, request, "recorded", state=state, decided_ms=now_ms, decided_by=by.login)
        audit.append(connection, now_ms, by.login, f"privacy-{state}", f"privacy:{request.id}", kind=request.kind)
        return _request(connection, request_id, seer)


def begin_access(store: HubStore, request_id: UUID, by: Practitioner) -> PrivacyRequest:
    """Say in the audit that a person's records are taken out now, before they are.

    Raises:
        InputError: ``denied-role``, ``privacy-unknown``, ``privacy-state``.
    """
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        seer = _allowed(connection, by, "privacy", now_ms)
        request = _request(connection, request_id, seer)
        if request.kind != "access":
            raise InputError("privacy-state")
        _move(connection, request, "approved", state="done", done_ms=now_ms, done_by=by.login, outcome="{}")
        audit.append(connection, now_ms, by.login, "privacy-exported", f"privacy:{request.id}")
        return _request(connection, request_id, seer)


def delete(store: HubStore, request_id: UUID, by: Practitioner) -> PrivacyRequest:
    """Carry a deletion out: what may go goes, what must be kept is restricted until it may.

    Raises:
        InputError: ``denied-role``, ``privacy-unknown``, ``privacy-state``; ``privacy-treating``, a case is still open
            or a referral under way.
    """
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        seer = _allowed(connection, by, "privacy", now_ms)
        request = _request(connection, request_id, seer)
        if request.kind != "deletion":
            raise InputError("privacy-state")
        found = person.ids(connection, request.patient_id)
        cases = work.of_patients(connection, found.patients, 10_000)
        under_way = [r for r in referrals.of_patients(connection, found.patients) if r.state not in referrals.ENDED]
        if under_way or any(case.status == "open" for case in cases):
            raise InputError("privacy-treating")
        kept_ms = person.kept_until_ms(connection, found)
        outcome: dict[str, object] = {"kits": list(found.kits)}
        if kept_ms is not None and kept_ms > now_ms:
            outcome |= {
                "deleted": person.delete_unsigned(connection, found),
                "restricted": person.restrict(connection, found, now_ms),
                "kept_until_ms": kept_ms,
            }
        else:
            subjects = found.subjects(connection)
            outcome |= {"deleted": person.delete_record(connection, found), "restricted": 0}
            outcome["redacted"] = audit.redact(connection, now_ms, by.login, subjects)
        _move(
            connection,
            request,
            "approved",
            state="done",
            done_ms=now_ms,
            done_by=by.login,
            outcome=json.dumps(outcome, sort_keys=True),
        )
        restricted = "yes" if outcome["restricted"] else "no"
        audit.append(connection, now_ms, by.login, "privacy-deleted", f"privacy:{request.id}", restricted=restricted)
        return _request(connection, request_id, seer)


def listed(store: HubStore, by: Practitioner, limit: int = 100) -> list[PrivacyRequest]:
    """The requests of a person's units, newest first.

    Raises:
        InputError: ``denied-role``.
    """
    with store.reading() as connection:
        orgs = _orgs(connection, by, store.clock.now_ms())
        rows = connection.execute(
            select(privacy_requests).where(_C.org_id.in_(orgs)).order_by(_C.recorded_ms.desc()).limit(limit)
        )
        return [PrivacyRequest(**row._mapping) for row in rows]


def find(store: HubStore, request_id: UUID, by: Practitioner) -> PrivacyRequest:
    """One request.

    Raises:
        InputError: ``denied-role`` or ``privacy-unknown``.
    """
    with store.reading() as connection:
        return _request(connection, request_id, _orgs(connection, by, store.clock.now_ms()))


def _orgs(connection: Connection, by: Practitioner, now_ms: int) -> frozenset[str]:
    if reach(by.role, "privacy") is None and reach(by.role, "privacy-approve") is None:
        raise InputError("denied-role")
    return viewer(connection, by, now_ms).orgs


def _allowed(connection: Connection, by: Practitioner, action: Action, now_ms: int) -> frozenset[str]:
    if reach(by.role, action) is None:
        raise InputError("denied-role")
    return viewer(connection, by, now_ms).orgs


def _person(connection: Connection, orgs: frozenset[str], number: str, case_id: UUID | None) -> UUID | None:
    """A patient of whom one of these units has a case."""
    wanted = number.strip().upper()
    if wanted:
        candidates = identities.with_number(connection, wanted)
    else:
        item = work.find(connection, case_id) if case_id is not None else None
        candidates = [] if item is None else [item.patient_id]
    cases = work.of_patients(connection, candidates, 500) if candidates else []
    return next((case.patient_id for case in cases if case.org_id in orgs), None)


def _request(connection: Connection, request_id: UUID, orgs: frozenset[str]) -> PrivacyRequest:
    row = connection.execute(select(privacy_requests).where(_C.id == request_id)).one_or_none()
    if row is None or row.org_id not in orgs:
        raise InputError("privacy-unknown")
    return PrivacyRequest(**row._mapping)


def _move(connection: Connection, request: PrivacyRequest, before: State, **values: object) -> None:
    moved = update(privacy_requests).where(_C.id == request.id, _C.state == before).values(**values)
    if connection.execute(moved).rowcount != 1:
        raise InputError("privacy-state")
