"""SIGKILL, again and again, to every process of a running system: doctor's command, service, hub, broker.

A doctor saves readings and reads reports, the service sends, the hub takes in, specialists answer, all through a
broker that forgets everything when it dies. In each cycle one of them is killed: at a random time, or (doctor,
service, hub) inside its n-th write or sync as the file system under it sees it, so no hook in the product is needed.
It is started again at once. In the end everything has time to settle, and the history checker compares what was said
with what is there.

    python -m reliability.kill_loop --cycles 1000 --seed 1
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reliability import rig
from reliability.export import export
from reliability.history import History, check, read
from reliability.lossy_fs import kill_at, mounted, read_journal

PAUSE_S = 0.04
"""Between two readings of the doctor."""
_SETTLE_S = 300.0
_STARTED_S = 30.0
_CRITICAL_EVERY, _VISIT_EVERY, _TRACE_EVERY = 9, 15, 5


class Say:
    """Facts for the history, each on the disk of this machine (not of the test) before the next thing happens."""

    def __init__(self, file: Path) -> None:
        self._descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def __call__(self, log: str, what: str, **facts: object) -> None:
        line = json.dumps({"log": log, "what": what, **facts}, ensure_ascii=False) + "\n"
        os.write(self._descriptor, line.encode())


# The processes


def doctor(folder: Path, say: Say, *, hasty: bool = False) -> None:
    """Save readings for ever; say each only after it was kept (``hasty``, the positive control: before)."""
    with rig.open_kit(folder, rig.SystemClock()) as store:
        _told_of_damage(store, say)
        n = 0
        while True:
            if n % _VISIT_EVERY == 0:
                visit = rig.Visit(at_ms=store_time_ms())
                for id_ in visit.begin(store):
                    say(rig.KIT_ID, "said-saved", subject=str(id_))
            n += 1
            reading = visit.reading(critical=n % _CRITICAL_EVERY == 0, key=f"{os.getpid()}-{n}")
            traces = [visit.trace(reading, bytes(9600))] if n % _TRACE_EVERY == 0 else []
            if hasty:
                say(rig.KIT_ID, "said-saved", subject=str(reading.id))
            for id_ in visit.save(store, reading, *traces):
                say(rig.KIT_ID, "said-saved", subject=str(id_))
            for report in store.inbox(limit=3):
                if report.read_ms is None:
                    store.read_report(report.report.id, store_time_ms())
            time.sleep(PAUSE_S)


def store_time_ms() -> int:
    return time.time_ns() // 1_000_000


def service(folder: Path, port: int) -> None:
    """The kit's own service."""
    rig.run_service(folder, port, threading.Event())


def hub(folder: Path, port: int, say: Say) -> None:
    """Ingest, and specialists who answer what is open."""
    store = rig.open_hub(folder, rig.SystemClock())
    threading.Thread(target=rig.run_ingest, args=(store, port, threading.Event()), daemon=True).start()
    answering = rig.Doctor(store)
    n = 0
    while True:
        n += 1
        if answering.answer(f"报告 {os.getpid()}-{n}"):
            case, conclusion = answering.said[-1]
            say("specialist", "said-signed", case=case, conclusion=conclusion)
        time.sleep(0.2)


def _told_of_damage(store: rig.KitStore, say: Say) -> None:
    for notice in store.notices:
        if notice.code == "store-set-aside":
            say("notices", notice.code)


