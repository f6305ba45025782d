"""The worklist as people see it: its lines, put together a page at a time, and what stands above them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from zhenbao.hub.access import Viewer
from zhenbao.hub.store import claims, listing, organisations, people
from zhenbao.hub.store.claims import Claim
from zhenbao.hub.store.listing import Filters, Reader
from zhenbao.hub.store.search import Allowed
from zhenbao.hub.store.tables import observations, patients, report_reads, reports
from zhenbao.hub.store.work import WorkItem
from zhenbao.model.finding import Urgency
from zhenbao.model.patient import Patient
from zhenbao.sync.envelope import unpack

PAGE_ROWS = 50


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the worklist."""

    item: WorkItem
    patient: Patient | None
    """None: not arrived yet."""
    owner: str
    """The owner's name, or the login where there is no account of it yet."""
    read_ms: int | None
    """When the village doctor read the last report, by the kit's time."""
    claim: Claim | None = None
    """Who works on it now."""
    holder: str = ""
    """The name of who holds the claim."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The worklist as a page shows it."""

    rows: tuple[Row, ...]
    counts: dict[Urgency, int]
    """Of all pages of the list; empty for the archive, which nobody counts."""
    arrival_ms: int | None
    """When the hub last received a reading; None before the first."""
    quarantined: int
    page: int = 1
    more: bool = False
    """There is a next page."""


def reader_of(connection: Connection, seer: Viewer | None, filters: Filters, now_ms: int) -> Reader | None:
    """Whose list it is, and how far it goes; None: this person has none. ``seer`` None is who runs this machine."""
    orgs = organisations.subtree(connection, filters.org) if filters.org else None
    if seer is None:
        return Reader(now_ms, orgs=orgs)
    scope = seer.scope()
    if scope is None:
        return None
    allowed = Allowed(name=seer.allowed("search-name"), number=seer.allowed("search-number"))
    return Reader(now_ms, seer.person.login, scope, allowed, orgs)


def rows_of(connection: Connection, items: Sequence[WorkItem], now_ms: int) -> list[Row]:
    """The lines of some cases; all that belongs to them is looked up at once."""
    if not items:
        return []
    bodies = select(patients.c.body).where(patients.c.id.in_({item.patient_id for item in items}))
    persons = {
        value.id: value
        for body in connection.execute(bodies).scalars()
        if isinstance(value := unpack("patient", body), Patient)
    }
    held = claims.live(connection, [item.id for item in items], now_ms)
    logins = {item.owner for item in items if item.owner} | {claim.login for claim in held.values()}
    names = people.names(connection, logins)
    read = _last_read(connection, [item for item in items if item.status == "reported"])
    return [
        Row(
            item,
            persons.get(item.patient_id),
            names.get(item.owner or "", ""),
            read.get(item.encounter_id),
            claim := held.get(item.id),
            names[claim.login] if claim is not None else "",
        )
        for item in items
    ]


def overview(
    connection: Connection, filters: Filters, reader: Reader, *, page: int, quarantined: int, page_rows: int = PAGE_ROWS
) -> Overview:
    """One page of the list with what stands above it."""
    found = listing.page(connection, filters, reader, limit=page_rows + 1, offset=(page - 1) * page_rows)
    counts = listing.counts(connection, filters, reader) if filters.shown == "open" else dict.fromkeys(Urgency, 0)
    arrival = connection.execute(select(func.max(observations.c.received_ms))).scalar()
    rows = rows_of(connection, found[:page_rows], reader.now_ms)
    return Overview(tuple(rows), counts, arrival, quarantined, page, len(found) > page_rows)


def _last_read(connection: Connection, items: Sequence[WorkItem]) -> dict[object, int | None]:
    """When the newest report of each case was read, by encounter; None while it was not."""
    if not items:
        return {}
    found = connection.execute(
        select(reports.c.encounter_id, report_reads.c.read_ms)
        .select_from(reports.outerjoin(report_reads, report_reads.c.report_id == reports.c.id))
        .where(reports.c.encounter_id.in_([item.encounter_id for item in items]), reports.c.status == "signed")
        .order_by(reports.c.signed_number)
    )
    return {row.encounter_id: row.read_ms for row in found}  # the newest stands last
