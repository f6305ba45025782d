"""The worklist and the cases in it: who may see what, opening a case, handing it over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, func, insert, select

from zhenbao.hub.access import Viewer, check, leads, viewer
from zhenbao.hub.permission import CLINICAL
from zhenbao.hub.routing import concerns
from zhenbao.hub.store import audit, files, identities, outbox, people, records, returned, rule_versions, work
from zhenbao.hub.store.files import StoredFile
from zhenbao.hub.store.hub_store import HubStore
from zhenbao.hub.store.people import Practitioner
from zhenbao.hub.store.returned import Returned
from zhenbao.hub.store.tables import observations, report_reads, reports, views
from zhenbao.hub.store.tables import outbox as outbox_table
from zhenbao.hub.store.work import WorkItem
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Urgency
from zhenbao.model.observation import Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.report import Viewed

Shown = Literal["open", "archive"]
_MOST_ROWS = 200
_MOST_EARLIER = 10


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


@dataclass(frozen=True, slots=True)
class SignedReport:
    """A report as it was signed."""

    id: UUID
    practitioner: str
    specialty: str
    conclusion: str
    advice: str
    urgency: str
    signed_ms: int
    signature: str
    supplements_id: UUID | None
    arrived_ms: int | None
    """When the kit's receipt came: the report lies in the kit's inbox."""
    refused: str | None
    """The kit will not take it, and why."""
    read_ms: int | None
    """When the village doctor opened it, by the kit's time."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What an author has written so far."""

    id: UUID
    revision: int
    conclusion: str
    advice: str
    urgency: str


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier visit of the same person."""

    item: WorkItem
    readings: tuple[Observation, ...]
    conclusion: str | None


@dataclass(frozen=True, slots=True)
class Case:
    """All there is to know before answering."""

    item: WorkItem
    patient: Patient | None
    encounter: Encounter | None
    readings: tuple[tuple[Observation, int], ...]
    """Each with the hub's time of receipt."""
    owner: str
    viewed_ms: int | None
    """When the first specialist opened it."""
    reports: tuple[SignedReport, ...]
    """Oldest first."""
    draft: Draft | None
    """Of the one who asks."""
    writing: tuple[str, ...]
    """Names of others who have a draft of this case."""
    earlier: tuple[Earlier, ...]
    changed: bool
    """The kit has sent another number, name, sex or birth date for this patient since the first."""
    earlier_elsewhere: int
    """Earlier visits that lie outside the reach of the one who asks."""
    files: tuple[StoredFile, ...] = ()
    """Attachments that arrived, without their content."""
    returned: tuple[Returned, ...] = ()
    """Copies of reports that a restore had lost, from the kit."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The worklist as a page shows it."""

    rows: tuple[Row, ...]
    counts: dict[Urgency, int]
    """Of the rows."""
    arrival_ms: int | None
    """When the hub last received a reading; None before the first."""
    quarantined: int


def answered_by(connection: Connection, item: WorkItem, person: Practitioner) -> list[UUID]:
    """The readings of a case that a specialist's look and report count for, in order of their taking."""
    table = rule_versions.of_case(connection, item.rules_version).table
    return [
        reading.id
        for reading, _ in records.observations_of(connection, item.encounter_id)
        if leads(person, item) or concerns(table, reading, person.specialty or "")
    ]


