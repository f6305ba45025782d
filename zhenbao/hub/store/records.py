"""What the kits sent, kept as it came: patients, encounters, observations, recordings (``batch`` writes the others).

A recording is written once; the same id with another content is refused.
"""

from collections.abc import Iterable
from hashlib import sha256
from uuid import UUID

from sqlalchemy import Connection, insert, select

from zhenbao.hub.store.tables import encounters, observations, patients, recordings, report_reads
from zhenbao.model.errors import Rejected
from zhenbao.model.observation import Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.recording import Recording
from zhenbao.model.report import ReportRead, SignedRecording
from zhenbao.signal.ecg.compress.recordings import plain
from zhenbao.sync.envelope import Envelope, unpack


def save_recording(connection: Connection, envelope: Envelope, recording: Recording, now_ms: int) -> None:
    """Keep it; one that is known changes nothing.

    Raises:
        Rejected: ``other-body``.
    """
    known = connection.execute(select(recordings.c.body).where(recordings.c.id == recording.id)).scalar()
    if known is None:
        connection.execute(
            insert(recordings).values(
                id=recording.id,
                observation_id=recording.observation_id,
                kind=recording.kind,
                started_ms=recording.started_ms,
                received_ms=now_ms,
                body=envelope.body,
            )
        )
    else:
        check_same(envelope, known)


def check_same(envelope: Envelope, known: bytes) -> None:
    """Whether a body says what is known under its id: kits of different versions pack the same value differently.

    Raises:
        Rejected: ``other-body``.
    """
    if known != envelope.body and unpack(envelope.kind, known) != unpack(envelope.kind, envelope.body):
        raise Rejected("other-body")


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
    found = connection.execute(
        select(observations.c.body, observations.c.received_ms)
        .where(observations.c.encounter_id == encounter_id)
        .order_by(observations.c.effective_ms, observations.c.id)
    )
    return [
        (value, row.received_ms) for row in found if isinstance(value := unpack("observation", row.body), Observation)
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