class Processes:
    """Children by name; each is started again in the way in which it was started first.

    They are forked from this process, which has imported everything and holds neither threads nor databases: a start
    costs milliseconds instead of seconds, and a kill is a kill all the same.
    """

    def __init__(self, port: int) -> None:
        self._starts: dict[str, Callable[[], None]] = {}
        self.pids: dict[str, int] = {}
        self._broker: subprocess.Popen[bytes] | None = None
        self._port = port

    def start(self, name: str, work: Callable[[], None] | None = None) -> None:
        if work is not None:
            self._starts[name] = work
        if name == "broker":
            self._start_broker()
            return
        pid = os.fork()
        if pid == 0:
            try:
                self._starts[name]()
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                os._exit(1)
        self.pids[name] = pid

    def kill(self, name: str) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pids[name], signal.SIGKILL)

    def wait(self, name: str, seconds: float) -> int | None:
        """How it ended, or None where it did not."""
        deadline_s = time.monotonic() + seconds
        while time.monotonic() < deadline_s:
            if name == "broker":
                assert self._broker is not None
                if self._broker.poll() is not None:
                    return self._broker.returncode
            else:
                pid, status = os.waitpid(self.pids[name], os.WNOHANG)
                if pid:
                    return os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
        return None

    def _start_broker(self) -> None:
        # No persistence: what it had acknowledged dies with it.
        deadline_s = time.monotonic() + _STARTED_S
        while True:
            self._broker = subprocess.Popen(
                ["mosquitto", "-p", str(self._port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            self.pids["broker"] = self._broker.pid
            time.sleep(0.1)
            if self._broker.poll() is None:
                return
            assert time.monotonic() < deadline_s, "the broker does not start"


def run(
    folder: Path, mount: Path, cycles: int, rng: random.Random, *, hasty: bool = False, progress: bool = True
) -> dict[str, Any]:
    """Kill, restart, settle, compare."""
    kit_folder, hub_folder = mount / "kit", mount / "hub"
    said = folder / "said.jsonl"
    say, port = Say(said), free_port()
    processes = Processes(port)
    processes.start("broker")
    processes.start("doctor", lambda: doctor(kit_folder, say, hasty=hasty))
    processes.start("hub", lambda: hub(hub_folder, port, say))
    processes.start("service", lambda: service(kit_folder, port))
    time.sleep(3)
    kills: Counter[str] = Counter()
    unasked: list[str] = []
    for cycle in range(cycles):
        name = rng.choices(["doctor", "service", "hub", "broker"], [30, 25, 25, 20])[0]
        named = name != "broker" and rng.random() < 0.6
        if named:
            kill_at(mount, rng.randint(1, 40), processes.pids[name])
        else:
            time.sleep(rng.uniform(0.0, 0.6))
            processes.kill(name)
        ended = processes.wait(name, 4.0)
        if ended is None:
            # It had nothing to write: killed where it stands.
            processes.kill(name)
            named, ended = False, processes.wait(name, 5.0)
        if ended != -signal.SIGKILL:
            unasked.append(f"{name} ended with {ended}")
        kills[f"{name} {'inside a write or sync' if named else 'at a random time'}"] += 1
        processes.start(name)
        if progress and (cycle + 1) % 20 == 0:
            print(f"{cycle + 1}/{cycles} {dict(kills)}", file=sys.stderr)
    processes.kill("doctor")
    processes.wait("doctor", 5.0)
    settled_s = _settle(kit_folder, hub_folder)
    for name in ("service", "hub", "broker"):
        processes.kill(name)
        processes.wait(name, 5.0)
    facts = export(kit_folder, hub_folder)
    spoken = read([said])
    notices = [fact for fact in spoken.facts if fact["log"] == "notices"]
    history = History([*facts, *(f for f in spoken.facts if f["log"] != "notices")])
    faults = check(history, settled=True)
    kinds = Counter(fault.kind for fault in faults)
    return {
        "cycles": cycles,
        "kills": dict(kills),
        "ended_unasked": unasked,
        "settled_s": settled_s,
        "lost": kinds["lost"],
        "doubled": kinds["doubled"],
        "other": kinds["reordered"] + kinds["stale"] + kinds["unsigned"],
        "corrupted": len(notices) + sum(1 for check_ in _integrity(kit_folder, hub_folder) if check_ != "ok"),
        "facts": history.count(),
        "faults": [asdict(fault) for fault in faults[:20]],
    }


def _settle(kit_folder: Path, hub_folder: Path) -> float | None:
    """Until nothing waits on either side; None where that did not come."""
    begun_s = time.monotonic()
    while time.monotonic() - begun_s < _SETTLE_S:
        waiting = 0
        for connection, sql in (
            (rig.kit_database(kit_folder), "select count(*) from outbox where state = 'waiting'"),
            (rig.hub_database(hub_folder), "select count(*) from outbox where receipted_ms is null"),
            (rig.hub_database(hub_folder), "select count(*) from work_items where status = 'open'"),
        ):
            with contextlib.closing(connection) as raw:
                waiting += raw.execute(sql).fetchone()[0]
        if waiting == 0:
            return round(time.monotonic() - begun_s, 1)
        time.sleep(1)
    return None


def _integrity(kit_folder: Path, hub_folder: Path) -> Iterator[str]:
    for connection in (rig.kit_database(kit_folder), rig.hub_database(hub_folder)):
        with contextlib.closing(connection) as raw:
            yield raw.execute("pragma integrity_check").fetchone()[0]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cycles", type=int, default=1000)
    parser.add_argument("--hasty", action="store_true", help="the positive control: saved is said too early; must fail")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with mounted(folder / "mount", folder / "kills", "--kills") as mount:
            result = run(folder, mount, options.cycles, random.Random(options.seed), hasty=options.hasty)
        places = Counter(f"{what} {path.rpartition('/')[2]}" for _, what, path in read_journal(folder / "kills"))
    print(json.dumps({**result, "places": dict(places)}, ensure_ascii=False))
    return bool(result["faults"] or result["corrupted"] or result["ended_unasked"])


if __name__ == "__main__":
    sys.exit(main())
