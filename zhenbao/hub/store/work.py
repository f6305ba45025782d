"""Work items: one case an encounter, ranked by the most urgent thing that nobody has reported on yet.

While a case is open its urgency does not fall by itself (but see ``place``): what looked critical stays on top until
a person has answered. After a signed report only readings that no signed report covers open it again.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, and_, insert, or_, select, update

from zhenbao.hub.roster import Roster
from zhenbao.hub.routing import Placement, joint_specialties, routes_to
from zhenbao.hub.routing import place as route
from zhenbao.hub.store import audit, organisations, records
from zhenbao.hub.store.tables import reports, work_items
from zhenbao.model.finding import Urgency
from zhenbao.model.ids import uuid7
from zhenbao.model.observation import Observation
from zhenbao.model.time import age_years

CaseStatus = Literal["open", "reported", "archived"]
_Arrival = tuple[Observation, int, int]
"""A reading, when it came, and by how many ms the kit's clock was ahead then."""
HUB = "hub"
"""The actor of what the hub does by itself."""


@dataclass(frozen=True, slots=True)
class WorkItem:
    """A case as the worklist knows it. ``effective_ms`` is the kit's time, all others are the hub's."""

    id: UUID
    encounter_id: UUID
    patient_id: UUID
    kit_id: str
    status: CaseStatus
    urgency: Urgency
    route_id: str
    other_routes: tuple[str, ...]
    lead_rule: str | None
    specialty: str | None
    second_specialty: str | None
    late: bool
    effective_ms: int
    received_ms: int
    ranked_ms: int
    ack_due_ms: int | None
    report_due_ms: int | None
    owner: str | None
    owner_phone: str
    fallback: bool
    acknowledged_ms: int | None
    acknowledged_by: str | None
    reported_ms: int | None
    org_id: str = organisations.ROOT
    """Where the kit stood when the case was opened."""
    clock_ahead_ms: int = 0
    """By how much the kit's clock was ahead when it sent the reading; negative: behind."""

    @property
    def joint_specialties(self) -> tuple[str, ...]:
        """Who else is asked, each for their own readings; the lead answers for the whole case."""
        return joint_specialties(self.other_routes, self.specialty, self.second_specialty)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which cases a list may hold."""

    orgs: frozenset[str]
    login: str | None = None
    """With ``specialty``: of these organisations only what is this person's."""
    specialty: str | None = None
    patients: frozenset[UUID] = frozenset()
    """Besides, whatever concerns these: a grant opens them."""


def place(connection: Connection, encounter_id: UUID, roster: Roster, now_ms: int, *, completed: bool = False) -> None:
    """Make or re-rank the case of an encounter from all that is known of it now.

    Args:
        connection: in a writing transaction.
        encounter_id: whose case.
        roster: who is on duty.
        now_ms: the hub's time.
        completed: the encounter itself has just come for the first time. Critical readings overtake it, so that they
            are first routed as if every unknown answer were the worse one; before anybody has looked, the answers
            may therefore also lower the case.
    """
    readings = records.arrivals_of(connection, encounter_id)
    if not readings:
        return
    row = connection.execute(
        select(work_items).where(work_items.c.encounter_id == encounter_id).with_for_update()
    ).one_or_none()
    done = covered(connection, encounter_id)
    fresh = [each for each in readings if each[0].id not in done]
    if not fresh:
        return
    placement = _route(connection, fresh, roster, now_ms)
    if row is None:
        item_id = uuid7(now_ms)
        values = _columns(placement, fresh, now_ms)
        org_id = organisations.of_kit(connection, fresh[-1][0].kit_id)
        connection.execute(insert(work_items).values(id=item_id, encounter_id=encounter_id, org_id=org_id, **values))
        _note(connection, now_ms, "case-opened", item_id, placement)
        return
    item = as_item(row)
    if completed and item.status == "open" and item.acknowledged_ms is None:
        _set(connection, item.id, **_columns(placement, fresh, item.ranked_ms))
        if placement.urgency is not item.urgency:
            _note(connection, now_ms, "case-ranked", item.id, placement)
    elif item.status == "open" and placement.urgency.rank >= item.urgency.rank:
        # The same or less urgent: the clocks that run and the person who answers stay.
        others = sorted({*item.other_routes, *placement.other_routes, placement.route_id} - {item.route_id})
        _set(connection, item.id, other_routes=" ".join(others))
        if placement.urgency is item.urgency and item.late and not placement.late:
            # A reading as critical as the late one, but fresh: somebody is with the patient now.
            _set(connection, item.id, late=False, **_times(fresh))
    elif item.status == "open" or placement.urgency is not Urgency.GREEN:
        _set(connection, item.id, **_columns(placement, fresh, now_ms))
        _note(connection, now_ms, "case-ranked", item.id, placement)


