"""What the hub does with a received value, inside the transaction that takes it."""

from sqlalchemy import Connection

from zhenbao.hub.roster import Roster
from zhenbao.hub.store import files, records, returned, work
from zhenbao.model.attachment import Attachment
from zhenbao.model.errors import Rejected
from zhenbao.model.observation import Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.recording import Recording
from zhenbao.model.report import ReportRead, ReturnedReport
from zhenbao.sync.envelope import Envelope, unpack


def take(connection: Connection, envelope: Envelope, roster: Roster, now_ms: int) -> None:
    """Save the value of an envelope and what follows from it. Things may come in any order.

    Raises:
        Rejected: ``envelope-kind``, ``envelope-body``, ``other-body``, ``attachment-hash``, ``hub-kit-differs`` or
            ``hub-time``.
    """
    match unpack(envelope.kind, envelope.body):
        case Patient() as patient:
            if records.save_patient(connection, envelope, patient, now_ms):
                for encounter_id in work.encounters_of(connection, patient.id):
                    work.place(connection, encounter_id, roster, now_ms)
        case Encounter() as encounter:
            _check(envelope, encounter.kit_id, encounter.started_ms)
            first = records.encounter(connection, encounter.id) is None
            if records.save_encounter(connection, envelope, encounter, now_ms):
                work.place(connection, encounter.id, roster, now_ms, completed=first)
        case Observation() as observation:
            _check(envelope, observation.kit_id, observation.effective_ms)
            if records.save_observation(connection, envelope, observation, now_ms):
                work.place(connection, observation.encounter_id, roster, now_ms)
        case Recording() as recording:
            records.save_recording(connection, envelope, recording, now_ms)
        case ReportRead() as read:
            records.save_report_read(connection, read, now_ms)
        case Attachment() as file:
            files.save(connection, envelope, file, now_ms)
        case ReturnedReport() as copy:
            returned.save(connection, envelope, copy, now_ms)
        case _:
            raise Rejected("envelope-kind", kind=envelope.kind)


def _check(envelope: Envelope, kit_id: str, unix_ms: int) -> None:
    """A kit speaks for itself only: the report goes back to the kit that is named in the reading.

    Its clock may be wrong by years (that is shown, not refused), but not outside the calendar.
    """
    if kit_id != envelope.sender:
        raise Rejected("hub-kit-differs")
    if not 0 <= unix_ms < 1 << 47:
        raise Rejected("hub-time")
