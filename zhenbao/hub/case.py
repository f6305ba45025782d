"""All there is to know of one case before answering it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, func, select

from zhenbao.hub.access import Viewer, leads
from zhenbao.hub.report_text import told
from zhenbao.hub.routing import concerns
from zhenbao.hub.store import claims, files, identities, people, records, report_forms, returned, rule_versions, work
from zhenbao.hub.store.claims import Claim, ClaimStep
from zhenbao.hub.store.files import StoredFile
from zhenbao.hub.store.people import Practitioner
from zhenbao.hub.store.report_forms import PLAIN, WITH_FORM, Form, form_of
from zhenbao.hub.store.returned import Returned
from zhenbao.hub.store.tables import outbox, report_reads, reports, views
from zhenbao.hub.store.work import WorkItem
from zhenbao.model.observation import Observation
from zhenbao.model.patient import Encounter, Patient

_MOST_EARLIER = 10


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
    form: Form = PLAIN
    amended_by: UUID | None = None
    """The report that corrects this one."""
    observation_ids: tuple[UUID, ...] = ()
    """The readings that it covers."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What an author has written so far."""

    id: UUID
    revision: int
    conclusion: str
    advice: str
    urgency: str
    form: Form = PLAIN


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
    claim: Claim | None = None
    """Who works on it now."""
    holder: str = ""
    """Their name."""
    claim_steps: tuple[ClaimStep, ...] = ()
    """Who held it before, newest first."""


def answered_by(connection: Connection, item: WorkItem, person: Practitioner) -> list[UUID]:
    """The readings of a case that a specialist's look and report count for, in order of their taking."""
    table = rule_versions.of_case(connection, item.rules_version).table
    return [
        reading.id
        for reading, _ in records.observations_of(connection, item.encounter_id)
        if leads(person, item) or concerns(table, reading, person.specialty or "")
    ]


def case_of(connection: Connection, item: WorkItem, seer: Viewer, now_ms: int) -> Case:
    """The case as the one who asks may see it."""
    person = seer.person
    earlier, elsewhere = _earlier(connection, item, seer)
    claim = claims.of_case(connection, item.id, now_ms)
    first_view = select(func.min(views.c.viewed_ms)).where(views.c.work_item_id == item.id)
    drafts = list(connection.execute(WITH_FORM.where(reports.c.work_item_id == item.id, reports.c.status == "draft")))
    return Case(
        item=item,
        patient=records.patient(connection, item.patient_id),
        encounter=records.encounter(connection, item.encounter_id),
        readings=tuple(records.observations_of(connection, item.encounter_id)),
        owner=people.name_of(connection, item.owner),
        viewed_ms=connection.execute(first_view).scalar(),
        reports=signed_reports(connection, item.encounter_id),
        draft=next(
            (
                Draft(d.id, d.revision, d.conclusion, d.advice, d.urgency, form_of(d))
                for d in drafts
                if d.author == person.login
            ),
            None,
        ),
        writing=tuple(people.name_of(connection, d.author) for d in drafts if d.author != person.login),
        earlier=earlier,
        changed=_changed(connection, item.patient_id),
        earlier_elsewhere=elsewhere,
        files=tuple(files.of_encounter(connection, item.encounter_id)),
        returned=returned.of_encounter(connection, item.encounter_id),
        claim=claim,
        holder=people.name_of(connection, claim.login if claim is not None else None),
        claim_steps=tuple(claims.steps(connection, item.id)),
    )


def signed_reports(connection: Connection, encounter_id: UUID) -> tuple[SignedReport, ...]:
    """The signed reports of an encounter, oldest first, with what became of each."""
    found = connection.execute(
        report_forms.with_form(outbox.c.receipted_ms, outbox.c.refused, report_reads.c.read_ms)
        .outerjoin(outbox, (outbox.c.subject_id == reports.c.id) & (outbox.c.kind == "report"))
        .outerjoin(report_reads, report_reads.c.report_id == reports.c.id)
        .where(reports.c.encounter_id == encounter_id, reports.c.status == "signed")
        .order_by(reports.c.signed_number)
    ).all()
    amended = {row.amends_id: row.id for row in found if row.amends_id is not None}
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
            form_of(r),
            amended.get(r.id),
            tuple(UUID(id_) for id_ in json.loads(r.observation_ids)),
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
        earlier.append(Earlier(other, readings, told(signed[-1].form, signed[-1].conclusion) if signed else None))
    return tuple(earlier[:_MOST_EARLIER]), elsewhere


def last_read(connection: Connection, encounter_id: UUID) -> int | None:
    """When the newest report of the case was read; None when it was not."""
    newest = connection.execute(
        select(report_reads.c.read_ms)
        .select_from(reports.outerjoin(report_reads, report_reads.c.report_id == reports.c.id))
        .where(reports.c.encounter_id == encounter_id, reports.c.status == "signed")
        .order_by(reports.c.signed_number.desc())
        .limit(1)
    )
    return newest.scalar()