def encounters_of(connection: Connection, patient_id: UUID) -> list[UUID]:
    """The encounters of a patient that have a case."""
    found = select(work_items.c.encounter_id).where(work_items.c.patient_id == patient_id)
    return list(connection.execute(found).scalars())


def find(connection: Connection, item_id: UUID) -> WorkItem | None:
    """One case."""
    row = connection.execute(select(work_items).where(work_items.c.id == item_id)).one_or_none()
    return None if row is None else as_item(row)


def of_encounter(connection: Connection, encounter_id: UUID) -> WorkItem | None:
    """The case of an encounter."""
    row = connection.execute(select(work_items).where(work_items.c.encounter_id == encounter_id)).one_or_none()
    return None if row is None else as_item(row)


def of_patients(connection: Connection, patient_ids: Iterable[UUID], limit: int) -> list[WorkItem]:
    """The cases of a person, newest first."""
    found = (
        select(work_items)
        .where(work_items.c.patient_id.in_(list(patient_ids)))
        .order_by(work_items.c.effective_ms.desc(), work_items.c.id.desc())
        .limit(limit)
    )
    return [as_item(row) for row in connection.execute(found)]


def listing(
    connection: Connection,
    statuses: Sequence[CaseStatus],
    *,
    specialty: str | None,
    scope: Scope | None,
    limit: int,
) -> list[WorkItem]:
    """Cases, the most pressing first; in the archive the newest first.

    Args:
        statuses: which cases.
        specialty: only this one.
        scope: which ones the reader may see; None: all.
        limit: at most so many.
    """
    wanted = select(work_items).where(work_items.c.status.in_(statuses))
    if specialty is not None:
        wanted = wanted.where(work_items.c.specialty == specialty)
    if scope is not None:
        wanted = wanted.where(or_(_within(scope), work_items.c.patient_id.in_(scope.patients)))
    if tuple(statuses) == ("open",):
        wanted = wanted.order_by(work_items.c.urgency_rank, work_items.c.report_due_ms, work_items.c.id)
    else:
        wanted = wanted.order_by(work_items.c.received_ms.desc(), work_items.c.id.desc())
    return [as_item(row) for row in connection.execute(wanted.limit(limit))]


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
            *((" " + work_items.c.other_routes + " ").contains(f" {route_id} ") for route_id in routes_to(own)),
        )
    return and_(there, theirs)


def acknowledge(connection: Connection, item: WorkItem, login: str, now_ms: int) -> None:
    """A specialist has seen the case; the first one counts."""
    if item.acknowledged_ms is None:
        _set(connection, item.id, acknowledged_ms=now_ms, acknowledged_by=login)


def assign(connection: Connection, item: WorkItem, login: str, phone: str) -> None:
    """Give the case to somebody."""
    _set(connection, item.id, owner=login, owner_phone=phone, fallback=False)


def close(connection: Connection, item: WorkItem, login: str, roster: Roster, now_ms: int) -> None:
    """A report was signed; readings that it does not cover open the case again at once."""
    values: dict[str, object] = {"status": "reported", "reported_ms": now_ms}
    if item.acknowledged_ms is None:
        values |= {"acknowledged_ms": now_ms, "acknowledged_by": login}
    _set(connection, item.id, **values)
    place(connection, item.encounter_id, roster, now_ms)


def covered(connection: Connection, encounter_id: UUID) -> set[UUID]:
    """The readings of an encounter that a signed report covers."""
    signed = select(reports.c.observation_ids).where(
        reports.c.encounter_id == encounter_id, reports.c.status == "signed"
    )
    return {UUID(id_) for ids in connection.execute(signed).scalars() for id_ in json.loads(ids or "[]")}


def _route(connection: Connection, readings: Sequence[_Arrival], roster: Roster, now_ms: int) -> Placement:
    last = readings[-1][0]
    patient = records.patient(connection, last.patient_id)
    born = patient.birth_date if patient is not None else None
    return route(
        [finding for reading, *_ in readings for finding in reading.findings],
        age_years=age_years(born, last.effective_ms) if born else None,
        chest_pain=_chest_pain(connection, last.encounter_id, readings),
        late_min=age_ms(*_deciding(readings)) / 60_000,
        roster=roster,
        at_ms=now_ms,
    )


