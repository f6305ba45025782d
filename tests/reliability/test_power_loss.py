"""Power cuts on the engine that ships; the whole run is ``make reliability-power``."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from reliability.lossy_fs import Event, usable
from reliability.power import Disk
from reliability.power_loss import cut_everywhere, record

needs_fuse = pytest.mark.skipif(not usable(), reason="mounting a file system needs root and /dev/fuse")


def _left(tmp_path: Path, events: list[Event], mode: str, seed: int = 1) -> dict[str, bytes]:
    disk = Disk()
    for event in events:
        disk.take(event)
    disk.cut(random.Random(seed), mode, tmp_path)  # type: ignore[arg-type]
    return {p.name: p.read_bytes() for p in tmp_path.iterdir()}


BEGUN: list[Event] = [("create", "/a", 1), ("write", 1, 0, b"old" * 500), ("sync", 1), ("syncdir", "/")]


def test_what_was_synced_is_there_and_the_rest_is_not(tmp_path: Path) -> None:
    events = [*BEGUN, ("write", 1, 0, b"new"), ("create", "/b", 2), ("write", 2, 0, b"x"), ("sync", 2)]
    assert _left(tmp_path, events, "nothing") == {"a": b"old" * 500}


def test_everything_may_be_there(tmp_path: Path) -> None:
    events = [*BEGUN, ("write", 1, 0, b"new"), ("rename", "/a", "/c"), ("truncate", 1, 6)]
    assert _left(tmp_path, events, "everything") == {"c": b"newold"}


def test_a_name_is_safe_only_once_its_folder_was_synced(tmp_path: Path) -> None:
    assert _left(tmp_path, BEGUN[:3], "nothing") == {}


def test_a_write_may_be_torn_at_and_inside_its_sectors(tmp_path: Path) -> None:
    """Over many cuts every kind of tearing is seen, and never a byte that nobody wrote."""
    events = [("create", "/a", 1), ("write", 1, 0, b"o" * 4096), ("sync", 1), ("syncdir", "/")]
    seen = set()
    for seed in range(60):
        (tmp_path / str(seed)).mkdir()
        (data,) = _left(tmp_path / str(seed), [*events, ("write", 1, 0, b"n" * 4096)], "some", seed).values()
        assert set(data) <= set(b"on")
        sectors = [data[n : n + 512] for n in range(0, 4096, 512)]
        whole = [s in (b"o" * 512, b"n" * 512) for s in sectors]
        seen.add("whole" if len(set(sectors)) == 1 else "by sectors" if all(whole) else "inside a sector")
    assert seen == {"whole", "by sectors", "inside a sector"}


@needs_fuse
@pytest.mark.slow
def test_a_cut_at_every_sync_point_of_a_visit_loses_nothing() -> None:
    result = cut_everywhere(record("FULL"), seed=20261127, cycles=1, synchronous="FULL", progress=False)
    assert result.held, result
    assert result.syncs > 50
    assert result.said > 30


@needs_fuse
@pytest.mark.slow
def test_with_fewer_syncs_the_same_test_fails() -> None:
    """The positive control: what ``synchronous=NORMAL`` loses is seen."""
    result = cut_everywhere(record("NORMAL"), seed=20261127, cycles=1, synchronous="NORMAL", progress=False)
    assert result.faults["lost: said-but-not-kept"] > 10
