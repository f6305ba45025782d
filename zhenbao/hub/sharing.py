"""Sideways only by request: a person who treats asks, the unit that has the records agrees, for a time, in the audit.

Whoever asks is never the one who agrees, whatever their roles. Where the person has withdrawn their consent to sharing,
nothing is shared; an emergency look stays possible (Personal Information Protection Law, article 13(4)).
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from zhenbao.hub.access import LONGEST_REASON, SHORTEST_REASON, Viewer, viewer
from zhenbao.hub.permission import reach
from zhenbao.hub.store import HubStore, audit, consents, grants, identities, shares, work
from zhenbao.hub.store.people import Practitioner
from zhenbao.hub.store.shares import ShareRequest, State
from zhenbao.model.errors import InputError

LONGEST_DAYS = 90


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A unit that has something of a person, out of reach of the one who asks."""

    patient_id: UUID
    org_id: str


def elsewhere(connection: Connection, seer: Viewer, patient_id: UUID) -> list[Elsewhere]:
    """Which units have cases of a person that this viewer cannot open."""
    found = []
    for item in work.of_patients(connection, identities.same_person(connection, patient_id), 500):
        there = Elsewhere(item.patient_id, item.org_id)
        closed = item.org_id not in seer.orgs and seer.grant(item) is None and item.restricted_ms is None
        if closed and there not in found:
            found.append(there)
    return found


def ask(store: HubStore, case_id: UUID, by: Practitioner, *, reason: str, days: int) -> list[ShareRequest]:
    """Ask every unit that has something of a case's patient; returns the requests.

    Args:
        days: for how long, from the day of the agreement.

    Raises:
        InputError: ``case-unknown``; why not (see ``access.check``); ``share-reason``, ``share-days``;
            ``share-consent``, the person has withdrawn their consent; ``share-nothing``, nobody else has anything, or
            all were asked.
    """
    told = _words(reason)
    if not 1 <= days <= LONGEST_DAYS:
        raise InputError("share-days", longest=LONGEST_DAYS)
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        item = work.find(connection, case_id)
        if item is None:
            raise InputError("case-unknown")
        seer = viewer(connection, by, now_ms)
        denied = seer.denial("open", item) or seer.denial("share-ask", item)
        if denied is not None:
            raise InputError(denied)
        if consents.state(connection, item.patient_id, "county-sharing") is False:
            raise InputError("share-consent")
        person = identities.same_person(connection, item.patient_id)
        waiting = {
            (r.patient_id, r.owner_org)
            for r in shares.of_patients(connection, person)
            if r.login == by.login and r.state_at(now_ms) == "asked"
        }
        made = []
        for there in elsewhere(connection, seer, item.patient_id):
            if (there.patient_id, there.org_id) in waiting:
                continue
            request = shares.ask(connection, by.login, by.org_id, there.patient_id, there.org_id, told, days, now_ms)
            audit.append(connection, now_ms, by.login, "share-asked", f"share:{request.id}", owner=there.org_id)
            made.append(request)
        if not made:
            raise InputError("share-nothing")
    return made


def decide(
    store: HubStore, request_id: UUID, by: Practitioner, *, approve: bool, days: int | None = None, note: str = ""
) -> ShareRequest:
    """Agree to a request, perhaps for fewer days, or refuse it with a reason.

    Raises:
        InputError: ``share-unknown``, also where it is none of this person's business; ``denied-role``; ``share-own``,
            nobody decides on their own request; ``share-settled``; ``share-days``; ``share-reason``, a refusal says
            why; ``share-consent``.
    """
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        request = _to_decide(connection, request_id, by, now_ms)
        if request.state_at(now_ms) != "asked":
            raise InputError("share-settled")
        if not approve:
            _move(connection, request, "refused", by, now_ms, note=_words(note))
            return _found(connection, request_id)
        length = request.days if days is None else days
        if not 1 <= length <= request.days:
            raise InputError("share-days", longest=request.days)
        if consents.state(connection, request.patient_id, "county-sharing") is False:
            raise InputError("share-consent")
        grant = grants.give(
            connection,
            request.login,
            request.patient_id,
            "share",
            request.reason,
            by.login,
            now_ms,
            24 * length,
            request.owner_org,
        )
        note = " ".join(note.split())[:LONGEST_REASON]
        _move(connection, request, "approved", by, now_ms, note=note, grant_id=grant.id, ends_ms=grant.ends_ms)
        return _found(connection, request_id)


def finish(store: HubStore, request_id: UUID, by: Practitioner) -> ShareRequest:
    """Take a request back, or end what was agreed: who asked may, and so may the unit that agreed.

    Raises:
        InputError: ``share-unknown`` or ``share-settled``.
    """
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        request = _found(connection, request_id)
        if request.login != by.login:
            request = _to_decide(connection, request_id, by, now_ms)
        now = request.state_at(now_ms)
        if now == "asked" and request.login == by.login:
            _move(connection, request, "withdrawn", by, now_ms)
        elif now == "approved" and request.grant_id is not None:
            grants.end(connection, request.grant_id, now_ms)
            _move(connection, request, "ended", by, now_ms, ends_ms=now_ms)
        else:
            raise InputError("share-settled")
        return _found(connection, request_id)


def end_all(connection: Connection, patient_ids: list[UUID], by: str, now_ms: int) -> int:
    """End every request and every share of a person, as when they withdraw their consent; returns how many."""
    ended = 0
    for request in shares.of_patients(connection, patient_ids):
        if request.state_at(now_ms) in ("asked", "approved"):
            shares.settle(connection, request, "ended", by, now_ms, ends_ms=now_ms)
            audit.append(connection, now_ms, by, "share-ended", f"share:{request.id}", why="consent")
            ended += 1
    grants.end_of_patients(connection, patient_ids, ("share", "consult"), now_ms)
    return ended


def may_decide(connection: Connection, by: Practitioner, now_ms: int) -> frozenset[str]:
    """The units for which a person answers requests."""
    wide = reach(by.role, "share-decide")
    if wide is None:
        return frozenset()
    return frozenset({by.org_id}) if wide == "own" else viewer(connection, by, now_ms).orgs


def _to_decide(connection: Connection, request_id: UUID, by: Practitioner, now_ms: int) -> ShareRequest:
    if reach(by.role, "share-decide") is None:
        raise InputError("denied-role")
    request = _found(connection, request_id)
    if request.owner_org not in may_decide(connection, by, now_ms):
        raise InputError("share-unknown")
    if request.login == by.login:
        raise InputError("share-own")
    return request


def _found(connection: Connection, request_id: UUID) -> ShareRequest:
    request = shares.find(connection, request_id)
    if request is None:
        raise InputError("share-unknown")
    return request


def _move(
    connection: Connection,
    request: ShareRequest,
    state: State,
    by: Practitioner,
    now_ms: int,
    *,
    note: str = "",
    grant_id: UUID | None = None,
    ends_ms: int | None = None,
) -> None:
    if not shares.settle(connection, request, state, by.login, now_ms, note=note, grant_id=grant_id, ends_ms=ends_ms):
        raise InputError("share-settled")
    audit.append(connection, now_ms, by.login, f"share-{state}", f"share:{request.id}")


def _words(reason: str) -> str:
    told = " ".join(reason.split())
    if not SHORTEST_REASON <= len(told) <= LONGEST_REASON:
        raise InputError("share-reason", shortest=SHORTEST_REASON, longest=LONGEST_REASON)
    return told
