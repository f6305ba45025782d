"""A copy of the disk says nothing; an older, plain database is carried over whole, whenever the power goes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database
from store_key import KEY, raw
from traces import Secrets, found

from zhenbao.agent.store import KitStore, carry, cipher, schema
from zhenbao.agent.store.database import FILE
from zhenbao.model.errors import StorageError
from zhenbao.model.quantity import Quantity
from zhenbao.sync.envelope import Lane

ROOT = Path(__file__).resolve().parents[3]
OTHER_KEY = bytes(range(32))
NAME, NUMBER, PHONE = "演示患者甲", "999999196001010020", "13900000000"
SAMPLES = bytes(range(256)) * 40
SECRETS = Secrets((NAME, "胸闷三天"), (NUMBER, PHONE), (SAMPLES[100:164],), ({"bp_systolic": (187.0, "mm[Hg]")},))


def busy(store: KitStore, ward: Any) -> None:
    """A visit with readings, a recording, an open journal and a result set aside."""
    ward.patient = replace(ward.patient, phone=PHONE)
    ward.encounter = replace(ward.encounter, reason="胸闷三天")
    ward.admit(store)
    reading = ward.reading("ecg", values={"bp_systolic": Quantity(187.0, "mm[Hg]")})
    recording = replace(ward.recording(reading), samples=SAMPLES)
    store.save_observation(reading, [recording], lane=Lane.CRITICAL)
    capture = store.begin_capture(ward.encounter.id, "ecg", {"who": NAME})
    store.add_part(capture, "Chunk", SAMPLES)
    store.set_aside("meter-1", "glucose", "control", NUMBER.encode())


def plain_copy(home: Path, place: Path) -> None:
    """The same database, unencrypted."""
    place.mkdir()
    with raw(home) as file:
        file.execute("attach ? as plain key ''", (str(place / "plain.sqlite3"),))
        file.execute("select sqlcipher_export('plain')").fetchall()


def test_no_file_of_the_kit_shows_a_name_a_number_or_a_reading(
    store: KitStore, home: Path, ward: Any, tmp_path: Path
) -> None:
    busy(store, ward)
    assert (home / f"{FILE}-wal").stat().st_size > 100_000, "the log is among what is searched"
    assert found(home, SECRETS) == {}
    plain_copy(home, tmp_path / "copy")
    hits = found(tmp_path / "copy", SECRETS)["plain.sqlite3"]
    assert {"samples 0", f"{NAME} utf-8", f"{NUMBER} utf-8", f"{PHONE} utf-8", "胸闷三天 utf-8"} <= set(hits)
    assert {"bp_systolic key", "187.0 CBOR"} <= set(hits)
    # Nothing in it looks like anything: what is not random would compress.
    import zlib

    content = (home / f"{FILE}-wal").read_bytes()[4096:]
    assert len(zlib.compress(content)) > 0.9 * len(content)


BUSY_AND_KILLED = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    sys.path[:0] = ["tests", "."]
    from store_key import KEY
    from tests.agent.store.conftest import HandClock, Ward
    from tests.agent.store.test_encrypted import busy
    from zhenbao.agent.store import KitStore
    store = KitStore.open(Path(sys.argv[1]), kit_id="kit-1", clock=HandClock(), key=KEY, ballast_bytes=1 << 16)
    busy(store, Ward())
    os.kill(os.getpid(), signal.SIGKILL)
""")


