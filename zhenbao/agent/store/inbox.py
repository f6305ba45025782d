"""What came from the hub: reports, that a physician has looked, and what the hub says of itself."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from uuid import UUID

from zhenbao.agent.store.care import take_brief, take_plan
from zhenbao.agent.store.chest_pain import report_came, take_news
from zhenbao.agent.store.database import Database
from zhenbao.agent.store.epochs import take_terms
from zhenbao.agent.store.moment import Moment
from zhenbao.agent.store.outbox import HUB, Sender, post, set_state
from zhenbao.agent.store.values import InboxReport, Quarantined
from zhenbao.model.chest_pain import ChannelNews
from zhenbao.model.chronic import CareBrief, DischargePlan
from zhenbao.model.errors import Rejected
from zhenbao.model.hub_terms import HubTerms
from zhenbao.model.report import DeliveryState, Receipt, Report, ReportRead, Viewed
from zhenbao.sync.envelope import Body, Envelope, Lane, pack, unpack


def accept(
    database: Database, sender: Sender, epoch: str, envelopes: Sequence[Envelope], moment: Moment
) -> list[Receipt]:
    """See ``MailboxStore.accept``. A kit takes what ``_read`` names, from the hub, for itself alone."""
    return database.write(lambda c: [_take(c, sender, epoch, each, moment) for each in envelopes], urgent=True)


def _take(connection: sqlite3.Connection, sender: Sender, epoch: str, envelope: Envelope, moment: Moment) -> Receipt:
    now_ms = moment.now_ms

    def receipt(received_ms: int, *, duplicate: bool = False, refused: str = "") -> Receipt:
        return Receipt(envelope.id, envelope.body_sha256, epoch, received_ms, duplicate, refused)

    known = connection.execute("select sha256, received_ms from inbox where id = ?", (str(envelope.id),)).fetchone()
    if known is not None and known[0] == envelope.body_sha256:
        return receipt(known[1], duplicate=True)
    refused_before = connection.execute(
        "select at_ms, reason from refused where id = ? and sha256 = ?", (str(envelope.id), envelope.body_sha256)
    ).fetchone()
    if refused_before is not None:
        return receipt(refused_before[0], duplicate=True, refused=refused_before[1])
    try:
        if known is not None:
            raise Rejected("other-body")
        _keep(connection, sender, envelope, _read(sender, envelope), moment)
    except Rejected as error:
        connection.execute(
            "insert into refused values (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                str(envelope.id),
                envelope.body_sha256,
                envelope.sender,
                envelope.kind,
                str(envelope.subject_id),
                now_ms,
                error.code,
                envelope.body,
            ),
        )
        return receipt(now_ms, refused=error.code)
    connection.execute(
        "insert into inbox values (?, ?, ?, ?, ?, ?, ?)",
        (
            str(envelope.id),
            envelope.sender,
            envelope.boot,
            envelope.sequence,
            envelope.kind,
            envelope.body_sha256,
            now_ms,
        ),
    )
    return receipt(now_ms)


def _read(sender: Sender, envelope: Envelope) -> Body:
    """The value, if it is for this kit and of a kind that a kit takes."""
    if envelope.recipient != sender.name or envelope.sender != HUB:
        raise Rejected("other-recipient")
    value = unpack(envelope.kind, envelope.body)
    if not isinstance(value, Report | Viewed | HubTerms | ChannelNews | CareBrief | DischargePlan):
        raise Rejected("envelope-kind", kind=envelope.kind)
    return value


def _keep(connection: sqlite3.Connection, sender: Sender, envelope: Envelope, value: Body, moment: Moment) -> None:
    """Nothing is written before everything is checked: other items of the batch stand in the same transaction."""
    now_ms = moment.now_ms
    match value:
        case Report():
            known = connection.execute("select body from reports where id = ?", (str(value.id),)).fetchone()
            if known is not None and known[0] != envelope.body and _report(known[0]) != value:
                raise Rejected("other-body")
            _check_report(connection, value)
            connection.execute(
                "insert into reports values (?, ?, ?, ?, null, ?) on conflict do nothing",
                (str(value.id), str(value.encounter_id), str(value.patient_id), now_ms, envelope.body),
            )
            for subject_id in value.observation_ids:
                set_state(connection, subject_id, DeliveryState.REPORTED, now_ms, peer_ms=value.signed_ms)
            report_came(connection, sender, value.encounter_id, moment)
        case Viewed():
            for subject_id in value.observation_ids:
                set_state(connection, subject_id, DeliveryState.VIEWED, now_ms, peer_ms=value.viewed_ms)
        case HubTerms():
            take_terms(connection, sender, value, now_ms)
        case ChannelNews():
            take_news(connection, sender, value, envelope.body, moment)
        case CareBrief():
            take_brief(connection, value, envelope.body)
        case DischargePlan():
            take_plan(connection, value, envelope.body, now_ms)


def _check_report(connection: sqlite3.Connection, report: Report) -> None:
    """What the report says it is about must be what this kit has under these ids. What it no longer has, it believes.

    Raises:
        Rejected: ``report-mismatch``.
    """
    for observation_id in report.observation_ids:
        kept = connection.execute(
            "select patient_id, encounter_id from observations where id = ?", (str(observation_id),)
        ).fetchone()
        if kept is not None and kept != (str(report.patient_id), str(report.encounter_id)):
            raise Rejected("report-mismatch", what="patient")
    about = {str(observation_id) for observation_id in report.observation_ids}
    for named in report.recordings:
        kept = connection.execute(
            "select observation_id, body from recordings where id = ?", (str(named.recording_id),)
        ).fetchone()
        if kept is not None and (kept[0] not in about or hashlib.sha256(kept[1]).hexdigest() != named.sha256):
            raise Rejected("report-mismatch", what="recording")


def reports(database: Database, limit: int | None) -> list[InboxReport]:
    """Reports, the last that arrived first."""
    rows = database.read(
        "select body, arrived_ms, read_ms from reports order by rowid desc limit ?", (-1 if limit is None else limit,)
    )
    return [InboxReport(_report(body), arrived_ms, read_ms) for body, arrived_ms, read_ms in rows]


def _report(body: bytes) -> Report:
    value = unpack("report", body)
    assert isinstance(value, Report)
    return value


def read_report(database: Database, sender: Sender, report_id: UUID, now_ms: int) -> bool:
    """The village doctor opened a report: note it and tell the hub, once. False where it was read, or is not here."""

    def mark(connection: sqlite3.Connection) -> bool:
        changed = connection.execute(
            "update reports set read_ms = ? where id = ? and read_ms is null", (now_ms, str(report_id))
        ).rowcount
        if changed:
            body = pack(ReportRead(report_id, now_ms))
            post(
                connection,
                sender,
                kind="report-read",
                lane=Lane.REPORTS,
                subject_id=report_id,
                body=body,
                now_ms=now_ms,
            )
        return bool(changed)

    return database.write(mark, urgent=True)


def quarantined(database: Database) -> list[Quarantined]:
    """What was refused by either side, the newest first."""
    return [
        Quarantined(UUID(id_), direction, kind, UUID(subject_id), at_ms, reason)
        for id_, direction, kind, subject_id, at_ms, reason in database.read(
            "select id, 'out', kind, subject_id, closed_ms as at_ms, reason from outbox where state = 'refused'"
            " union all select id, 'in', kind, subject_id, at_ms, reason from refused order by at_ms desc"
        )
    ]
