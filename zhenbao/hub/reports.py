"""Reports: written as a draft, signed once, never changed after.

A preliminary report goes out at once and leaves the case open. A final one closes it. An amended one corrects a final
one, says why, and goes to the kit as well; the first stays as it was signed.

The signature is the SHA-256 over the report's content and the hash of the audit row before it; the audit row that
follows holds the signature. So a report cannot be altered or back-dated without breaking the audit's chain.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select, update

from zhenbao.hub import holding, second_reading
from zhenbao.hub.access import check, leads
from zhenbao.hub.case import answered_by
from zhenbao.hub.report_text import told
from zhenbao.hub.store import audit, claims, outbox, placing, records, report_forms, work
from zhenbao.hub.store.hub_store import HubStore
from zhenbao.hub.store.people import Practitioner
from zhenbao.hub.store.report_forms import WITH_FORM, Form, form_of
from zhenbao.hub.store.report_tables import report_forms as report_table
from zhenbao.hub.store.tables import reports, views
from zhenbao.hub.store.work import WorkItem
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Urgency
from zhenbao.model.ids import uuid7
from zhenbao.model.report import Report
from zhenbao.rules.report_templates import contradiction, ordered

LONGEST_CONCLUSION = 4000
LONGEST_ADVICE = 200
SHORTEST_REASON = 4
LONGEST_REASON = 400


class Reports:
    """Writing and signing on one hub."""

    def __init__(self, store: HubStore) -> None:
        self._store = store

    def save_draft(
        self,
        case_id: UUID,
        author: Practitioner,
        *,
        conclusion: str,
        advice: str,
        urgency: str = "",
        form: Form | None = None,
    ) -> UUID:
        """Keep what the author has written so far. Each author has one draft a case.

        Raises:
            InputError: ``case-unknown``, why not (see ``access.check``), ``report-too-long``, ``advice-one-line``,
                ``report-urgency``.
        """
        now_ms = self._store.clock.now_ms()
        with self._store.writing() as connection:
            item = _allowed(connection, case_id, author, now_ms)
            return _save(connection, item, author, conclusion, advice, urgency, form or Form(), now_ms)

    def sign(
        self,
        case_id: UUID,
        author: Practitioner,
        *,
        conclusion: str,
        advice: str,
        urgency: str = "",
        after: UUID | None = None,
        knowing: str = "",
        form: Form | None = None,
    ) -> Report:
        """Sign, once: the report goes to the kit, the case is done, all in one transaction.

        It covers the readings that the author has opened; others that came meanwhile open the case again. The report of
        a specialist who was asked to join covers their own readings and leaves the case to its lead.

        Args:
            urgency: in the author's judgement; empty: as the case is.
            after: the newest signed report of the case that the author has read; one signed later refuses this one.
            knowing: the login of whoever else works on the case, as the author was shown it; somebody else refuses.
            form: stage and coded conclusion; None: a final report without choices.

        Raises:
            InputError: as for a draft; ``report-empty``; ``report-newer`` where somebody else signed meanwhile;
                ``report-nothing-seen`` where the author has not opened the case; ``report-choice`` and
                ``report-contradicts`` of the choices; ``report-final-exists``, ``report-amends`` and
                ``report-reason`` of the stage; ``claim-held-sign``.
        """
        now_ms = self._store.clock.now_ms()
        form = form or Form()
        with self._store.writing() as connection:
            item = _allowed(connection, case_id, author, now_ms)
            if not (conclusion.strip() or form.choices) or not advice.strip():
                raise InputError("report-empty")
            newest = _newest_signed(connection, item.encounter_id)
            if newest != after:
                raise InputError("report-newer")
            holding.refuse_unknowing(connection, item, author, knowing, now_ms)
            form = _checked(connection, item, author, form)
            report_id = _save(connection, item, author, conclusion, advice, urgency, form, now_ms)
            report = _sign(connection, item, author, report_id, newest, now_ms)
            audit.append(
                connection,
                now_ms,
                author.login,
                "report-signed",
                f"report:{report_id}",
                case=str(case_id),
                signature=report.signature,
                **({} if form.stage == "final" else {"stage": form.stage}),
            )
            outbox.post(connection, self._store.sender, report, report.id, item.kit_id, now_ms)
            second_reading.after_signing(connection, item, report, author, form, now_ms)
            if leads(author, item) and form.stage != "preliminary":
                if (held := claims.of_case(connection, case_id, now_ms)) is not None:
                    holding.end(connection, case_id, held.login, "signed", author.login, now_ms)
                placing.close(connection, item, author.login, self._store.roster, now_ms)
        return report

    def discard(self, case_id: UUID, author: Practitioner) -> None:
        """Throw the author's draft away; a signed report cannot be.

        Raises:
            InputError: ``case-unknown``, or why not (see ``access.check``).
        """
        with self._store.writing() as connection:
            item = _allowed(connection, case_id, author, self._store.clock.now_ms())
            drafts = select(reports.c.id).where(*_draft_of(item.id, author))
            connection.execute(delete(report_table).where(report_table.c.report_id.in_(drafts)))
            connection.execute(delete(reports).where(*_draft_of(item.id, author)))

    def altered(self) -> list[UUID]:
        """The signed reports whose content no longer gives their signature; none, if nobody meddled."""
        with self._store.reading() as connection:
            signed = connection.execute(WITH_FORM.where(reports.c.status == "signed"))
            return [row.id for row in signed if signature(row) != row.signature]


def signature(row: Row[tuple[object, ...]]) -> str:
    """SHA-256 over the canonical content of a signed report (a row of ``WITH_FORM``) and the audit hash before it."""
    r = row._mapping
    content = {
        "id": str(r["id"]),
        "case": str(r["work_item_id"]),
        "encounter": str(r["encounter_id"]),
        "patient": str(r["patient_id"]),
        "observations": json.loads(r["observation_ids"]),
        "author": r["author"],
        "practitioner": r["practitioner"],
        "specialty": r["specialty"],
        "conclusion": r["conclusion"],
        "advice": r["advice"],
        "urgency": r["urgency"],
        "signed_number": r["signed_number"],
        "signed_ms": r["signed_ms"],
        "supplements": str(r["supplements_id"]) if r["supplements_id"] else None,
        "previous": r["previous_hash"],
    } | form_of(row).signed_content()
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _allowed(connection: Connection, case_id: UUID, person: Practitioner, now_ms: int) -> WorkItem:
    item = work.find(connection, case_id)
    if item is None:
        raise InputError("case-unknown")
    check(connection, person, "report", item, now_ms)
    return item


def _save(
    connection: Connection,
    item: WorkItem,
    author: Practitioner,
    conclusion: str,
    advice: str,
    urgency: str,
    form: Form,
    now_ms: int,
) -> UUID:
    conclusion, advice = conclusion.replace("\r\n", "\n").strip(), advice.strip()
    if len(conclusion) > LONGEST_CONCLUSION or len(advice) > LONGEST_ADVICE:
        raise InputError("report-too-long", conclusion=LONGEST_CONCLUSION, advice=LONGEST_ADVICE)
    if len(advice.splitlines()) > 1:
        raise InputError("advice-one-line")
    if urgency and urgency not in list(Urgency):
        raise InputError("report-urgency")
    if len(form.reason) > LONGEST_REASON:
        raise InputError("report-reason", shortest=SHORTEST_REASON, longest=LONGEST_REASON)
    form = replace(form, choices=ordered(author.specialty, form.choices))
    text = {"conclusion": conclusion, "advice": advice, "urgency": urgency or item.urgency.value, "saved_ms": now_ms}
    draft = connection.execute(select(reports).where(*_draft_of(item.id, author))).one_or_none()
    if draft is not None:
        connection.execute(
            update(reports)
            .where(reports.c.id == draft.id, reports.c.status == "draft")
            .values(revision=draft.revision + 1, **text)
        )
        report_id: UUID = draft.id
        report_forms.keep(connection, report_id, form)
        return report_id
    report_id = uuid7(now_ms)
    connection.execute(
        insert(reports).values(
            id=report_id,
            work_item_id=item.id,
            encounter_id=item.encounter_id,
            patient_id=item.patient_id,
            author=author.login,
            status="draft",
            revision=1,
            created_ms=now_ms,
            **text,
        )
    )
    report_forms.keep(connection, report_id, form)
    audit.append(connection, now_ms, author.login, "report-drafted", f"report:{report_id}", case=str(item.id))
    return report_id


def _sign(
    connection: Connection, item: WorkItem, author: Practitioner, report_id: UUID, newest: UUID | None, now_ms: int
) -> Report:
    seen = select(views.c.observation_id).where(views.c.work_item_id == item.id, views.c.login == author.login)
    known = set(connection.execute(seen).scalars())
    observation_ids = [id_ for id_ in answered_by(connection, item, author) if id_ in known]
    if not observation_ids:
        raise InputError("report-nothing-seen")
    number, previous_hash = audit.head(connection)
    connection.execute(
        update(reports)
        .where(reports.c.id == report_id, reports.c.status == "draft")
        .values(
            status="signed",
            practitioner=author.name,
            specialty=author.specialty,
            patient_id=item.patient_id,
            observation_ids=json.dumps([str(id_) for id_ in observation_ids]),
            supplements_id=newest,
            signed_number=number,
            signed_ms=now_ms,
            previous_hash=previous_hash,
        )
    )
    row = connection.execute(WITH_FORM.where(reports.c.id == report_id)).one()
    sealed = signature(row)
    connection.execute(update(reports).where(reports.c.id == report_id).values(signature=sealed))
    return Report(
        id=report_id,
        encounter_id=item.encounter_id,
        patient_id=item.patient_id,
        observation_ids=tuple(observation_ids),
        practitioner=author.name,
        specialty=author.specialty or "",
        conclusion=told(form_of(row), row.conclusion),
        advice=row.advice,
        urgency=row.urgency,
        signed_ms=now_ms,
        signature=sealed,
        recordings=records.signed_recordings(connection, observation_ids),
    )


def _checked(connection: Connection, item: WorkItem, author: Practitioner, form: Form) -> Form:
    """The form as it may be signed."""
    try:
        clash = contradiction(author.specialty, form.choices)
    except KeyError:
        raise InputError("report-choice") from None
    if clash is not None:
        raise InputError("report-contradicts")
    if form.stage != "amended":
        if form.stage == "preliminary" and any(
            f.stage != "preliminary" for f in _signed_forms(connection, item).values()
        ):
            raise InputError("report-final-exists")
        return replace(form, amends_id=None, reason="")
    corrected = _signed_forms(connection, item).get(form.amends_id) if form.amends_id else None
    if form.amends_id is None or corrected is None or corrected.stage == "preliminary":
        raise InputError("report-amends")
    if report_forms.amended(connection, form.amends_id):
        raise InputError("report-amends")
    reason = " ".join(form.reason.split())
    if len(reason) < SHORTEST_REASON:
        raise InputError("report-reason", shortest=SHORTEST_REASON, longest=LONGEST_REASON)
    return replace(form, reason=reason)


def _signed_forms(connection: Connection, item: WorkItem) -> dict[UUID, Form]:
    signed = WITH_FORM.where(reports.c.encounter_id == item.encounter_id, reports.c.status == "signed")
    return {row.id: form_of(row) for row in connection.execute(signed)}


def _newest_signed(connection: Connection, encounter_id: UUID) -> UUID | None:
    newest = (
        select(reports.c.id)
        .where(reports.c.encounter_id == encounter_id, reports.c.status == "signed")
        .order_by(reports.c.signed_number.desc())
        .limit(1)
    )
    return connection.execute(newest).scalar()


def _draft_of(item_id: UUID, author: Practitioner) -> tuple[ColumnElement[bool], ...]:
    return (
        reports.c.work_item_id == item_id,
        reports.c.author == author.login,
        reports.c.status == "draft",
    )
