"""What the hub does with a received value, inside the transaction that takes it."""

from dataclasses import replace
from uuid import UUID

from sqlalchemy import Connection

from zhenbao.hub.roster import Roster
from zhenbao.hub.store import files, records, returned, work
from zhenbao.model.attachment import Attachment
from zhenbao.model.emergency import Emergency
from zhenbao.model.errors import Rejected, StorageError
from zhenbao.model.finding import Urgency
from zhenbao.model.observation import Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.recording import Recording
from zhenbao.model.report import ReportRead, ReturnedReport
from zhenbao.signal.ecg.compress.recordings import plain
from zhenbao.sync.envelope import Envelope, kind_of, pack, unpack

Cases = dict[UUID, bool]
"""Encounters whose case must be made or ranked anew, and whether the encounter itself has just come."""


def place_all(connection: Connection, cases: Cases, roster: Roster, now_ms: int) -> None:
    """Make or rank the cases of a batch, each once."""
    for encounter_id, completed in cases.items():
        work.place(connection, encounter_id, roster, now_ms, completed=completed)


def take(connection: Connection, envelope: Envelope, now_ms: int) -> Cases:
    """Save the value of an envelope. Things may come in any order.

    Returns:
        The cases that it touches, for ``place_all`` in the same transaction.

    Raises:
        Rejected: ``envelope-kind``, ``envelope-body``, ``other-body``, ``attachment-hash``, ``hub-kit-differs`` or
            ``hub-time``.
    """
    match unpack(envelope.kind, envelope.body):
        case Patient() as patient:
            if records.save_patient(connection, envelope, patient, now_ms):
                return dict.fromkeys(work.encounters_of(connection, patient.id), False)
        case Encounter() as encounter:
            _check(envelope, encounter.kit_id, encounter.started_ms)
            first = records.encounter(connection, encounter.id) is None
            if records.save_encounter(connection, envelope, encounter, now_ms):
                return {encounter.id: first}
        case Observation() as observation:
            _check(envelope, observation.kit_id, observation.effective_ms)
            if records.save_observation(connection, envelope, observation, now_ms):
                return {observation.encounter_id: False}
        case Recording() as recording:
            _check_samples(recording)
            records.save_recording(connection, envelope, recording, now_ms)
        case ReportRead() as read:
            records.save_report_read(connection, read, now_ms)
        case Attachment() as file:
            files.save(connection, envelope, file, now_ms)
        case ReturnedReport() as copy:
            returned.save(connection, envelope, copy, now_ms)
        case Emergency() as emergency:
            return _take_emergency(connection, envelope, emergency, now_ms)
        case _:
            raise Rejected("envelope-kind", kind=envelope.kind)
    return {}


def _take_emergency(connection: Connection, envelope: Envelope, emergency: Emergency, now_ms: int) -> Cases:
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
        take(connection, inner, now_ms)
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
