"""The crash journal of measurements: a part is on the disk when ``add_part`` returns."""

from __future__ import annotations

import json
import sqlite3
from typing import Any
from uuid import UUID

from zhenbao.agent.store.database import Database
from zhenbao.agent.store.values import Capture
from zhenbao.model.ids import uuid7


def begin(database: Database, encounter_id: UUID, code: str, detail: dict[str, Any], now_ms: int) -> UUID:
    id_ = uuid7(now_ms)
    row = (str(id_), str(encounter_id), code, now_ms, json.dumps(detail, ensure_ascii=False))
    # Urgent: what is being measured now cannot be measured again.
    database.write(lambda c: c.execute("insert into captures values (?, ?, ?, ?, ?)", row), urgent=True)
    return id_


def add_part(database: Database, capture_id: UUID, kind: str, body: bytes) -> None:
    database.write(
        lambda c: c.execute(
            "insert into capture_parts select ?1, 1 + coalesce(max(n), 0), ?2, ?3"
            " from capture_parts where capture_id = ?1",
            (str(capture_id), kind, body),
        ),
        urgent=True,
    )


def parts(database: Database, capture_id: UUID) -> list[tuple[str, bytes]]:
    return [
        (kind, body)
        for kind, body in database.read(
            "select kind, body from capture_parts where capture_id = ? order by n", (str(capture_id),)
        )
    ]


def opened(database: Database, encounter_id: UUID | None) -> list[Capture]:
    rows = database.read(
        "select id, encounter_id, code, started_ms, detail,"
        " (select count(*) from capture_parts where capture_id = c.id)"
        " from captures c where ?1 is null or encounter_id = ?1 order by rowid",
        (None if encounter_id is None else str(encounter_id),),
    )
    return [
        Capture(UUID(id_), UUID(encounter), code, started_ms, json.loads(detail), n)
        for id_, encounter, code, started_ms, detail, n in rows
    ]


def drop(database: Database, capture_id: UUID) -> bool:
    def delete(connection: sqlite3.Connection) -> bool:
        return connection.execute("delete from captures where id = ?", (str(capture_id),)).rowcount == 1

    return database.write(delete, urgent=True)
