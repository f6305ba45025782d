"""The log of sensor verifications, in a new store and in every older one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database
from store_key import KEY, raw

from zhenbao.agent.store import KitStore, schema
from zhenbao.agent.store.database import FILE
from zhenbao.model.syringe import Stroke, SyringeCheck, SyringeRecord

STROKE = Stroke("out", 1.0, 3.01, 0.33, 0.9, 1.5, "low")
CHECK = SyringeCheck(3.0, (STROKE,), "incomplete", ("no-high",), 0.33, 0.33, None, 0.001)


def test_records_come_back_as_they_were_and_by_sensor(store: KitStore, home: Path, clock: Any) -> None:
    records = [SyringeRecord(name, 1000 + i, CHECK) for i, name in enumerate(("A", "B", "A"))]
    for record in records:
        store.add_syringe_check(record)
    assert store.syringe_checks() == records
    assert store.syringe_checks("A") == [records[0], records[2]]
    assert store.syringe_checks("A", limit=1) == [records[2]]
    assert store.syringe_checks("C") == []
    assert store.queue().total == 0, "verifications stay on the kit"
    store.close()
    with KitStore.open(home, kit_id="kit-1", clock=clock, key=KEY) as again:
        assert again.syringe_checks() == records


@pytest.mark.parametrize("version", range(1, schema.LATEST))
def test_every_older_database_opens_and_gets_the_log(version: int, home: Path, clock: Any) -> None:
    home.mkdir()
    with closing(sqlite3.connect(home / FILE)) as plain, plain:
        db = Database(plain)
        for migrate in schema.MIGRATIONS[:version]:
            migrate(db)
        plain.execute("insert into settings values ('kept', 'yes')")
        plain.execute(f"pragma user_version = {version}")
    with KitStore.open(home, kit_id="kit-1", clock=clock, key=KEY) as store:
        assert store.setting("kept") == "yes"
        store.add_syringe_check(SyringeRecord("A", 1, CHECK))
        assert store.syringe_checks("A") == [SyringeRecord("A", 1, CHECK)]
        assert store.notices == ()
    with raw(home) as file:
        assert file.execute("pragma user_version").fetchone() == (schema.LATEST,)
