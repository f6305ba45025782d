"""Patients, encounters, observations and recordings as kept on the kit."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

from zhenbao.agent.store.database import Database
from zhenbao.agent.store.outbox import Sender, hasten, post
from zhenbao.model.errors import InputError, StorageError
from zhenbao.model.observation import Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.recording import Recording
from zhenbao.sync.envelope import Body, Lane, pack, unpack

V = TypeVar("V", Patient, Encounter, Observation, Recording)


def save_patient(database: Database, sender: Sender, patient: Patient, now_ms: int) -> None:
    body = pack(patient)

    def save(connection: sqlite3.Connection) -> None:
        if _same(connection, patient, body):
            return
        if (
            patient.resident_number is not None
            and connection.execute(
                "select 1 from patients where resident_number = ? and id <> ?",
                (patient.resident_number, str(patient.id)),
            ).fetchone()
        ):
            raise InputError("patient-known")
        connection.execute(
            "insert into patients values (?, ?, ?, ?) on conflict(id) do update"
            " set name = excluded.name, resident_number = excluded.resident_number, body = excluded.body",
            (str(patient.id), patient.name, patient.resident_number, body),
        )
        post(connection, sender, kind="patient", lane=Lane.RESULTS, subject_id=patient.id, body=body, now_ms=now_ms)

    # Urgent: a critical reading cannot be kept without whose it is.
    database.write(save, urgent=True)


def save_encounter(database: Database, sender: Sender, encounter: Encounter, now_ms: int) -> None:
    body = pack(encounter)

    def save(connection: sqlite3.Connection) -> None:
        if _same(connection, encounter, body):
            return
        connection.execute(
            "insert into encounters values (?, ?, ?, ?) on conflict(id) do update"
            " set patient_id = excluded.patient_id, started_ms = excluded.started_ms, body = excluded.body",
            (str(encounter.id), str(encounter.patient_id), encounter.started_ms, body),
        )
        post(connection, sender, kind="encounter", lane=Lane.RESULTS, subject_id=encounter.id, body=body, now_ms=now_ms)

    database.write(save, urgent=True)


def save_observation(
    database: Database,
    sender: Sender,
    observation: Observation,
    recordings: Sequence[Recording],
    *,
    lane: Lane,
    closes_capture: UUID | None,
    now_ms: int,
) -> bool:
    bodies = [pack(_packed(recording)) for recording in recordings]

    def save(connection: sqlite3.Connection) -> bool:
        if closes_capture is not None:
            connection.execute("delete from captures where id = ?", (str(closes_capture),))
        if not insert_observation(connection, sender, observation, lane=lane, now_ms=now_ms):
            return False
        for recording, waveform in zip(recordings, bodies, strict=True):
            if connection.execute("select 1 from recordings where id = ?", (str(recording.id),)).fetchone():
                raise StorageError("store-id-known", kind="recording")
            connection.execute(
                "insert into recordings values (?, ?, ?, ?)",
                (str(recording.id), str(observation.id), recording.kind, waveform),
            )
            post(
                connection,
                sender,
                kind="recording",
                lane=lane if lane is Lane.CRITICAL else Lane.WAVEFORMS,
                subject_id=recording.id,
                body=waveform,
                now_ms=now_ms,
                lies_elsewhere=True,
            )
        return True

    return database.write(save, urgent=lane is Lane.CRITICAL)


def insert_observation(
    connection: sqlite3.Connection, sender: Sender, observation: Observation, *, lane: Lane, now_ms: int
) -> bool:
    """Keep and queue a reading, inside a transaction. False where this very reading is kept already.

    Raises:
        StorageError: ``store-id-known``, the id is another reading's.
    """
    body = pack(observation)
    kept = _kept(connection, observation)
    if kept is not None:
        if _says(kept, observation, body):
            return False
        raise StorageError("store-id-known", kind="observation")
    device = observation.device
    if (
        observation.device_key is not None
        and connection.execute(
            "select 1 from observations where device_driver = ? and device_serial = ? and device_key = ?",
            (device.driver, device.serial, observation.device_key),
        ).fetchone()
    ):
        return False
    connection.execute(
        "insert into observations values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            str(observation.id),
            str(observation.encounter_id),
            str(observation.patient_id),
            observation.code,
            observation.effective_ms,
            device.driver,
            device.serial,
            observation.device_key,
            body,
        ),
    )
    if lane is Lane.CRITICAL:
        hasten(connection, (observation.patient_id, observation.encounter_id))
    post(connection, sender, kind="observation", lane=lane, subject_id=observation.id, body=body, now_ms=now_ms)
    return True


def _same(connection: sqlite3.Connection, value: Patient | Encounter, body: bytes) -> bool:
    """Whether this very value is kept already."""
    kept = _kept(connection, value)
    return kept is not None and _says(kept, value, body)


def _kept(connection: sqlite3.Connection, value: Patient | Encounter | Observation) -> bytes | None:
    """The body that is kept under a value's id."""
    _, table = _TABLES[type(value)]
    row = connection.execute(f"select body from {table} where id = ?", (str(value.id),)).fetchone()  # noqa: S608 - our table names
    return None if row is None else row[0]


def _says(kept: bytes, value: Patient | Encounter | Observation, body: bytes) -> bool:
    """Whether a body says this very value, in the same bytes or in those of an earlier version."""
    kind, _ = _TABLES[type(value)]
    return kept == body or unpack(kind, kept) == value


def find(database: Database, type_: type[V], where: str, *parameters: object) -> list[V]:
    """Values of a type. ``where`` is our own SQL: conditions, order, limit."""
    kind, table = _TABLES[type_]
    values = (
        unpack(kind, body)
        for (body,) in database.read(f"select body from {table} {where}", parameters)  # noqa: S608
    )
    return [_plain(value) if isinstance(value, Recording) else value for value in values if isinstance(value, type_)]


def _packed(recording: Recording) -> Recording:
    # Here and not above: a reading without samples must not wait for numpy.
    from zhenbao.signal.ecg.compress.recordings import packed

    return packed(recording)


def _plain(recording: Recording) -> Recording:
    if not recording.encoding:
        return recording
    from zhenbao.signal.ecg.compress.recordings import plain

    return plain(recording)


_TABLES: dict[type[Body], tuple[str, str]] = {
    Patient: ("patient", "patients"),
    Encounter: ("encounter", "encounters"),
    Observation: ("observation", "observations"),
    Recording: ("recording", "recordings"),
}


def patients(database: Database, query: str, limit: int) -> list[Patient]:
    """By a part of the name or the end of the number; last saved first."""
    text = query.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return find(
        database,
        Patient,
        "where name like ? escape '\\' or resident_number like ? escape '\\' order by rowid desc limit ?",
        f"%{text}%",
        f"%{text.upper()}",
        limit,
    )