class Worklist:
    """The open cases and the archive of one hub."""

    def __init__(self, store: HubStore) -> None:
        self._store = store

    def rows(
        self,
        person: Practitioner | None = None,
        *,
        shown: Shown = "open",
        specialty: str | None = None,
        limit: int = _MOST_ROWS,
    ) -> list[Row]:
        """What a person may see, the most pressing first; ``person`` None is who runs this machine."""
        statuses: Sequence[work.CaseStatus] = ("open",) if shown == "open" else ("reported", "archived")
        with self._store.reading() as connection:
            scope = None
            if person is not None:
                scope = viewer(connection, person, self._store.clock.now_ms()).scope()
                if scope is None:
                    return []
            items = work.listing(connection, statuses, specialty=specialty, scope=scope, limit=limit)
            return [_row(connection, item) for item in items]

    def open_case(self, case_id: UUID, person: Practitioner) -> Case:
        """Open a case: the village is told that a specialist sees these readings; the first answer's clock stops.

        Raises:
            InputError: ``case-unknown``, or why not (see ``access.check``); a denial leaves a line in the audit.
        """
        now_ms = self._store.clock.now_ms()
        with self._store.writing() as connection:
            item = _found(connection, case_id)
            seer = viewer(connection, person, now_ms)
            denied = seer.denial("open", item)
            if denied is None and seer.may("report", item):
                self._view(connection, item, person, now_ms)
            elif denied is None:
                # Who may not answer has not "seen" it for the village; that they looked is kept all the same.
                by = seer.grant(item)
                why = {"grant": str(by.id)} if by is not None else {}
                audit.append(connection, now_ms, person.login, "case-looked", f"case:{case_id}", **why)
            else:
                audit.append(connection, now_ms, person.login, "case-denied", f"case:{case_id}", reason=denied)
        if denied is not None:
            raise InputError(denied)
        with self._store.reading() as connection:
            return _case(connection, work.find(connection, case_id) or item, seer)

    def viewer(self, person: Practitioner) -> Viewer:
        """What a person may see and do now."""
        with self._store.reading() as connection:
            return viewer(connection, person, self._store.clock.now_ms())

    def row(self, case_id: UUID, person: Practitioner) -> Row:
        """One line of the list, for who may see it there.

        Raises:
            InputError: ``case-unknown``, or why not (see ``access.check``).
        """
        with self._store.reading() as connection:
            item = _found(connection, case_id)
            check(connection, person, "list", item, self._store.clock.now_ms())
            return _row(connection, item)

    def patient_of(self, case_id: UUID) -> UUID:
        """Whose case it is.

        Raises:
            InputError: ``case-unknown``.
        """
        with self._store.reading() as connection:
            return _found(connection, case_id).patient_id

    def look(self, case_id: UUID, person: Practitioner) -> tuple[Case, int]:
        """The case again, without telling anybody; and how many readings came since the person opened it.

        Raises:
            InputError: ``case-unknown``, or why not (see ``access.check``).
        """
        with self._store.reading() as connection:
            item = _found(connection, case_id)
            seer = viewer(connection, person, self._store.clock.now_ms())
            if (denied := seer.denial("open", item)) is not None:
                raise InputError(denied)
            case = _case(connection, item, seer)
            seen = _seen_by(connection, item.id, person.login)
            return case, sum(1 for reading, _ in case.readings if reading.id not in seen)

    def read_ms(self, case_id: UUID) -> int | None:
        """When the village doctor opened the case's newest report, by the kit's time; None while not.

        Raises:
            InputError: ``case-unknown``.
        """
        with self._store.reading() as connection:
            return _last_read(connection, _found(connection, case_id).encounter_id)

    def overview(
        self, person: Practitioner | None = None, *, shown: Shown = "open", specialty: str | None = None
    ) -> Overview:
        """The list with what stands above it."""
        rows = self.rows(person, shown=shown, specialty=specialty)
        counts = {urgency: sum(row.item.urgency is urgency for row in rows) for urgency in Urgency}
        with self._store.reading() as connection:
            arrival = connection.execute(select(func.max(observations.c.received_ms))).scalar()
        return Overview(tuple(rows), counts, arrival, self._store.counters.quarantined)

    def assign(self, case_id: UUID, login: str, by: Practitioner) -> None:
        """Give a case to a specialist; the desk may give any, a specialist may take one of theirs.

        Raises:
            InputError: ``case-unknown``, why not (see ``access.check``), ``login-unknown``, or ``case-not-open``.
        """
        now_ms = self._store.clock.now_ms()
        with self._store.writing() as connection:
            item = _found(connection, case_id)
            check(connection, by, "assign", item, now_ms)
            if by.role != "operator" and login != by.login:
                raise InputError("denied-role")
            if item.status != "open":
                raise InputError("case-not-open")
            to = next((p for p in people.everyone(connection) if p.login == login and p.role in CLINICAL), None)
            if to is None:
                raise InputError("login-unknown", login=login[:40])
            work.assign(connection, item, to.login, to.phone or self._store.roster.phone_of(to.login))
            audit.append(connection, now_ms, by.login, "case-assigned", f"case:{case_id}", owner=to.login)

    def _view(self, connection: Connection, item: WorkItem, person: Practitioner, now_ms: int) -> None:
        known = _seen_by(connection, item.id, person.login)
        new = [id_ for id_ in answered_by(connection, item, person) if id_ not in known]
        if not new:
            return
        connection.execute(
            insert(views),
            [
                {"work_item_id": item.id, "login": person.login, "observation_id": id_, "viewed_ms": now_ms}
                for id_ in new
            ],
        )
        if leads(person, item):
            work.acknowledge(connection, item, person.login, now_ms)
        audit.append(connection, now_ms, person.login, "case-viewed", f"case:{item.id}", readings=str(len(new)))
        viewed = Viewed(tuple(new), person.name, now_ms)
        outbox.post(connection, self._store.sender, viewed, item.encounter_id, item.kit_id, now_ms)


def _row(connection: Connection, item: WorkItem) -> Row:
    return Row(
        item,
        records.patient(connection, item.patient_id),
        _name_of(connection, item.owner),
        _last_read(connection, item.encounter_id),
    )


