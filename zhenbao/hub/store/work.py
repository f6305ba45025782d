"""Work items: one case an encounter, ranked by the most urgent thing that nobody has reported on yet.

While a case is open its urgency does not fall by itself (but see ``placing``): what looked critical stays on top until
a person has answered. After a signed report only readings that no signed report covers open it again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, cast
from uuid import UUID

from sqlalchemy import Connection, Row, select, update

from zhenbao import rules
from zhenbao.hub.routing import joint_specialties
from zhenbao.hub.store import organisations
from zhenbao.hub.store.tables import work_items
from zhenbao.model.finding import Urgency

CaseStatus = Literal["open", "reported", "archived"]
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
    rules_version: str | None = None
    """Of the rules that ranked it; None: before versions were kept."""
    joint: tuple[str, ...] | None = None
    restricted_ms: int | None = None
    """Since then it is kept because the law says so, and shown to nobody."""

    @property
    def joint_specialties(self) -> tuple[str, ...]:
        """Who else is asked, each for their own readings; the lead answers for the whole case."""
        if self.joint is not None:
            return self.joint
        return joint_specialties(rules.program_table(), self.other_routes, self.specialty, self.second_specialty)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which cases a list may hold."""

    orgs: frozenset[str]
    login: str | None = None
    """With ``specialty``: of these organisations only what is this person's."""
    specialty: str | None = None
    patients: frozenset[UUID] = frozenset()
    """Besides, whatever concerns these: a grant opens them."""
    shared: frozenset[tuple[UUID, str]] = frozenset()
    """Besides, what concerns these patients in this organisation: it agreed to share."""


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


def acknowledge(connection: Connection, item: WorkItem, login: str, now_ms: int) -> None:
    """A specialist has seen the case; the first one counts."""
    if item.acknowledged_ms is None:
        change(connection, item.id, acknowledged_ms=now_ms, acknowledged_by=login)


def assign(connection: Connection, item: WorkItem, login: str, phone: str) -> None:
    """Give the case to somebody."""
    change(connection, item.id, owner=login, owner_phone=phone, fallback=False)


def change(connection: Connection, item_id: UUID, **values: object) -> None:
    """Change columns of a case."""
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
        clock_ahead_ms=r["clock_ahead_ms"],
        rules_version=r["rules_version"],
        joint=None if r["joint"] is None else tuple(r["joint"].split()),
        restricted_ms=r["restricted_ms"],
    )
