"""A process that is killed while it writes loses nothing that it had acknowledged."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from store_key import KEY, raw

from zhenbao.agent.store import KitStore
from zhenbao.model.report import DeliveryState
from zhenbao.model.time import SystemClock

ROOT = Path(__file__).resolve().parents[3]
KILLS = 15

# Saves readings for ever; says the id of each only after it was kept, and each part of a capture only after that was.
WRITER = textwrap.dedent("""
    import sys
    from pathlib import Path
    from uuid import UUID, uuid4
    sys.path.insert(0, "tests")
    from store_key import KEY
    from zhenbao.agent.store import KitStore
    from zhenbao.model.observation import Device, Observation
    from zhenbao.model.quantity import Quantity
    from zhenbao.model.recording import Recording
    from zhenbao.model.time import SystemClock
    from zhenbao.sync.envelope import Lane

    home, patient, encounter = Path(sys.argv[1]), UUID(sys.argv[2]), UUID(sys.argv[3])
    store = KitStore.open(home, kit_id="kit-1", clock=SystemClock(), key=KEY, ballast_bytes=1 << 20)
    say = lambda *words: print(*words, flush=True)
    say("ready")
    for n in range(100_000):
        capture = store.begin_capture(encounter, "ecg", {})
        for part in range(3):
            store.add_part(capture, "Chunk", bytes(2000))
            say("part", capture, part)
        values = {"bp_systolic": Quantity(100.0 + n % 80, "mm[Hg]")}
        o = Observation(uuid4(), patient, encounter, "kit-1", "bp", "preliminary", n, Device("typed"), values)
        r = Recording(uuid4(), o.id, "ecg", 500.0, ("I",), "mV", 0.001, n, bytes(8000))
        lane = Lane.CRITICAL if n % 7 == 0 else Lane.RESULTS
        store.save_observation(o, [r], lane=lane, closes_capture=capture)
        say("saved", o.id, r.id)
