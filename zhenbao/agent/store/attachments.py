"""Files of visits. Each lies once, as the packed body that travels; pruning takes the body and leaves the row."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from uuid import UUID

from zhenbao.agent.store import records
from zhenbao.agent.store.database import Database
from zhenbao.agent.store.outbox import Sender, post
from zhenbao.agent.store.values import KeptFile
from zhenbao.model.attachment import Attachment, MediaType
from zhenbao.model.errors import StorageError
from zhenbao.model.observation import Observation
from zhenbao.sync.envelope import Lane, pack, unpack


def save(
    database: Database, sender: Sender, observation: Observation, files: Sequence[Attachment], now_ms: int
) -> None:
    """Keep an examination with its files and queue them, the files in ``BULK``: all of it, or nothing.

    Raises:
        StorageError: ``store-order``, no such encounter; ``store-id-known``, the examination or a file is here already.
    """
    bodies = [pack(file) for file in files]

    def keep(connection: sqlite3.Connection) -> None:
        if not records.insert_observation(connection, sender, observation, lane=Lane.RESULTS, now_ms=now_ms):
            raise StorageError("store-id-known", kind="observation")
        for file, body in zip(files, bodies, strict=True):
            if known(connection, file.encounter_id, file.sha256):
                raise StorageError("store-id-known", kind="attachment")
            connection.execute(
                "insert into attachments values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    str(file.id),
                    str(file.encounter_id),
                    str(file.patient_id),
                    str(file.observation_id),
                    file.media_type.value,
                    file.title,
                    file.made_ms,
                    file.sha256,
                    len(file.content),
                    body,
                ),
            )
            post(
                connection,
                sender,
                kind="attachment",
                lane=Lane.BULK,
                subject_id=file.id,
                body=body,
                now_ms=now_ms,
                lies_elsewhere=True,
            )

    database.write(keep)


def known(connection: sqlite3.Connection, encounter_id: UUID, sha256: bytes) -> bool:
    """Whether the visit has this very file."""
    found = connection.execute(
        "select 1 from attachments where encounter_id = ? and sha256 = ?", (str(encounter_id), sha256)
    )
    return found.fetchone() is not None


def of_encounter(database: Database, encounter_id: UUID) -> list[KeptFile]:
    """What files a visit has, in order of saving, without their content."""
    rows = database.read(
        "select a.id, a.observation_id, a.media_type, a.title, a.made_ms, a.sha256, a.size_bytes, p.pruned_ms"
        " from attachments a left join pruned p on p.id = a.id where a.encounter_id = ? order by a.rowid",
        (str(encounter_id),),
    )
    return [
        KeptFile(UUID(id_), UUID(observation), MediaType(media_type), title, made_ms, sha256, size_bytes, pruned_ms)
        for id_, observation, media_type, title, made_ms, sha256, size_bytes, pruned_ms in rows
    ]


def find(database: Database, attachment_id: UUID) -> Attachment | None:
    """The file itself; None where there is none such, or it was pruned."""
    rows = database.read("select body from attachments where id = ? and body is not null", (str(attachment_id),))
    value = unpack("attachment", rows[0][0]) if rows else None
    return value if isinstance(value, Attachment) else None
