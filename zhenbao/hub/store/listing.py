"""The worklist's queries: which cases a person's list holds, filtered, in order, a page at a time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, func, or_, select, text

from zhenbao.hub.routing import routes_to
from zhenbao.hub.store import claims, search
from zhenbao.hub.store.list_tables import DUE
from zhenbao.hub.store.search import Allowed
from zhenbao.hub.store.tables import observations, work_items
from zhenbao.hub.store.work import Scope, WorkItem, as_item
from zhenbao.model.finding import Urgency

Shown = Literal["open", "archive"]
Answered = Literal["", "unanswered", "answered", "overdue"]
Held = Literal["", "mine", "unclaimed", "others"]


@dataclass(frozen=True, slots=True)
class Filters:
    """What a person chose to see of their list; empty: everything."""

    shown: Shown = "open"
    urgency: Urgency | None = None
    specialty: str = ""
    org: str = ""
    """With all below it."""
    answered: Answered = ""
    held: Held = ""
    kind: str = ""
    """A code of the readings: cases that hold one of these."""
    text: str = ""

    @property
    def any(self) -> bool:
        """Whether something is left out."""
        return self != Filters(shown=self.shown)


@dataclass(frozen=True, slots=True)
class Reader:
    """Whose list it is, as of now."""

    now_ms: int
    login: str | None = None
    scope: Scope | None = None
    """None: all cases."""
    allowed: Allowed = field(default=Allowed(name=True, number=True))
    orgs: Collection[str] | None = None
    """Of the organisation in the filter and all below it."""


def page(connection: Connection, filters: Filters, reader: Reader, *, limit: int, offset: int = 0) -> list[WorkItem]:
    """Cases, the most urgent first and of these the one with the least time left; in the archive the newest first."""
    wanted = ordered(select(work_items).where(*_wanted(filters, reader)), filters.shown)
    return [as_item(row) for row in connection.execute(wanted.limit(limit).offset(offset))]


def counts(connection: Connection, filters: Filters, reader: Reader) -> dict[Urgency, int]:
    """How many cases of each urgency the list holds, over all of its pages."""
    wanted = select(work_items.c.urgency, func.count()).where(*_wanted(filters, reader)).group_by(work_items.c.urgency)
    found = {Urgency(urgency): number for urgency, number in connection.execute(wanted)}
    return {urgency: found.get(urgency, 0) for urgency in Urgency}


def ordered(wanted: Select[tuple[object, ...]], shown: Shown) -> Select[tuple[object, ...]]:
    """In the order of the list, which is the order of an index."""
    c = work_items.c
    if shown == "open":
        return wanted.order_by(c.urgency_rank, text(DUE), c.id)
    return wanted.order_by(c.received_ms.desc(), c.id.desc())


def _wanted(filters: Filters, reader: Reader) -> list[ColumnElement[bool]]:
    c = work_items.c
    wanted: list[ColumnElement[bool]] = [c.status == "open" if filters.shown == "open" else c.status != "open"]
    if reader.scope is not None:
        opened: list[ColumnElement[bool]] = [c.patient_id.in_(reader.scope.patients)]
        opened += [and_(c.patient_id == patient, c.org_id == org) for patient, org in reader.scope.shared]
        wanted += [or_(_within(reader.scope), *opened), c.restricted_ms.is_(None)]
    if filters.urgency is not None:
        wanted.append(c.urgency_rank == filters.urgency.rank)
    if filters.specialty:
        wanted.append(c.specialty == filters.specialty)
    if filters.org:
        wanted.append(c.org_id.in_(reader.orgs or [filters.org]))
    if filters.answered == "unanswered":
        wanted.append(c.acknowledged_ms.is_(None))
    elif filters.answered == "answered":
        wanted.append(c.acknowledged_ms.is_not(None))
    elif filters.answered == "overdue":
        wanted.append(text(f"{DUE} < :now_ms").bindparams(now_ms=reader.now_ms))  # type: ignore[arg-type]  # a condition
    if filters.held == "mine":
        wanted.append(or_(c.owner == reader.login, claims.is_held(reader.now_ms, by=reader.login or "")))
    elif filters.held == "unclaimed":
        wanted.append(~claims.is_held(reader.now_ms))
    elif filters.held == "others":
        wanted.append(claims.is_held(reader.now_ms, not_by=reader.login or ""))
    if filters.kind:
        reading = observations.c
        wanted.append(exists().where(reading.encounter_id == c.encounter_id, reading.code == filters.kind))
    if filters.text.strip():
        wanted.append(search.matching(filters.text, reader.allowed))
    return wanted


def _within(scope: Scope) -> ColumnElement[bool]:
    there = work_items.c.org_id.in_(scope.orgs)
    if scope.login is None:
        return there
    theirs = work_items.c.owner == scope.login
    if (own := scope.specialty) is not None:
        theirs = or_(
            theirs,
            work_items.c.specialty == own,
            and_(work_items.c.second_specialty == own, work_items.c.specialty.is_not(None)),
            (" " + work_items.c.joint + " ").contains(f" {own} "),
            and_(
                work_items.c.joint.is_(None),
                or_(*((" " + work_items.c.other_routes + " ").contains(f" {id_} ") for id_ in routes_to(own))),
            ),
        )
    return and_(there, theirs)
