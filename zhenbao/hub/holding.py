"""Who works on a case: claiming it, letting it go, taking it over with a reason, and claims that end by themselves."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection

from zhenbao.hub.access import LONGEST_REASON, SHORTEST_REASON, check, leads
from zhenbao.hub.store import HubStore, audit, claims, people, work
from zhenbao.hub.store.claims import Action, Claim
from zhenbao.hub.store.people import Practitioner, Session
from zhenbao.hub.store.work import HUB, WorkItem
from zhenbao.model.errors import InputError
from zhenbao.model.time import local_text


def claim(store: HubStore, case_id: UUID, session: Session, *, over: str = "", reason: str = "") -> None:
    """Begin to work on a case, so that others see it. One's own claim begins anew, in this session.

    Args:
        over: the login of the one who holds the case, as the person was shown it; somebody else by now refuses.
        reason: why it is taken over from them; they are told at once, by whom and not why.

    Raises:
        InputError: ``case-unknown``, why not (see ``access.check``), ``case-not-open``; ``claim-held``, somebody
            else holds it and it was not said that it is known; ``claim-reason`` or ``reason-long``.
    """
    person, now_ms = session.practitioner, store.clock.now_ms()
    with store.writing() as connection:
        item = _open(connection, case_id)
        check(connection, person, "claim", item, now_ms)
        held = claims.of_case(connection, case_id, now_ms)
        if held is None or held.login == person.login:
            begin(connection, item, session, now_ms, held)
            return
        if over != held.login:
            raise refusal(connection, held)
        told = checked_reason(reason)
        claims.take(connection, case_id, person.login, session.id, now_ms)
        claims.note(
            connection, case_id, "taken-over", person.login, now_ms, holder=person.login, before=held.login, reason=told
        )
        audit.append(
            connection,
            now_ms,
            person.login,
            "case-taken-over",
            f"case:{case_id}",
            holder=person.login,
            before=held.login,
        )


def begin(connection: Connection, item: WorkItem, session: Session, now_ms: int, held: Claim | None) -> None:
    """Give a case that nobody else holds to this session."""
    person = session.practitioner
    if held is not None:
        claims.touch(connection, item.id, person.login, session.id, now_ms)
        return
    claims.take(connection, item.id, person.login, session.id, now_ms)
    claims.note(connection, item.id, "claimed", person.login, now_ms, holder=person.login, before=None)
    audit.append(connection, now_ms, person.login, "case-claimed", f"case:{item.id}", holder=person.login)


def release(store: HubStore, case_id: UUID, person: Practitioner) -> None:
    """Let one's own case go; harmless where one does not hold it.

    Raises:
        InputError: ``case-unknown``, or why not (see ``access.check``).
    """
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        item = _found(connection, case_id)
        check(connection, person, "claim", item, now_ms)
        held = claims.of_case(connection, case_id, now_ms)
        if held is not None and held.login == person.login:
            end(connection, case_id, held.login, "released", person.login, now_ms)


def end(connection: Connection, case_id: UUID, before: str, action: Action, by: str, now_ms: int) -> None:
    """Nobody holds the case any longer; the one who did is told by the audit's news, unless they did it themselves."""
    claims.drop(connection, case_id)
    claims.note(connection, case_id, action, by, now_ms, holder=None, before=before)
    audit.append(connection, now_ms, by, "case-released", f"case:{case_id}", before=before, why=action)


def keep(store: HubStore, case_id: UUID, session: Session) -> None:
    """The person does something with a case: their claim lasts; where nobody holds it, its lead's writing claims it.

    Somebody else's claim stays as it is: they see each other's draft, and signing asks. Who was asked to join writes of
    their own readings, and claims the case only by saying so.
    """
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        item = _found(connection, case_id)
        held = claims.of_case(connection, case_id, now_ms)
        mine = held.login == session.practitioner.login if held is not None else leads(session.practitioner, item)
        if item.status == "open" and mine:
            check(connection, session.practitioner, "claim", item, now_ms)
            begin(connection, item, session, now_ms, held)


def expire(store: HubStore) -> int:
    """End the claims whose session is over or whose holder has been idle; returns how many.

    They have no effect from that moment anyway; this writes it down, and makes the lists say it.

    Raises:
        StorageError: nothing was ended; look again later.
    """
    now_ms = store.clock.now_ms()
    with store.reading() as connection:
        if not claims.ended(connection, now_ms):
            return 0
    with store.writing() as connection:
        gone = claims.ended(connection, now_ms)
        for case_id, login, why in gone:
            end(connection, case_id, login, why, HUB, now_ms)
    return len(gone)


def refuse_unknowing(connection: Connection, item: WorkItem, author: Practitioner, knowing: str, now_ms: int) -> None:
    """Before signing: whether somebody else holds the case and the author, who answers for it, does not know it.

    Raises:
        InputError: ``claim-held-sign``.
    """
    held = claims.of_case(connection, item.id, now_ms) if leads(author, item) else None
    if held is not None and held.login not in (author.login, knowing):
        raise refusal(connection, held, "claim-held-sign")


def refusal(connection: Connection, held: Claim, code: str = "claim-held") -> InputError:
    """Says who holds a case since when."""
    return InputError(
        code, login=held.login, name=people.name_of(connection, held.login), since=local_text(held.since_ms)[11:]
    )


def checked_reason(reason: str) -> str:
    """The reason without needless spaces.

    Raises:
        InputError: ``claim-reason``, it says too little; ``reason-long``.
    """
    told = " ".join(reason.split())
    if len(told) < SHORTEST_REASON:
        raise InputError("claim-reason", shortest=SHORTEST_REASON)
    if len(told) > LONGEST_REASON:
        raise InputError("reason-long", longest=LONGEST_REASON)
    return told


def _found(connection: Connection, case_id: UUID) -> WorkItem:
    item = work.find(connection, case_id)
    if item is None:
        raise InputError("case-unknown")
    return item


def _open(connection: Connection, case_id: UUID) -> WorkItem:
    item = _found(connection, case_id)
    if item.status != "open":
        raise InputError("case-not-open")
    return item
