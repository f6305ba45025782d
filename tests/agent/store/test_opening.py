"""Old databases are migrated, newer ones refused, and the file is opened as safely as it is meant to be."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from store_key import KEY, raw

from zhenbao.agent.store import KitStore, schema
from zhenbao.agent.store.carry import carry_over
from zhenbao.agent.store.database import FILE
from zhenbao.model.errors import StorageError
from zhenbao.model.report import DeliveryState, Receipt
from zhenbao.model.time import SystemClock
from zhenbao.sync.envelope import Lane

ROOT = Path(__file__).resolve().parents[3]
FAR = 1 << 60


def _id(n: int) -> UUID:
    return UUID(int=0x0190_0000_0000_7000_8000_0000_0000_0000 + n)


@pytest.fixture
def old_home(home: Path) -> Path:
    """A kit's folder as version 1 left it."""
    home.mkdir()
    with closing(sqlite3.connect(home / FILE)) as plain:
        plain.executescript((Path(__file__).parent / "schema_v1.sql").read_text(encoding="utf-8"))
    return home


def _schema(home: Path) -> dict[str, set[tuple[Any, ...]]]:
    """Columns of every table, and the indexes."""
    with raw(home) as file:
        names = [name for (name,) in file.execute("select name from sqlite_master where type = 'table'")]
        tables = {name: {row[1:4] for row in file.execute(f"pragma table_info({name})")} for name in names}
        tables["indexes"] = set(file.execute("select name, tbl_name from sqlite_master where type = 'index'"))
    return tables


def test_a_database_of_version_1_is_migrated_with_all_it_holds(old_home: Path, clock: Any, tmp_path: Path) -> None:
    with KitStore.open(old_home, kit_id="kit-1", clock=clock, key=KEY) as store:
        patient, encounter = store.patient_by_number("999999196001010020"), store.last_encounter()
        assert patient is not None
        assert encounter is not None
        assert (patient.id, encounter.id) == (_id(1), _id(2))
        (reading,) = store.observations()
        assert (reading.id, reading.values["heart_rate"].value) == (_id(3), 71.0)
        (recording,) = store.recordings_of(_id(3))
        assert recording.samples == bytes(range(80))
        (capture,) = store.open_captures()
        assert store.parts(capture.id) == [("Chunk", b"abc")]
        assert (store.setting("language"), store.device_sequence("M1")) == ("zh_CN", 41)
        assert [(e.subject_id, e.sequence) for e in store.due(FAR, 9)] == [(_id(2), 2), (_id(3), 3), (_id(4), 4)]
        assert store.delivery(_id(1))[DeliveryState.RECEIVED] == 1790000005000
        # What version 2 added works on what version 1 kept.
        for item in store.due(FAR, 9):
            assert store.receipted([Receipt(item.id, item.body_sha256, "hub-1", 5)])[0]
        assert store.queue().total == 0
        assert store.notices == ()
        store.save_observation(
            type(reading)(_id(9), _id(1), _id(2), "kit-1", "bp", "preliminary", 1, reading.device, {}),
            lane=Lane.CRITICAL,
        )
        assert store.due(FAR, 9)[0].sequence == 5
    KitStore.open(tmp_path / "new", kit_id="kit-1", clock=clock, key=KEY).close()
    assert _schema(old_home) == _schema(tmp_path / "new")


def test_a_migration_that_fails_leaves_the_old_version(
    old_home: Path, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_over(old_home / FILE, KEY)
    before = _schema(old_home)

    def broken(db: Any) -> None:
        schema._version_2(db)
        db.execute("insert into no_such_table values (1)")

    with monkeypatch.context() as patched:
        patched.setattr(schema, "MIGRATIONS", (schema.MIGRATIONS[0], broken))
        with pytest.raises(StorageError, match="store-io"):
            KitStore.open(old_home, kit_id="kit-1", clock=clock, key=KEY)
    assert _schema(old_home) == before
    with KitStore.open(old_home, kit_id="kit-1", clock=clock, key=KEY) as store:
        assert len(store.observations()) == 1


def test_a_database_of_a_newer_program_is_left_alone(home: Path, clock: Any) -> None:
    KitStore.open(home, kit_id="kit-1", clock=clock, key=KEY).close()
    with raw(home) as file:
        file.execute("pragma user_version = 99")
    with pytest.raises(StorageError, match="store-newer"):
        KitStore.open(home, kit_id="kit-1", clock=clock, key=KEY)
    assert [f.name for f in home.glob("*damaged*")] == []


def test_what_is_committed_is_synced(store: KitStore) -> None:
    """WAL with FULL syncs the log at every commit (https://www.sqlite.org/pragma.html#pragma_synchronous)."""
    connection = store._database._connection
    settings = {
        name: connection.execute(f"pragma {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10000}


def test_processes_that_make_the_same_store_at_once_agree(home: Path) -> None:
    program = (
        "import sys; sys.path.insert(0, 'tests'); from pathlib import Path;"
        "from zhenbao.agent.store import KitStore; from store_key import KEY;"
        "from zhenbao.model.time import SystemClock;"
        "print(KitStore.open(Path(sys.argv[1]), kit_id='kit-1', clock=SystemClock(), key=KEY).epoch)"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program, str(home)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    answers = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert len(set(answers)) == 1
    assert answers[0].strip()


def test_opening_a_store_loads_nothing_heavy(home: Path, clock: Any) -> None:
    """The doctor's commands start fast: sqlite-utils is for making and migrating alone."""
    KitStore.open(home, kit_id="kit-1", clock=clock, key=KEY).close()
    program = (
        "import sys; sys.path.insert(0, 'tests'); from pathlib import Path; from store_key import KEY;"
        "from zhenbao.agent import service; from zhenbao.agent.store import KitStore; from store_key import KEY;"
        "from zhenbao.model.time import SystemClock;"
        "s = KitStore.open(Path(sys.argv[1]), kit_id='kit-1', clock=SystemClock(), key=KEY);"
        "s.patients('甲'); s.queue();"
        "print(sorted({'numpy', 'scipy', 'sqlite_utils', 'paho', 'sqlalchemy', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(home)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_openers_at_once_of_a_new_store_all_succeed_while_the_first_keeps_it_open(tmp_path: Path) -> None:
    """The service and a doctor's command start together on a new tablet; neither waits for the other to go away."""
    barrier = threading.Barrier(3)

    def open_it(home: Path) -> KitStore:
        barrier.wait()
        return KitStore.open(home, kit_id="kit-1", clock=SystemClock(), key=KEY)

    with ThreadPoolExecutor(3) as doctors:
        for round_ in range(10):
            opened = list(doctors.map(open_it, [tmp_path / str(round_)] * 3))
            assert len({store.epoch for store in opened}) == 1
            for store in opened:
                store.close()