def test_nor_does_any_after_a_kill_or_damage(home: Path, clock: Any) -> None:
    done = subprocess.run([sys.executable, "-c", BUSY_AND_KILLED, str(home)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert found(home, SECRETS) == {}
    with KitStore.open(home, kit_id="kit-1", clock=clock, key=KEY, ballast_bytes=1 << 16) as store:
        assert [p.name for p in store.patients()] == [NAME], "and yet everything is there"
        assert found(home, SECRETS) == {}
    content = bytearray((home / FILE).read_bytes())
    content[4096:4200] = bytes(104)
    (home / FILE).write_bytes(content)
    with KitStore.open(home, kit_id="kit-1", clock=clock, key=KEY, ballast_bytes=1 << 16) as store:
        assert [n.code for n in store.notices] == ["store-set-aside"]
        assert found(home, SECRETS) == {}


def test_a_wrong_key_is_never_taken_for_damage(store: KitStore, home: Path, clock: Any, ward: Any) -> None:
    busy(store, ward)
    store.close()
    before = {f.name: f.read_bytes() for f in home.iterdir()}
    for _ in range(2):
        with pytest.raises(StorageError, match="store-key"):
            KitStore.open(home, kit_id="kit-1", clock=clock, key=OTHER_KEY)
    assert {f.name: f.read_bytes() for f in home.iterdir()} == before
    # Nor where the mark of the key was lost.
    (home / "kit.keyed").unlink()
    with pytest.raises(StorageError, match="store-key"):
        KitStore.open(home, kit_id="kit-1", clock=clock, key=OTHER_KEY)
    with KitStore.open(home, kit_id="kit-1", clock=clock, key=KEY, ballast_bytes=1 << 16) as again:
        assert len(again.patients()) == 1
        assert again.notices == ()


def plain_home(home: Path, version: int = schema.LATEST, rows: int = 300) -> None:
    """A kit's folder as a version without encryption left it, its last writes still in the log."""
    home.mkdir()
    draft = home / "draft.sqlite3"
    with closing(sqlite3.connect(draft, isolation_level=None)) as plain:
        plain.execute("pragma journal_mode=wal")
        db = Database(plain)
        for migrate in schema.MIGRATIONS[:version]:
            migrate(db)
        plain.execute(f"pragma user_version = {version}")
        plain.execute("pragma wal_checkpoint(truncate)")
        for n in range(rows):
            values = (f"{n:032x}", NAME, f"{999999196001010020 + n}", SAMPLES)
            plain.execute("insert into patients values (?, ?, ?, ?)", values)
        plain.execute("insert into settings values ('kept', 'yes')")
        # As a kill leaves them.
        for suffix in ("", "-wal"):
            shutil.copy(f"{draft}{suffix}", home / f"{FILE}{suffix}")
    for file in home.glob("draft*"):
        file.unlink()


@pytest.mark.parametrize("version", range(1, schema.LATEST + 1))
def test_a_plain_database_of_every_version_is_carried_over(version: int, home: Path, clock: Any) -> None:
    plain_home(home, version)
    assert found(home, SECRETS) != {}, "the search finds what is plain"
    with KitStore.open(home, kit_id="kit-1", clock=clock, key=KEY, ballast_bytes=1 << 16) as store:
        assert store.setting("kept") == "yes"
        assert store.notices == ()
    with raw(home) as file:
        assert file.execute("select count(*), count(distinct body) from patients").fetchone() == (300, 1)
        assert file.execute("pragma user_version").fetchone() == (schema.LATEST,)
    assert found(home, SECRETS) == {}
    assert {f.name for f in home.iterdir()} <= {FILE, "kit.lock", "kit.checked", "kit.keyed", "ballast"}


@pytest.mark.parametrize("version", range(1, schema.LATEST + 1))
def test_an_encrypted_database_of_every_version_opens(version: int, home: Path, clock: Any) -> None:
    plain_home(home, version)
    carry.carry_over(home / FILE, KEY)
    with raw(home) as file:
        assert file.execute("pragma user_version").fetchone() == (version,)
    with KitStore.open(home, kit_id="kit-1", clock=clock, key=KEY, ballast_bytes=1 << 16) as store:
        assert store.setting("kept") == "yes"
        assert store.notices == ()


def carry_over_until(step: int, home: Path) -> bool:
    """Carry over in a process of its own that is killed as it makes its n-th step; whether it came to its end.

    Steps: statements of SQL, and whatever changes the folder (audit events of Python, and fsync).
    """
    child = os.fork()
    if child == 0:
        left = step
        connect, fsync = carry.connect, os.fsync

        def count(*_: object) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        def counted(path: Path, key: bytes | None) -> cipher.Connection:
            connection = connect(path, key)
            connection.set_trace_callback(count)
            return connection

        def synced(descriptor: int) -> None:
            count()
            fsync(descriptor)

        def changes(event: str, arguments: tuple[Any, ...]) -> None:
            if event in ("os.rename", "os.remove", "os.link", "os.chmod") or (
                event == "open" and arguments[1] == "r+b"
            ):
                count()

        carry.connect, os.fsync = counted, synced  # type: ignore[assignment]
        sys.addaudithook(changes)
        carry.carry_over(home / FILE, KEY)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL)
    return status == 0


@pytest.mark.slow
def test_killed_at_any_step_of_the_carrying_over_nothing_is_lost(tmp_path: Path, clock: Any) -> None:
    """Each step in turn; the opening after it must have every row, and leave nothing that can be read."""
    model = tmp_path / "model"
    plain_home(model, rows=20)
    states = set()
    for step in range(1, 400):
        home = tmp_path / str(step)
        shutil.copytree(model, home)
        ended = carry_over_until(step, home)
        states.add((cipher.kind_of(home / FILE, KEY), *sorted(f.name.removeprefix(FILE) for f in home.iterdir())))
        with KitStore.open(home, kit_id="kit-1", clock=clock, key=KEY, ballast_bytes=1 << 16) as store:
            assert len(store._database.read("select 1 from patients")) == 20, step
            assert store.setting("kept") == "yes"
            assert store.notices == ()
        assert found(home, SECRETS) == {}, step
        assert not list(home.glob("*ing")), step
        shutil.rmtree(home)
        if ended:
            assert step > 30, "there were that many places to be killed at"
            kinds = {state[0] for state in states}
            assert kinds == {"plain", "ours"}, "before the one step that counts, and after it"
            assert any(".erasing" in state for state in states)
            return
    pytest.fail("it never ended")


def test_a_damaged_plain_database_is_put_aside_whole_and_unreadable(home: Path, clock: Any) -> None:
    plain_home(home)
    with closing(sqlite3.connect(home / FILE)) as plain:
        plain.execute("pragma wal_checkpoint(truncate)")
    content = bytearray((home / FILE).read_bytes())
    for page in range(3, len(content) // 4096):
        content[page * 4096 : page * 4096 + 64] = os.urandom(64)
    (home / FILE).write_bytes(content)
    assert found(home, SECRETS) != {}
    with KitStore.open(home, kit_id="kit-1", clock=clock, key=KEY, ballast_bytes=1 << 16) as store:
        (notice,) = store.notices
        assert notice.code == "store-set-aside"
        assert store.patients() == []
    aside = home / str(notice.facts["file"])
    assert found(home, SECRETS) == {}
    with closing(cipher.connect(aside, KEY)) as sealed:
        parts = sealed.execute("select body from parts where file like '%.sqlite3' order by n").fetchall()
    assert b"".join(body for (body,) in parts) == content, "byte by byte"


def test_a_plain_database_that_an_older_program_has_open_is_left_alone(home: Path, clock: Any) -> None:
    import fcntl

    plain_home(home)
    descriptor = os.open(home / "kit.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)  # what an older version holds while it runs
    with pytest.raises(StorageError, match="store-in-use"):
        KitStore.open(home, kit_id="kit-1", clock=clock, key=KEY)
    assert cipher.kind_of(home / FILE, KEY) == "plain"
    os.close(descriptor)
    KitStore.open(home, kit_id="kit-1", clock=clock, key=KEY).close()
    assert cipher.kind_of(home / FILE, KEY) == "ours"


def test_nothing_of_the_kit_catches_the_errors_of_another_sqlite() -> None:
    """The store's engine has exception classes of its own: an ``except sqlite3.Error`` would catch nothing."""
    caught = re.compile(r"(?:except|suppress)\b.*\bsqlite3\.")
    files = list((ROOT / "zhenbao" / "agent").rglob("*.py"))
    assert [f.name for f in files if caught.search(f.read_text(encoding="utf-8"))] == []
