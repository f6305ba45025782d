"""The log of verifications of flow sensors. Nothing of it is ever changed or deleted."""

from __future__ import annotations

import msgspec

from zhenbao.agent.store.database import Database
from zhenbao.model.syringe import SyringeCheck, SyringeRecord


def add(database: Database, record: SyringeRecord) -> None:
    row = (record.sensor, record.at_ms, record.check.verdict, msgspec.json.encode(record.check))
    database.write(
        lambda c: c.execute("insert into syringe_checks (sensor, at_ms, verdict, body) values (?, ?, ?, ?)", row)
    )


def find(database: Database, sensor: str | None, limit: int) -> list[SyringeRecord]:
    """The last ones, in order of saving; of every sensor where ``sensor`` is None."""
    rows = database.read(
        "select sensor, at_ms, body from syringe_checks where ?1 is null or sensor = ?1 order by id desc limit ?2",
        (sensor, limit),
    )
    return [SyringeRecord(name, at_ms, msgspec.json.decode(body, type=SyringeCheck)) for name, at_ms, body in rows][
        ::-1
    ]
