"""A disk that is full, cannot be written, or gave back a damaged file."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from store_key import KEY, raw

from zhenbao.agent.store import KitStore
from zhenbao.agent.store.database import FILE
from zhenbao.agent.store.space import Level
from zhenbao.model.errors import StorageError
from zhenbao.model.report import Receipt
from zhenbao.sync.envelope import Lane
from zhenbao.words import Words

BALLAST = 4 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def _open(home: Path, clock: Any) -> KitStore:
    return KitStore.open(home, kit_id="kit-1", clock=clock, key=KEY, ballast_bytes=BALLAST)


def _save(store: KitStore, ward: Any, kept: list[Any], lane: Lane) -> None:
    while len(kept) < 500:
        reading = ward.reading("ecg")
        store.save_observation(reading, [ward.recording(reading, 120_000, "flow")], lane=lane)
        kept.append(reading)


def _save_until_full(store: KitStore, ward: Any, lane: Lane = Lane.RESULTS) -> list[Any]:
    """What was kept before the disk was full."""
    kept: list[Any] = []
    with pytest.raises(StorageError, match="store-full") as caught:
        _save(store, ward, kept, lane)
    assert "空间已满" in Words("zh_CN").error(caught.value)[0]
    return kept


def test_a_full_disk_harms_nothing_saved_and_still_keeps_what_is_critical(
    small_disk: Path, clock: Any, ward: Any
) -> None:
    store = _open(small_disk / "kit", clock)
    ward.admit(store)
    kept = _save_until_full(store, ward)
    assert len(kept) > 20
    assert store.observations() == kept
    # A suspected infarction, with its trace, on a disk where a result was just refused.
    infarction = ward.reading("ecg")
    trace = ward.recording(infarction, 120_000)
    assert store.save_observation(infarction, [trace], lane=Lane.CRITICAL)
    assert store.due(1 << 60, 1)[0].lane is Lane.CRITICAL
    assert [notice.code for notice in store.notices] == ["store-low"]
    # Ordinary results may use what is more than the reserve; then they are refused, and what is critical is not.
    later = _save_until_full(store, ward)
    another = ward.reading("ecg")
    assert store.save_observation(another, [ward.recording(another, 120_000)], lane=Lane.CRITICAL)
    # Receipts are taken in all the same.
    for item in store.due(1 << 60, 20):
        assert store.receipted([Receipt(item.id, item.body_sha256, "hub-1", 5)])[0]
    store.close()
    with _open(small_disk / "kit", clock) as again:
        assert again.observations() == [*kept, infarction, *later, another]
        assert again.recording(trace.id) == trace
    with raw(small_disk / "kit") as file:
        assert file.execute("pragma integrity_check").fetchall() == [("ok",)]


def test_when_there_is_room_again_everything_goes_on(small_disk: Path, clock: Any, ward: Any) -> None:
    (small_disk / "photographs").write_bytes(bytes(14 << 20))
    with _open(small_disk / "kit", clock) as store:
        ward.admit(store)
        kept = _save_until_full(store, ward)
        infarction = ward.reading("ecg")
        store.save_observation(infarction, [ward.recording(infarction, 600_000)], lane=Lane.CRITICAL)
        (small_disk / "photographs").unlink()
        reading = ward.reading()
        store.save_observation(reading)
        assert [notice.code for notice in store.notices] == ["store-filling"]
        assert store.observations() == [*kept, infarction, reading]


def test_a_store_opens_on_a_disk_without_a_byte_left(small_disk: Path, clock: Any, ward: Any) -> None:
    with _open(small_disk / "kit", clock) as store:
        ward.admit(store)
    with contextlib.suppress(OSError), (small_disk / "photographs").open("wb", buffering=0) as other:
        while other.write(bytes(4096)):
            pass
    with _open(small_disk / "kit", clock) as store:
        assert store.patients() == [ward.patient]
        assert store.save_observation(ward.reading("ecg"), lane=Lane.CRITICAL)


def test_a_new_store_on_a_full_disk_says_so(small_disk: Path, clock: Any) -> None:
    with contextlib.suppress(OSError), (small_disk / "photographs").open("wb", buffering=0) as other:
        while other.write(bytes(4096)):
            pass
    with pytest.raises(StorageError, match="store-full"):
        _open(small_disk / "kit", clock)


def test_a_disk_that_can_only_be_read_says_so(small_disk: Path, clock: Any, ward: Any) -> None:
    with _open(small_disk / "kit", clock) as store:
        ward.admit(store)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(StorageError, match="store-read-only"):
        _open(small_disk / "kit", clock)


def test_a_folder_that_is_somebody_elses_says_so(tmp_path: Path, clock: Any) -> None:
    if os.geteuid() == 0:
        # Root may write anywhere; a file in the folder's place is as good as a refusal.
        (tmp_path / "kit").write_text("")
        with pytest.raises(StorageError, match="store-io"):
            _open(tmp_path / "kit", clock)
        return
    (tmp_path / "kit").mkdir(mode=0o500)
    with pytest.raises(StorageError, match="store-permission"):
        _open(tmp_path / "kit", clock)


def _spoil_header(content: bytearray) -> None:
    content[:100] = bytes(100)


def _spoil_pages(content: bytearray) -> None:
    rng = random.Random(3)
    for page in range(1, len(content) // 4096):
        content[page * 4096 : page * 4096 + 64] = rng.randbytes(64)


def _cut(content: bytearray) -> None:
    del content[len(content) // 2 :]


def _replace(content: bytearray) -> None:
    content[:] = b"this was a database once, before the flash cells gave way" * 100


@pytest.mark.parametrize("spoil", [_spoil_header, _spoil_pages, _cut, _replace])
def test_a_damaged_database_is_put_aside_whole(home: Path, clock: Any, ward: Any, spoil: Any) -> None:
    with _open(home, clock) as store:
        ward.admit(store)
        for _ in range(40):
            store.save_observation(ward.reading())
        epoch, boot = store.epoch, store.due(0, 1)[0].boot
    content = bytearray((home / FILE).read_bytes())
    spoil(content)
    (home / FILE).write_bytes(content)
    with _open(home, clock) as store:
        (notice,) = store.notices
        assert notice.code == "store-set-aside"
        aside = home / str(notice.facts["file"])
        assert aside.read_bytes() == content, "whole"
        assert aside.name in Words("zh_CN").error(notice)[0]
        assert store.patients() == []
        ward.admit(store)
        assert store.epoch != epoch
        assert store.due(0, 1)[0].boot != boot, "or (boot, sequence) would name two things"
    with _open(home, clock) as store:
        assert [n.code for n in store.notices] == ["store-set-aside"], "until somebody has seen to it"
        store.dismiss_notices()
        assert store.notices == ()
        assert store.patients() == [ward.patient]


def test_a_database_damaged_twice_in_a_second_is_put_aside_twice(home: Path, clock: Any) -> None:
    for _ in range(2):
        _open(home, clock).close()
        (home / FILE).write_bytes(b"not a database" * 1000)
    _open(home, clock).close()
    assert len(list(home.glob("kit.damaged-*.sqlite3"))) == 2


def test_a_damaged_database_that_somebody_has_open_is_left_alone(home: Path, clock: Any, ward: Any) -> None:
    with _open(home, clock) as store:
        ward.admit(store)
        store._database._connection.execute("pragma wal_checkpoint(truncate)")
        content = bytearray((home / FILE).read_bytes())
        _spoil_header(content)
        (home / FILE).write_bytes(content)
        with pytest.raises(StorageError, match="store-in-use"):
            _open(home, clock)
    with _open(home, clock) as store:
        assert [n.code for n in store.notices] == ["store-set-aside"]


def test_damage_that_shows_in_use_is_found_at_the_next_opening(home: Path, clock: Any, ward: Any) -> None:
    """A large file is looked at once a boot only, unless it was found damaged meanwhile."""
    with _open(home, clock) as store:
        ward.admit(store)
        for _ in range(300):
            reading = ward.reading("ecg")
            store.save_observation(reading, [ward.recording(reading, 120_000, "flow")])
    content = bytearray((home / FILE).read_bytes())
    assert len(content) > 32 << 20
    _open(home, clock).close()
    for page in range(len(content) // 8192, len(content) // 4096):
        content[page * 4096 : page * 4096 + 4] = b"\xff" * 4
    (home / FILE).write_bytes(content)
    with _open(home, clock) as store, pytest.raises(StorageError, match="store-damaged"):
        [store.recordings_of(reading.id) for reading in store.observations()]
    with _open(home, clock) as store:
        assert [n.code for n in store.notices] == ["store-set-aside"]


def test_a_disk_that_is_full_again_and_again(small_disk: Path, clock: Any, ward: Any) -> None:
    """Critical readings until even the reserve is gone: each is kept or refused, none is lost."""
    with _open(small_disk / "kit", clock) as store:
        ward.admit(store)
        kept = _save_until_full(store, ward)
        grave = _save_until_full(store, ward, Lane.CRITICAL)
        assert len(grave) >= 10, "the reserve is worth something"
        assert store.observations() == kept + grave
    with _open(small_disk / "kit", clock) as store:
        assert store.observations() == kept + grave
        assert store.queue().critical == 2 * len(grave) + 2


def test_a_full_disk_is_emptied_of_what_the_hub_has_and_ordinary_work_goes_on(
    small_disk: Path, clock: Any, ward: Any, new_ward: Any
) -> None:
    """The database alone has filled the disk. What has no receipt stays; the ballast comes back with the room."""
    with _open(small_disk / "kit", clock) as store:
        ward.admit(store)
        kept = _save_until_full(store, ward)
        unsent = new_ward(None, "演示患者乙")
        unsent.admit(store)
        grave = unsent.reading("ecg")
        trace = unsent.recording(grave, 120_000)
        assert store.save_observation(grave, [trace], lane=Lane.CRITICAL)

        def answer() -> None:
            for item in store.due(1 << 60, 1000):
                if item.subject_id not in (trace.id, grave.id):
                    assert store.receipted([Receipt(item.id, item.body_sha256, "hub-1", clock.now_ms())]) == [True]

        answer()
        new_ward(None, "演示患者丙").admit(store)
        clock.sleep(40 * 86_400)
        answer()
        done = store.tidy()
        assert done.waveforms == len(kept)
        assert store.observations(ward.encounter.id) == kept
        assert store.recording(trace.id) == trace, "no receipt: it stays, whatever the disk says"
        assert store.room().level is not Level.RED
        store.save_observation(unsent.reading())
        assert (small_disk / "kit" / "ballast").exists()
        more = _save_until_full(store, unsent)
        assert len(more) > len(kept) // 2
    with _open(small_disk / "kit", clock) as again:
        assert again.recording(trace.id) == trace