""")


@pytest.fixture
def writer(home: Path, ward: Any) -> Any:
    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", WRITER, str(home), str(ward.patient.id), str(ward.encounter.id)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )

    return start


def _kill_after(process: subprocess.Popen[str], lines: int) -> list[list[str]]:
    """What the process said before and while it was killed, after at least so many lines."""
    assert process.stdout is not None
    said = []
    for _ in range(lines):
        ready, _, _ = select.select([process.stdout], [], [], 60)
        assert ready, "the writer says nothing"
        said.append(process.stdout.readline())
        assert said[-1], "the writer ended by itself"
    os.kill(process.pid, signal.SIGKILL)
    said += process.stdout.readlines()
    process.wait(30)
    process.stdout.close()
    # A line cut off by the kill is not an acknowledgement.
    return [line.split() for line in said if line.endswith("\n")]


@pytest.mark.slow
def test_fifteen_kills_lose_nothing_that_was_acknowledged(home: Path, ward: Any, writer: Any) -> None:
    clock = SystemClock()
    with KitStore.open(home, kit_id="kit-1", clock=clock, key=KEY, ballast_bytes=1 << 20) as store:
        ward.admit(store)
    rng = random.Random(20261122)
    acknowledged: list[tuple[UUID, UUID]] = []
    for _ in range(KILLS):
        said = _kill_after(writer(), rng.randint(2, 40))
        saved = [(UUID(words[1]), UUID(words[2])) for words in said if words[0] == "saved"]
        acknowledged += saved
        parts = {UUID(words[1]): int(words[2]) + 1 for words in said if words[0] == "part"}
        with raw(home) as file:
            assert file.execute("pragma cipher_integrity_check").fetchall() == []
            assert file.execute("pragma integrity_check").fetchall() == [("ok",)]
            assert file.execute("pragma foreign_key_check").fetchall() == []
        with KitStore.open(home, kit_id="kit-1", clock=clock, key=KEY) as store:
            assert store.notices == ()
            left = {capture.id: capture.n_parts for capture in store.open_captures()}
            ended = len([id_ for id_ in parts if id_ not in left])
            # A journal that is gone was ended by its observation, acknowledged or killed just before it could say so.
            assert len(saved) <= ended <= len(saved) + 1
            assert all(left[id_] >= n for id_, n in parts.items() if id_ in left)
            for id_ in left:
                store.drop_capture(id_)
    assert len(acknowledged) > KILLS
    with KitStore.open(home, kit_id="kit-1", clock=clock, key=KEY) as store:
        queued = {item.subject_id for item in store.due(1 << 60, 100_000)}
        kept = {o.id for o in store.observations()}
        for observation_id, recording_id in acknowledged:
            assert observation_id in kept
            assert store.recording(recording_id) is not None
            assert {observation_id, recording_id} <= queued
            assert DeliveryState.SAVED in store.delivery(observation_id)
        # And nothing is kept without being queued, nor queued without being kept.
        recordings = {r.id for id_ in kept for r in store.recordings_of(id_)}
        assert queued == kept | recordings | {ward.patient.id, ward.encounter.id}
        sequences = [item.sequence for item in store.due(1 << 60, 100_000)]
        assert sorted(sequences) == list(range(1, len(sequences) + 1))


def test_two_processes_write_at_once(home: Path, ward: Any, writer: Any, store: KitStore) -> None:
    ward.admit(store)
    processes = [writer(), writer()]
    mine = [ward.reading() for _ in range(30)]
    for reading in mine:
        store.save_observation(reading)
    said = [words for process in processes for words in _kill_after(process, 30)]
    saved = {UUID(words[1]) for words in said if words[0] == "saved"}
    assert len(saved) >= 12
    kept = {o.id for o in store.observations()}
    assert kept >= saved | {r.id for r in mine}
    items = store.due(1 << 60, 100_000)
    assert len({item.id for item in items}) == len({item.sequence for item in items}) == len(items)
    assert sorted(item.sequence for item in items) == list(range(1, len(items) + 1))


# Saves one reading, and is killed as it begins its n-th statement.
SUICIDE = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    from uuid import UUID
    sys.path.insert(0, "tests")
    from store_key import KEY
    from zhenbao.agent.store import KitStore
    from zhenbao.model.observation import Device, Observation
    from zhenbao.model.recording import Recording
    from zhenbao.model.time import SystemClock
    from zhenbao.sync.envelope import Lane

    home, patient, encounter, capture, reading = Path(sys.argv[1]), *map(UUID, sys.argv[2:6])
    left = int(sys.argv[6])
    store = KitStore.open(home, kit_id="kit-1", clock=SystemClock(), key=KEY, ballast_bytes=1 << 20)

    def count(statement):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    store._database._connection.set_trace_callback(count)
    o = Observation(reading, patient, encounter, "kit-1", "ecg", "preliminary", 1, Device("typed"), {})
    r = Recording(UUID(int=reading.int + 1), o.id, "ecg", 500.0, ("I",), "mV", 0.001, 1, bytes(20_000))
    store.save_observation(o, [r], lane=Lane.CRITICAL, closes_capture=capture)
    print("saved")
""")


@pytest.mark.slow
def test_killed_at_any_statement_a_reading_is_kept_whole_or_not_at_all(home: Path, ward: Any, clock: Any) -> None:
    with KitStore.open(home, kit_id="kit-1", clock=clock, key=KEY, ballast_bytes=1 << 20) as store:
        ward.admit(store)
        for statement in range(1, 100):
            capture = store.begin_capture(ward.encounter.id, "ecg", {})
            reading = UUID(int=1000 * statement)
            before = store.queue().total
            arguments = [home, ward.patient.id, ward.encounter.id, capture, reading, statement]
            done = subprocess.run(
                [sys.executable, "-c", SUICIDE, *map(str, arguments)],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            facts = {
                "record": store.observation(reading) is not None,
                "recording": len(store.recordings_of(reading)) == 1,
                "queued": store.queue().total == before + 2,
                "state": DeliveryState.SAVED in store.delivery(reading),
                "journal ended": capture not in [c.id for c in store.open_captures()],
            }
            assert len(set(facts.values())) == 1, (statement, facts)
            if done.returncode == 0:
                assert facts["record"]
                assert statement > 10, "there were that many places to be killed at"
                return
            assert done.returncode == -signal.SIGKILL, done.stderr
    pytest.fail("the reading was never saved")
