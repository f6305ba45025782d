"""What the kits sent, kept as it came: patients, encounters, observations, recordings.

An observation or a recording is written once; the same id with another content is refused. A patient or an
encounter may be sent again by its kit with more known of it: the newest by the kit's own sequence stays.
"""

from collections.abc import Iterable
from hashlib import sha256
from uuid import UUID

from sqlalchemy import Connection, Table, insert, select, update

from zhenbao.hub.store import identities
from zhenbao.hub.store.tables import encounters, observations, patients, recordings, report_reads
from zhenbao.model.errors import Rejected
from zhenbao.model.observation import Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.recording import Recording
from zhenbao.model.report import ReportRead, SignedRecording
from zhenbao.signal.ecg.compress.recordings import plain
from zhenbao.sync.envelope import Envelope, unpack


def save_patient(connection: Connection, envelope: Envelope, patient: Patient, now_ms: int) -> bool:
    """Show the newest version and keep every one. Returns False for an older one."""
    identities.keep_version(connection, envelope, patient, now_ms)
    return _save_newest(
        connection,
        patients,
        envelope,
        patient.id,
        now_ms,
        {"resident_number": patient.resident_number, "birth_date": patient.birth_date},
    )


def save_encounter(connection: Connection, envelope: Envelope, encounter: Encounter, now_ms: int) -> bool:
    """Keep the newest version. Returns False for an older one."""
    return _save_newest(
        connection,
        encounters,
        envelope,
        encounter.id,
        now_ms,
        {"patient_id": encounter.patient_id, "started_ms": encounter.started_ms},
    )


def save_observation(connection: Connection, envelope: Envelope, observation: Observation, now_ms: int) -> bool:
    """Keep it. Returns False when it is known.

    Raises:
        Rejected: ``other-body``.
    """
    return _save_once(
        connection,
        observations,
        envelope,
        observation.id,
        now_ms,
        {
            "patient_id": observation.patient_id,
            "encounter_id": observation.encounter_id,
            "kit_id": observation.kit_id,
            "code": observation.code,
            "urgency": observation.urgency.value,
            "effective_ms": observation.effective_ms,
            "clock_ahead_ms": envelope.clock_ahead_ms,
        },
    )


def save_recording(connection: Connection, envelope: Envelope, recording: Recording, now_ms: int) -> bool:
    """Keep it. Returns False when it is known.

    Raises:
        Rejected: ``other-body``.
    """
    return _save_once(
        connection,
        recordings,
        envelope,
        recording.id,
        now_ms,
        {
            "observation_id": recording.observation_id,
            "kind": recording.kind,
            "started_ms": recording.started_ms,
        },
    )


def save_report_read(connection: Connection, read: ReportRead, now_ms: int) -> None:
    """Keep when the village doctor opened the report; the first time stays."""
    known = select(report_reads.c.report_id).where(report_reads.c.report_id == read.report_id)
    if connection.execute(known).first() is None:
        connection.execute(
            insert(report_reads).values(report_id=read.report_id, read_ms=read.read_ms, received_ms=now_ms)
        )


def known(connection: Connection, *ids: UUID) -> bool:
    """Whether anything is kept under one of these ids."""
    tables = (patients, encounters, observations, recordings)
    return any(connection.execute(select(t.c.id).where(t.c.id.in_(ids))).first() is not None for t in tables)


def patient(connection: Connection, patient_id: UUID) -> Patient | None:
    """The patient, if it arrived."""
    body = connection.execute(select(patients.c.body).where(patients.c.id == patient_id)).scalar()
    value = unpack("patient", body) if body is not None else None
    return value if isinstance(value, Patient) else None


def encounter(connection: Connection, encounter_id: UUID) -> Encounter | None:
    """The encounter, if it arrived."""
    body = connection.execute(select(encounters.c.body).where(encounters.c.id == encounter_id)).scalar()
    value = unpack("encounter", body) if body is not None else None
    return value if isinstance(value, Encounter) else None


def observations_of(connection: Connection, encounter_id: UUID) -> list[tuple[Observation, int]]:
    """The readings of an encounter, each with its time of receipt, in order of their taking."""
    return [(reading, received_ms) for reading, received_ms, _ in arrivals_of(connection, encounter_id)]


def arrivals_of(connection: Connection, encounter_id: UUID) -> list[tuple[Observation, int, int]]:
    """Likewise, and by how many ms the kit's clock was ahead of the hub's when it sent each."""
    found = connection.execute(
        select(observations.c.body, observations.c.received_ms, observations.c.clock_ahead_ms)
        .where(observations.c.encounter_id == encounter_id)
        .order_by(observations.c.effective_ms, observations.c.id)
    )
    return [
        (value, row.received_ms, row.clock_ahead_ms)
        for row in found
        if isinstance(value := unpack("observation", row.body), Observation)
    ]


def recordings_of(connection: Connection, observation_id: UUID) -> list[Recording]:
    """The waveforms of an observation that arrived so far."""
    found = connection.execute(
        select(recordings.c.body)
        .where(recordings.c.observation_id == observation_id)
        .order_by(recordings.c.started_ms, recordings.c.id)
    )
    return [plain(value) for row in found if isinstance(value := unpack("recording", row.body), Recording)]


def signed_recordings(connection: Connection, observation_ids: Iterable[UUID]) -> tuple[SignedRecording, ...]:
    """The waveforms of readings that arrived so far, each with the digest of what arrived."""
    found = connection.execute(
        select(recordings.c.id, recordings.c.body)
        .where(recordings.c.observation_id.in_(list(observation_ids)))
        .order_by(recordings.c.id)
    )
    return tuple(SignedRecording(row.id, sha256(row.body).hexdigest()) for row in found)


def _save_once(
    connection: Connection, table: Table, envelope: Envelope, id_: UUID, now_ms: int, columns: dict[str, object]
) -> bool:
    known = connection.execute(select(table.c.body).where(table.c.id == id_)).scalar()
    if known is None:
        connection.execute(insert(table).values(id=id_, received_ms=now_ms, body=envelope.body, **columns))
        return True
    if known != envelope.body and unpack(envelope.kind, known) != unpack(envelope.kind, envelope.body):
        raise Rejected("other-body")
    return False


def _save_newest(
    connection: Connection, table: Table, envelope: Envelope, id_: UUID, now_ms: int, columns: dict[str, object]
) -> bool:
    known = connection.execute(select(table.c.sender, table.c.sequence).where(table.c.id == id_)).one_or_none()
    if known is not None and known.sender == envelope.sender and known.sequence > envelope.sequence:
        return False
    values = {
        "sender": envelope.sender,
        "sequence": envelope.sequence,
        "received_ms": now_ms,
        "body": envelope.body,
        **columns,
    }
    if known is None:
        connection.execute(insert(table).values(id=id_, **values))
    else:
        connection.execute(update(table).where(table.c.id == id_).values(**values))
    return True
