"""What the hub does with a batch that came, inside the transaction that takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import NoneType
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, Connection, bindparam, insert, select
from sqlalchemy.exc import DataError

from zhenbao.hub.store import care_keeping, chest_pain, files, fleet, organisations, records, returned
from zhenbao.hub.store.batch import Batch
from zhenbao.hub.store.placing import Unpack
from zhenbao.hub.store.rows import insert_all
from zhenbao.hub.store.tables import inbox, quarantine
from zhenbao.model.attachment import Attachment
from zhenbao.model.chest_pain import CaseTime
from zhenbao.model.chronic import FollowUp
from zhenbao.model.emergency import Emergency
from zhenbao.model.errors import Rejected, StorageError
from zhenbao.model.finding import Urgency
from zhenbao.model.fleet import KitStatus
from zhenbao.model.observation import Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.recording import Recording
from zhenbao.model.report import Receipt, ReportRead, ReturnedReport
from zhenbao.signal.ecg.compress.recordings import plain
from zhenbao.sync.envelope import Body, Envelope, kind_of, pack

Cases = dict[UUID, bool]
"""Encounters whose case must be made or ranked anew, and whether the encounter itself has just come."""

_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_TAKEN = select(inbox.c.envelope_id, inbox.c.body_sha256, inbox.c.epoch, inbox.c.received_ms).where(
    inbox.c.envelope_id.in_(_IDS)
)
_REFUSED = select(quarantine.c.envelope_id, quarantine.c.body_sha256, quarantine.c.reason, quarantine.c.at_ms).where(
    quarantine.c.direction == "in", quarantine.c.envelope_id.in_(_IDS)
)
_SET_ASIDE = insert(quarantine)
_NOTHING = (Rejected, NoneType)


@dataclass(frozen=True, slots=True)
class Here:
    """Who takes it, and when."""

    name: str
    epoch: str
    now_ms: int


@dataclass(slots=True)
class Taken:
    """What came of a batch."""

    receipts: list[Receipt] = field(default_factory=list)
    cases: Cases = field(default_factory=dict)
    """For ``placing.place_all`` in the same transaction."""
    visited: set[str] = field(default_factory=set)
    """Kits of which an encounter was taken."""

    def touch(self, cases: Cases) -> None:
        """Add cases."""
        for encounter_id, completed in cases.items():
            self.cases[encounter_id] = completed or self.cases.get(encounter_id, False)


def take_all(connection: Connection, envelopes: Sequence[Envelope], here: Here, unpack: Unpack) -> Taken:
    """Save the values of a batch; each is taken, known or set aside for itself. Things may come in any order.

    Args:
        unpack: ``envelope.unpack``, or one that remembers what it has unpacked.
    """
    try:
        with connection.begin_nested():
            return _take_all(connection, envelopes, here, unpack)
    except (DataError, OverflowError):
        # A number or a text that no column holds. The database does not say whose: each half is tried.
        taken = Taken()
        if len(envelopes) == 1:
            too_large = Rejected("envelope-body", reason="a value is beyond what can be stored")
            taken.receipts.append(_set_aside(connection, envelopes[0], str(too_large), here))
            return taken
        half = len(envelopes) // 2
        for some in (envelopes[:half], envelopes[half:]):
            part = take_all(connection, some, here, unpack)
            taken.receipts += part.receipts
            taken.touch(part.cases)
            taken.visited |= part.visited
        return taken


def _take_all(connection: Connection, envelopes: Sequence[Envelope], here: Here, unpack: Unpack) -> Taken:
    ids = {"ids": [envelope.id for envelope in envelopes]}
    known = {row.envelope_id: Receipt(*row) for row in connection.execute(_TAKEN, ids)}
    refused = {
        (id_, sha256): Receipt(id_, sha256, here.epoch, at_ms, refused=_code(reason))
        for id_, sha256, reason, at_ms in connection.execute(_REFUSED, ids)
    }
    values = [_read(envelope, unpack) if envelope.id not in known else None for envelope in envelopes]
    batch = Batch(connection, [value for value in values if not isinstance(value, _NOTHING)], here.now_ms)
    taken, new = Taken(), []
    for envelope, value in zip(envelopes, values, strict=True):
        kept = before = known.get(envelope.id)
        if refused and (kept is None or kept.body_sha256 != envelope.body_sha256):
            before = refused.get((envelope.id, envelope.body_sha256))
        if before is not None and before.body_sha256 == envelope.body_sha256:
            taken.receipts.append(replace(before, duplicate=True))
            continue
        try:
            if envelope.recipient != here.name:
                raise Rejected("other-recipient")
            if kept is not None:
                raise Rejected("other-body")
            if isinstance(value, Rejected):
                raise value
            taken.touch(_take(connection, batch, envelope, value, here.now_ms))
        except Rejected as refusal:
            receipt = _set_aside(connection, envelope, str(refusal), here)
            refused[envelope.id, envelope.body_sha256] = receipt
        else:
            receipt = Receipt(envelope.id, envelope.body_sha256, here.epoch, here.now_ms)
            known[envelope.id] = receipt
            new.append(_inbox_row(envelope, here))
            if envelope.kind == "encounter":
                taken.visited.add(envelope.sender)
        taken.receipts.append(receipt)
    batch.write()
    insert_all(connection, inbox, new)
    return taken


def _read(envelope: Envelope, unpack: Unpack) -> Body | Rejected:
    try:
        return unpack(envelope.kind, envelope.body)
    except Rejected as refusal:
        return refusal


def _take(connection: Connection, batch: Batch, envelope: Envelope, value: Body | None, now_ms: int) -> Cases:
    """Save one value.

    Returns:
        The cases that it touches.

    Raises:
        Rejected: ``envelope-kind``, ``other-body``, ``attachment-hash``, ``hub-kit-differs`` or ``hub-time``. Nothing
            of it was saved.
    """
    match value:
        case Observation():
            _check(envelope, value.kit_id, value.effective_ms)
            return {value.encounter_id: False} if batch.save_observation(envelope, value) else {}
        case Patient():
            return dict.fromkeys(batch.save_patient(envelope, value), False)
        case Encounter():
            _check(envelope, value.kit_id, value.started_ms)
            return batch.save_encounter(envelope, value)
        case Recording():
            _check_samples(value)
            records.save_recording(connection, envelope, value, now_ms)
        case ReportRead():
            records.save_report_read(connection, value, now_ms)
        case Attachment():
            files.save(connection, envelope, value, now_ms)
        case CaseTime():
            _check(envelope, value.kit_id, value.at_ms)
            chest_pain.save_kit_time(connection, value, now_ms, envelope.clock_ahead_ms)
        case ReturnedReport():
            returned.save(connection, envelope, value, now_ms)
        case FollowUp():
            _check(envelope, value.kit_id, value.at_ms)
            place = organisations.of_kits(connection, [envelope.sender])[envelope.sender]
            care_keeping.keep(connection, value, place, None, now_ms)
        case KitStatus():
            fleet.save_status(connection, envelope.sender, value, envelope.clock_ahead_ms, now_ms)
        case Emergency():
            return _take_emergency(connection, batch, envelope, value, now_ms)
        case _:
            raise Rejected("envelope-kind", kind=envelope.kind)
    return {}


def _take_emergency(
    connection: Connection, batch: Batch, envelope: Envelope, emergency: Emergency, now_ms: int
) -> Cases:
    """A case of high urgency whose patient is nobody yet. Nothing that is known already is touched by it.

    The key that signed it lies on a locked tablet, where it is guarded less than the others: whoever steals it can
    raise alarms, and can change and read nothing.
    """
    patient, encounter, observation = emergency.patient, emergency.encounter, emergency.observation
    one = observation.patient_id == encounter.patient_id == patient.id and observation.encounter_id == encounter.id
    if not one or any(r.observation_id != observation.id for r in emergency.recordings) or not patient.temporary:
        raise Rejected("emergency-parts")
    if observation.urgency.rank > Urgency.ORANGE.rank:
        raise Rejected("emergency-urgency")
    _check(envelope, encounter.kit_id, encounter.started_ms)
    _check(envelope, observation.kit_id, observation.effective_ms)
    # The next recording of the same person names the same patient and visit; anything else that is known stays.
    batch.write()
    first = not records.known(connection, patient.id, encounter.id)
    before = records.patient(connection, patient.id), records.encounter(connection, encounter.id)
    if not first and before != (patient, encounter):
        raise Rejected("other-body")
    if records.known(connection, observation.id, *(r.id for r in emergency.recordings)):
        raise Rejected("other-body")
    for recording in emergency.recordings:
        _check_samples(recording)
    values: tuple[Patient | Encounter | Observation, ...] = (
        (patient, encounter, observation) if first else (observation,)
    )
    for value in values:
        inner = replace(envelope, kind=kind_of(value), body=pack(value), subject_id=value.id)
        _take(connection, batch, inner, value, now_ms)
    for recording in emergency.recordings:
        inner = replace(envelope, kind="recording", body=pack(recording), subject_id=recording.id)
        records.save_recording(connection, inner, recording, now_ms)
    return {encounter.id: first}


def _check_samples(recording: Recording) -> None:
    """A receipt says that the recording can be looked at: packed samples are unpacked once before it is given."""
    try:
        plain(recording)
    except StorageError:
        raise Rejected("envelope-body", reason="samples") from None


def _check(envelope: Envelope, kit_id: str, unix_ms: int) -> None:
    """A kit speaks for itself only: the report goes back to the kit that is named in the reading.

    Its clock may be wrong by years (that is shown, not refused), but not outside the calendar.
    """
    if kit_id != envelope.sender:
        raise Rejected("hub-kit-differs")
    if not 0 <= unix_ms < 1 << 47:
        raise Rejected("hub-time")


def _set_aside(connection: Connection, envelope: Envelope, reason: str, here: Here) -> Receipt:
    connection.execute(
        _SET_ASIDE,
        {
            "direction": "in",
            "envelope_id": envelope.id,
            "peer": envelope.sender,
            "kind": envelope.kind,
            "subject_id": envelope.subject_id,
            "body": envelope.body,
            "body_sha256": envelope.body_sha256,
            "reason": reason[:500],
            "at_ms": here.now_ms,
        },
    )
    return Receipt(envelope.id, envelope.body_sha256, here.epoch, here.now_ms, refused=_code(reason))


def _inbox_row(envelope: Envelope, here: Here) -> dict[str, Any]:
    return {
        "envelope_id": envelope.id,
        "sender": envelope.sender,
        "boot": envelope.boot,
        "sequence": envelope.sequence,
        "kind": envelope.kind,
        "subject_id": envelope.subject_id,
        "created_ms": envelope.created_ms,
        "body_sha256": envelope.body_sha256,
        "received_ms": here.now_ms,
        "epoch": here.epoch,
    }


def _code(reason: str) -> str:
    """The error's code in front of its facts."""
    return reason.partition(":")[0]