def _seen_by(connection: Connection, item_id: UUID, login: str) -> set[UUID]:
    seen = select(views.c.observation_id).where(views.c.work_item_id == item_id, views.c.login == login)
    return set(connection.execute(seen).scalars())


def _found(connection: Connection, case_id: UUID) -> WorkItem:
    item = work.find(connection, case_id)
    if item is None:
        raise InputError("case-unknown")
    return item


def _case(connection: Connection, item: WorkItem, seer: Viewer) -> Case:
    person = seer.person
    earlier, elsewhere = _earlier(connection, item, seer)
    first_view = select(func.min(views.c.viewed_ms)).where(views.c.work_item_id == item.id)
    drafts = list(
        connection.execute(select(reports).where(reports.c.work_item_id == item.id, reports.c.status == "draft"))
    )
    return Case(
        item=item,
        patient=records.patient(connection, item.patient_id),
        encounter=records.encounter(connection, item.encounter_id),
        readings=tuple(records.observations_of(connection, item.encounter_id)),
        owner=_name_of(connection, item.owner),
        viewed_ms=connection.execute(first_view).scalar(),
        reports=signed_reports(connection, item.encounter_id),
        draft=next(
            (Draft(d.id, d.revision, d.conclusion, d.advice, d.urgency) for d in drafts if d.author == person.login),
            None,
        ),
        writing=tuple(_name_of(connection, d.author) for d in drafts if d.author != person.login),
        earlier=earlier,
        changed=_changed(connection, item.patient_id),
        earlier_elsewhere=elsewhere,
        files=tuple(files.of_encounter(connection, item.encounter_id)),
        returned=returned.of_encounter(connection, item.encounter_id),
    )


def signed_reports(connection: Connection, encounter_id: UUID) -> tuple[SignedReport, ...]:
    """The signed reports of an encounter, oldest first, with what became of each."""
    found = connection.execute(
        select(reports, outbox_table.c.receipted_ms, outbox_table.c.refused, report_reads.c.read_ms)
        .outerjoin(outbox_table, (outbox_table.c.subject_id == reports.c.id) & (outbox_table.c.kind == "report"))
        .outerjoin(report_reads, report_reads.c.report_id == reports.c.id)
        .where(reports.c.encounter_id == encounter_id, reports.c.status == "signed")
        .order_by(reports.c.signed_number)
    )
    return tuple(
        SignedReport(
            r.id,
            r.practitioner,
            r.specialty,
            r.conclusion,
            r.advice,
            r.urgency,
            r.signed_ms,
            r.signature,
            r.supplements_id,
            None if r.refused else r.receipted_ms,
            r.refused,
            r.read_ms,
        )
        for r in found
    )


def _changed(connection: Connection, patient_id: UUID) -> bool:
    known = {
        (v.patient.resident_number, v.patient.name, v.patient.sex, v.patient.birth_date)
        for v in identities.versions(connection, patient_id)
    }
    return len(known) > 1


def _earlier(connection: Connection, item: WorkItem, seer: Viewer) -> tuple[tuple[Earlier, ...], int]:
    """Earlier visits within reach of who may open this case, whatever specialty they were for; how many lie beyond."""
    persons = identities.same_person(connection, item.patient_id)
    grant = seer.grant(item)
    # A share opens what its own unit has; other grants open the person.
    opened = grant is not None and grant.org_id is None
    earlier, elsewhere = [], 0
    for other in work.of_patients(connection, persons, _MOST_EARLIER + 1):
        if other.id == item.id or other.restricted_ms is not None:
            continue
        if not opened and other.org_id not in seer.orgs and seer.grant(other) is None:
            elsewhere += 1
            continue
        readings = tuple(reading for reading, _ in records.observations_of(connection, other.encounter_id))
        signed = signed_reports(connection, other.encounter_id)
        earlier.append(Earlier(other, readings, signed[-1].conclusion if signed else None))
    return tuple(earlier[:_MOST_EARLIER]), elsewhere


def _name_of(connection: Connection, login: str | None) -> str:
    if login is None:
        return ""
    person = people.find(connection, login)
    return person.name if person is not None else login


def _last_read(connection: Connection, encounter_id: UUID) -> int | None:
    """When the newest report of the case was read; None when it was not."""
    newest = connection.execute(
        select(report_reads.c.read_ms)
        .select_from(reports.outerjoin(report_reads, report_reads.c.report_id == reports.c.id))
        .where(reports.c.encounter_id == encounter_id, reports.c.status == "signed")
        .order_by(reports.c.signed_number.desc())
        .limit(1)
    )
    return newest.scalar()
