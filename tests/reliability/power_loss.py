"""Power cuts at every sync point of a visit: kit and hub on a file system that forgets what was not synced.

A visit runs once on the file system (registering, a crash journal, readings with traces, sending, a report, reading
it), and its journal is kept. For each sync, just before and after it, and at each thing that was said, several disks
are made as a power cut would leave them; kit and hub are opened on them as they ship, and the history checker looks
for anything that was said and is not there, or stands half.

    python -m reliability.power_loss --seed 1 --cycles 3
    python -m reliability.power_loss --synchronous NORMAL      the positive control: must fail
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from reliability import rig
from reliability.export import export
from reliability.history import History, check
from reliability.lossy_fs import Event, mounted, read_journal, say
from reliability.power import Disk, Mode
from reliability.rig import HUB_ID, KIT_ID, Doctor, HandClock, Visit
from reliability.road import Road

_MODES: tuple[Mode, ...] = ("nothing", "everything", "some")


@dataclass
class Result:
    """What came of all the cuts."""

    synchronous: str
    syncs: int = 0
    said: int = 0
    cuts: int = 0
    damaged: int = 0
    """Databases that were found damaged and put aside."""
    faults: Counter[str] = field(default_factory=Counter)
    """Cuts with such a fault."""
    examples: list[str] = field(default_factory=list)

    @property
    def held(self) -> bool:
        return not self.faults and not self.damaged


def visit(mount: Path, synchronous: str) -> None:
    """The program under test: runs on the mount, and says what it was told."""
    rig.set_synchronous(synchronous)
    clock, road, person = HandClock(), Road(random.Random(1)), Visit()
    hub = rig.open_hub(mount / "hub", clock)
    with rig.open_kit(mount / "kit", clock) as kit:
        sides = [
            rig.engine(kit, road.end(KIT_ID), clock),
            rig.engine(
                hub, road.end(HUB_ID), clock, lambda e: e.name == "accepted" and say(mount, f"taken {e.subject_id}")
            ),
        ]

        def travel() -> None:
            for _ in range(10):
                road.carry()
                for side in sides:
                    side.step()

        for id_ in person.begin(kit):
            say(mount, f"saved {id_}")
        road.up()
        for n in range(6):
            critical = n % 3 == 2
            reading = person.reading(critical=critical, key=f"row {n}")
            capture = kit.begin_capture(person.encounter.id, "ecg", {})
            say(mount, f"journal {capture} {reading.id}")
            for part in range(3):
                kit.add_part(capture, "Chunk", bytes(2000))
                say(mount, f"part {capture} {part + 1}")
            traces = [person.trace(reading, bytes(range(256)) * 60)] if n % 2 else []
            for id_ in person.save(kit, reading, *traces, closes_capture=capture):
                say(mount, f"saved {id_}")
            if n >= 2:
                travel()
        doctor = Doctor(hub)
        while doctor.answer("演示结论"):
            case, conclusion = doctor.said[-1]
            say(mount, f"signed {case} {conclusion}")
        travel()
        for report in kit.inbox():
            say(mount, f"report {report.report.id}")
            kit.read_report(report.report.id, clock.now_ms())
        travel()
    hub.close()


def cut_everywhere(journal: Sequence[Event], seed: int, cycles: int, synchronous: str, progress: bool) -> Result:
    """Every sync point, before and after, and every saying: one disk of each mode, of ``some`` so many."""
    rng, disk, result = random.Random(seed), Disk(), Result(synchronous)
    said: list[str] = []
    result.syncs = sum(1 for event in journal if event[0] in ("sync", "syncdir"))
    for number, event in enumerate(journal):
        if event[0] in ("sync", "syncdir"):
            _cuts(disk, said, rng, cycles, result, f"before sync at {number}")
        disk.take(event)
        if event[0] == "said":
            said.append(event[1])
            result.said += 1
        if event[0] in ("sync", "syncdir", "said"):
            _cuts(disk, said, rng, cycles, result, f"after {event[0]} at {number}")
            if progress and result.cuts % 100 < 2 * cycles:
                print(
                    f"{number}/{len(journal)} cuts {result.cuts} faults {sum(result.faults.values())}", file=sys.stderr
                )
    return result


def _cuts(disk: Disk, said: list[str], rng: random.Random, cycles: int, result: Result, where: str) -> None:
    for mode in _MODES:
        for _ in range(cycles if mode == "some" else 1):
            with tempfile.TemporaryDirectory(dir=rig.fast_folder()) as folder:
                disk.cut(rng, mode, Path(folder))
                result.cuts += 1
                found = Counter(_faults(Path(folder), said, result))
                for fault in found:
                    result.faults[fault] += 1
                if found and len(result.examples) < 10:
                    result.examples.append(f"{where}, {mode}: {dict(found)}")


def _faults(folder: Path, said: list[str], result: Result) -> Iterator[str]:
    """Open both as they ship, and look."""
    if not any(word.startswith("saved") for word in said) and not (folder / "kit" / "kit.sqlite3").exists():
        return
    clock = HandClock()
    journals: dict[UUID, int] = {}
    with rig.open_kit(folder / "kit", clock) as kit:
        if any(notice.code == "store-set-aside" for notice in kit.notices):
            result.damaged += 1
            yield "kit-damaged"
        journals = {capture.id: capture.n_parts for capture in kit.open_captures()}
        inbox = {report.report.id for report in kit.inbox()}
    rig.open_hub(folder / "hub", clock).close()
    for connection in (rig.kit_database(folder / "kit"), rig.hub_database(folder / "hub")):
        with contextlib.closing(connection) as raw:
            if raw.execute("pragma integrity_check").fetchall() != [("ok",)]:
                yield "not-whole"
    facts = export(folder / "kit", folder / "hub")
    arrived = {fact["subject"] for fact in facts if fact["what"] == "arrived"}
    kept = {fact["subject"] for fact in facts if fact["what"] == "kept"}
    ended_by: dict[str, str] = {}
    for words in (text.split() for text in said):
        match words:
            case ["saved", id_]:
                facts.append({"log": KIT_ID, "what": "said-saved", "subject": id_})
            case ["signed", case, conclusion]:
                facts.append({"log": "specialist", "what": "said-signed", "case": case, "conclusion": conclusion})
            case ["taken", id_] if id_ not in arrived and id_ not in {str(report) for report in inbox}:
                yield "taken-but-not-there"
            case ["report", id_] if UUID(id_) not in inbox:
                yield "shown-report-not-there"
            case ["journal", id_, reading]:
                # Killed between the commit and its saying: the journal is gone because its reading is there.
                ended_by[id_] = reading
            case ["part", id_, n] if ended_by[id_] not in kept and journals.get(UUID(id_), 0) < int(n):
                yield "part-of-the-journal-not-there"
            case _:
                pass
    yield from (f"{fault.kind}: {fault.rule}" for fault in check(History(facts)))


def record(synchronous: str) -> list[Event]:
    """One visit, as a process of its own on the file system."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "journal"
        with mounted(Path(folder) / "mount", journal) as mount:
            subprocess.run(
                [sys.executable, "-m", "reliability.power_loss", "--visit", mount, "--synchronous", synchronous],
                check=True,
            )
        return read_journal(journal)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cycles", type=int, default=2, help="disks of torn and partial writes at each point")
    parser.add_argument("--synchronous", choices=["FULL", "NORMAL", "OFF"], default="FULL")
    parser.add_argument("--visit", type=Path, help="(used by itself) run the visit on this mount")
    options = parser.parse_args(arguments)
    if options.visit:
        visit(options.visit, options.synchronous)
        return 0
    journal = record(options.synchronous)
    result = cut_everywhere(journal, options.seed, options.cycles, options.synchronous, True)
    told: dict[str, Any] = {**vars(result), "held": result.held, "events": len(journal)}
    print(json.dumps(told, ensure_ascii=False))
    return not result.held


if __name__ == "__main__":
    sys.exit(main())
