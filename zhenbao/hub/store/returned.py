"""Signed reports that kits gave back, because this hub was restored from a backup that lacks them.

A returned report is what the village read and acted on. The part of the audit that sealed it is lost, so that it
stands as what it is: a copy from a kit, beside the case, which stays open until a specialist signs again.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, insert, select

from zhenbao.hub.store import audit
from zhenbao.hub.store.tables import reports, returned_reports
from zhenbao.model.errors import Rejected
from zhenbao.model.report import Report, ReturnedReport
from zhenbao.sync.envelope import Envelope, unpack


@dataclass(frozen=True, slots=True)
class Returned:
    """A copy that a kit gave back."""

    report: Report
    kit_id: str
    arrived_ms: int
    """When it had come to the kit, by the kit's time."""
    read_ms: int | None
    received_ms: int
    """When it came back."""


def save(connection: Connection, envelope: Envelope, returned: ReturnedReport, now_ms: int) -> None:
    """Keep it where the hub lost it; a report that is here as it was signed needs no copy.

    Raises:
        Rejected: ``other-body``: another copy of this report is here.
    """
    report = returned.report
    signed = connection.execute(
        select(reports).where(reports.c.id == report.id, reports.c.status == "signed")
    ).one_or_none()
    if signed is not None and (signed.signature, signed.conclusion, signed.advice) == (
        report.signature,
        report.conclusion,
        report.advice,
    ):
        return
    known = connection.execute(
        select(returned_reports.c.body).where(returned_reports.c.report_id == report.id)
    ).scalar()
    if known is not None:
        kept = unpack("returned-report", known)
        if not isinstance(kept, ReturnedReport) or kept.report != report:
            raise Rejected("other-body")
        return
    connection.execute(
        insert(returned_reports).values(
            report_id=report.id,
            encounter_id=report.encounter_id,
            sender=envelope.sender,
            received_ms=now_ms,
            body=envelope.body,
        )
    )
    audit.append(
        connection,
        now_ms,
        f"kit:{envelope.sender}"[:64],
        "report-returned",
        f"report:{report.id}",
        signature=report.signature[:64],
    )


def of_encounter(connection: Connection, encounter_id: UUID) -> tuple[Returned, ...]:
    """Copies that belong to a visit, in order of signing."""
    rows = connection.execute(select(returned_reports).where(returned_reports.c.encounter_id == encounter_id))
    found = []
    for row in rows:
        value = unpack("returned-report", row.body)
        if isinstance(value, ReturnedReport):
            found.append(Returned(value.report, row.sender, value.arrived_ms, value.read_ms, row.received_ms))
    return tuple(sorted(found, key=lambda each: each.report.signed_ms))
