"""What encryption costs the kit's store: the same work on SQLCipher and on plain SQLite, by turns in one run.

    .venv/bin/python tests/benchmarks/store_cipher.py [FOLDER]

FOLDER: on the disk to be measured (default: the current folder). A script, not a test: shared machines time badly, so
each figure is the best of several turns, and what counts is the ratio.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from zhenbao.agent.store import KitStore, cipher
from zhenbao.agent.vault.file import Cost
from zhenbao.agent.vault.rules import cost
from zhenbao.agent.vault.slots import open_pin, seal_pin
from zhenbao.model.identity import Sex
from zhenbao.model.observation import Device, Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.quantity import Quantity
from zhenbao.model.recording import Recording
from zhenbao.model.time import SystemClock

TURNS = 5
READINGS = 25
ECG_BYTES = 120_000
"""Ten seconds of twelve leads at 500 Hz, 16 bits."""
KEY = bytes(range(32))


def plain(path: Path, key: bytes | None) -> Any:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


def save(store: KitStore, patient: Patient, encounter: Encounter, recording_bytes: int) -> None:
    """Keep and queue readings, each in a transaction that is on the disk when it ends."""
    for n in range(READINGS):
        reading = Observation(
            *(uuid4(), patient.id, encounter.id, "kit-1", "bp", "preliminary", n, Device("typed")),
            {"bp_systolic": Quantity(128.0, "mm[Hg]")},
        )
        traces = [Recording(uuid4(), reading.id, "ecg", 500.0, ("I",), "mV", 0.001, n, bytes(recording_bytes))]
        store.save_observation(reading, traces if recording_bytes else ())


def now() -> tuple[float, float]:
    """Seconds of the wall, and of the processor alone (without waiting for the disk or for other programs)."""
    return time.perf_counter(), time.process_time()


def since(started: tuple[float, float], parts: int = 1) -> tuple[float, float]:
    wall, processor = now()
    return (wall - started[0]) / parts, (processor - started[1]) / parts


def turn(folder: Path, connect: Callable[[Path, bytes | None], Any], recording_bytes: int) -> tuple[float, ...]:
    """Seconds, wall and processor: for a reading, and for opening the store again."""
    usual = cipher.connect, cipher.kind_of
    cipher.connect = connect
    if connect is plain:
        cipher.kind_of = lambda path, key: "ours" if path.exists() else "new"
    try:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            home = Path(name)
            patient = Patient(uuid4(), "x", Sex.FEMALE, None)
            encounter = Encounter(uuid4(), patient.id, "kit-1", 1)
            with KitStore.open(home, kit_id="kit-1", clock=SystemClock(), key=KEY) as store:
                store.save_patient(patient)
                store.save_encounter(encounter)
                started = now()
                save(store, patient, encounter, recording_bytes)
                each = since(started, READINGS)
            started = now()
            KitStore.open(home, kit_id="kit-1", clock=SystemClock(), key=KEY).close()
            return *each, *since(started)
    finally:
        cipher.connect, cipher.kind_of = usual


def start_up(module: str) -> float:
    """Seconds of a process that imports one module."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    return time.perf_counter() - started


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd()
    for what, size in (("reading alone", 0), ("reading with ECG", ECG_BYTES)):
        figures: dict[str, list[tuple[float, ...]]] = {"encrypted": [], "plain": []}
        for _ in range(TURNS):
            figures["plain"].append(turn(folder, plain, size))
            figures["encrypted"].append(turn(folder, cipher.connect, size))
        best = {name: [min(f[i] for f in turns) * 1e3 for i in range(4)] for name, turns in figures.items()}
        for i, step in enumerate(
            ("kept and queued", "the same, processor", "opened and checked", "the same, processor")
        ):
            ours, theirs = best["encrypted"][i], best["plain"][i]
            print(f"{what:17} {step:19} encrypted {ours:8.2f} ms   plain {theirs:8.2f} ms   {ours / theirs:5.2f} x")
    for module in ("sqlite3", "sqlcipher3.dbapi2"):
        print(f"process importing {module:18} {1e3 * min(start_up(module) for _ in range(TURNS)):7.1f} ms")
    for name, price in (("PIN, usual cost", cost()), ("PIN, 2 GiB and one pass", Cost(1 << 21, 1, 4))):
        slot = seal_pin(KEY, "4829 1530", "vault", price, with_tpm=False)
        started = time.perf_counter()
        open_pin(slot, "4829 1530", "vault")
        print(f"{name:25} {price.memory_kib >> 10:5} MiB x {price.iterations}: {time.perf_counter() - started:6.2f} s")


if __name__ == "__main__":
    main()