def _chest_pain(connection: Connection, encounter_id: UUID, readings: Sequence[_Arrival]) -> str:
    """What anybody answered: a yes counts most, then a no."""
    encounter = records.encounter(connection, encounter_id)
    answers = {reading.context.get("chest_pain", "unknown") for reading, *_ in readings}
    if encounter is not None:
        answers.add(encounter.chest_pain)
    return next((answer for answer in ("yes", "no") if answer in answers), "unknown")


def age_ms(reading: Observation, received_ms: int, clock_ahead_ms: int) -> int:
    """How old a reading was when it came, by the hub's clock.

    A kit's clock that was ahead when it sent the reading has made it look younger by as much. One that was behind makes
    it look older, and that stays: it may have been put right only after the taking, and to telephone in vain is the
    smaller harm.
    """
    return received_ms - reading.effective_ms + max(0, clock_ahead_ms)


def _deciding(readings: Sequence[_Arrival]) -> _Arrival:
    """The most urgent reading; of several the one that was freshest when it came.

    One fresh critical reading means that somebody is with the patient now, whatever came late beside it.
    """
    rank = min(reading.urgency.rank for reading, *_ in readings)
    return min((each for each in readings if each[0].urgency.rank == rank), key=lambda each: age_ms(*each))


def _times(readings: Sequence[_Arrival]) -> dict[str, object]:
    reading, received_ms, clock_ahead_ms = _deciding(readings)
    return {"effective_ms": reading.effective_ms, "received_ms": received_ms, "clock_ahead_ms": clock_ahead_ms}


def _columns(placement: Placement, readings: Sequence[_Arrival], now_ms: int) -> dict[str, object]:
    reading, *_ = _deciding(readings)
    archive = placement.specialty is None
    return {
        "patient_id": reading.patient_id,
        "kit_id": reading.kit_id,
        "status": "archived" if archive else "open",
        "urgency": placement.urgency.value,
        "urgency_rank": placement.urgency.rank,
        "route_id": placement.route_id,
        "other_routes": " ".join(placement.other_routes),
        "lead_rule": placement.lead_rule,
        "specialty": placement.specialty,
        "second_specialty": placement.second_specialty,
        "late": placement.late,
        **_times(readings),
        "ranked_ms": now_ms,
        "ack_due_ms": _due(now_ms, placement.ack_min),
        "report_due_ms": _due(now_ms, placement.report_min),
        "owner": placement.owner,
        "owner_phone": placement.owner_phone,
        "fallback": placement.fallback,
        "acknowledged_ms": None,
        "acknowledged_by": None,
        "reported_ms": None,
    }


def _due(now_ms: int, minutes: float | None) -> int | None:
    return None if minutes is None else now_ms + round(minutes * 60_000)


def _note(connection: Connection, now_ms: int, action: str, item_id: UUID, placement: Placement) -> None:
    audit.append(
        connection,
        now_ms,
        HUB,
        action,
        f"case:{item_id}",
        urgency=placement.urgency.value,
        route=placement.route_id,
        specialty=placement.specialty or "-",
        owner=placement.owner or "-",
    )


def _set(connection: Connection, item_id: UUID, **values: object) -> None:
    connection.execute(update(work_items).where(work_items.c.id == item_id).values(**values))


def as_item(row: Row[tuple[object, ...]]) -> WorkItem:
    r = row._mapping
    return WorkItem(
        id=cast(UUID, r["id"]),
        encounter_id=cast(UUID, r["encounter_id"]),
        patient_id=cast(UUID, r["patient_id"]),
        kit_id=r["kit_id"],
        status=r["status"],
        urgency=Urgency(r["urgency"]),
        route_id=r["route_id"],
        other_routes=tuple(r["other_routes"].split()),
        lead_rule=r["lead_rule"],
        specialty=r["specialty"],
        second_specialty=r["second_specialty"],
        late=r["late"],
        effective_ms=r["effective_ms"],
        received_ms=r["received_ms"],
        clock_ahead_ms=r["clock_ahead_ms"],
        ranked_ms=r["ranked_ms"],
        ack_due_ms=r["ack_due_ms"],
        report_due_ms=r["report_due_ms"],
        owner=r["owner"],
        owner_phone=r["owner_phone"],
        fallback=r["fallback"],
        acknowledged_ms=r["acknowledged_ms"],
        acknowledged_by=r["acknowledged_by"],
        reported_ms=r["reported_ms"],
        org_id=r["org_id"],
    )
