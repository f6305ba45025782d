"""The kit's disk fails wherever it can: ``make disk``. As root, with strace; writes docs/reliability-disk.md.

* ENOSPC and EIO at the n-th write, EIO at the n-th sync, for every n, once and from then on (``strace --inject``);
* a tmpfs with so many kilobytes left, from none to more than an ECG needs, with the ballast and after it was given up;
* a disk that becomes read-only, under an open store (EROFS from then on) and between two commands, and comes back.

Each time: what the store said was kept is there, whole; what it refused it said, with words; the database is sound; and
as soon as the disk works again, or the ballast can be given up, a critical ECG is kept.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sqlcipher3 import dbapi2
from store_key import raw

from tests.reliability.disk_worker import BALLAST_BYTES, ECG_BYTES, KEY, KIT, reading, trace
from zhenbao.agent.store import KitStore
from zhenbao.agent.store.database import FILE
from zhenbao.model.errors import StorageError
from zhenbao.model.identity import Sex
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.time import SystemClock
from zhenbao.sync.envelope import Lane
from zhenbao.words import Words

ROOT = Path(__file__).resolve().parents[2]
WORKER = Path(__file__).with_name("disk_worker.py")
PAGE = ROOT / "docs" / "reliability-disk.md"
CLOCK = SystemClock()
FAULTS = (
    ("pwrite64", "ENOSPC"),
    ("pwrite64", "EIO"),
    ("pwrite64", "EROFS"),
    ("fdatasync", "EIO"),
    ("fsync", "EIO"),
    ("ftruncate", "ENOSPC"),
)
_MOST_CALLS = 2000


@dataclass
class Tally:
    """What was seen in one series."""

    name: str
    runs: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """Steps that were refused, by code."""
    recovered: int = 0
    """Refused steps that were kept at the second try, the disk having failed once."""
    kept_though_refused: int = 0
    """Steps refused at their sync and there after all: a crash's recovery found them whole in the log."""
    critical_kept: int = 0
    wrong: list[str] = field(default_factory=list)
    """Anything that must never be: the series has failed."""


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--every", type=int, default=1, help="only every n-th call and every n-th kilobyte step")
    options.add_argument(
        "--but-enospc", action="store_true", help="ENOSPC once and failing syncs at every call even so"
    )
    options.add_argument("--no-page", action="store_true", help="do not write docs/reliability-disk.md")
    chosen = options.parse_args()
    if os.geteuid() != 0 or shutil.which("strace") is None:
        sys.stdout.write("This needs root (a small tmpfs is mounted) and strace.\n")
        return 2
    started = datetime.now(UTC)
    series = []
    # In memory: a real disk's syncs would take most of the time, and it is the failing ones that are looked at.
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as place:  # noqa: S108
        template = Path(place) / "template"
        KitStore.open(template, kit_id=KIT, clock=CLOCK, ballast_bytes=BALLAST_BYTES, key=KEY).close()
        for call, error in FAULTS:
            for lasting in (True,) if error == "EROFS" else (False, True):
                each = chosen.but_enospc and (call != "pwrite64" or (error == "ENOSPC" and not lasting))
                step = 1 if each else chosen.every
                series.append(injected(Path(place), template, call, error, lasting=lasting, every=step))
                _say(series[-1])
        for made in (kilobytes(held=True, every=chosen.every), kilobytes(held=False, every=chosen.every), read_only()):
            series.append(made)
            _say(made)
    if not chosen.no_page:
        PAGE.write_text(_page(series, started, sys.argv[1:]), encoding="utf-8")
    return 1 if any(made.wrong for made in series) else 0


# Faults of single calls


def injected(place: Path, template: Path, call: str, error: str, *, lasting: bool, every: int) -> Tally:
    """Let the n-th call fail, once or from then on, for n = 1, 2, ... until a day has no n-th call."""
    tally = Tally(f"{error} at the n-th {call}{' and ever after' if lasting else ''}")
    for n in range(1, _MOST_CALLS, every):
        # The worker's own day is the same each time; only the failing call moves.
        home = place / "kit"
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(template, home)
        log = place / "strace"
        paths = [f"{home}/{name}" for name in (FILE, f"{FILE}-wal", f"{FILE}-shm")]
        command = ["strace", "-f", "-qq", "-o", str(log), "-e", f"trace={call}"]
        command += ["-e", f"inject={call}:error={error}:when={n}{'+' if lasting else ''}"]
        command += [part for path in paths for part in ("-P", path)]
        ended = subprocess.run(
            [*command, sys.executable, str(WORKER), str(home)],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        if "INJECTED" not in log.read_text():
            break
        tally.runs += 1
        where = f"n = {n}"
        if ended.returncode or ended.stderr:
            tally.wrong.append(f"{where}: {ended.stderr.strip().splitlines()[-1:] or ended.returncode}")
            continue
        lines = [json.loads(line) for line in ended.stdout.splitlines()]
        _count(tally, lines, lasting=lasting, where=where)
        _judge(tally, home, lines, where)
    return tally


def _count(tally: Tally, lines: list[dict[str, Any]], *, lasting: bool, where: str) -> None:
    for line in lines:
        if not line["kept"]:
            tally.refused[line["code"]] += 1
            _has_words(tally, line["code"], where)
        elif line["try"] == 2:
            tally.recovered += 1
    gave_up = [line["step"] for line in lines if not line["kept"] and line["try"] == 2]
    if gave_up and not lasting:
        tally.wrong.append(f"{where}: one failure of the disk, and {gave_up} was refused twice")


def _has_words(tally: Tally, code: str, where: str) -> None:
    if f"error.{code}.what" not in Words("zh_CN"):
        tally.wrong.append(f"{where}: {code} has no words")


def _judge(tally: Tally, home: Path, lines: list[dict[str, Any]], where: str) -> None:
    """Open it on a disk that works: all that was said to be kept is there, whole, and a critical ECG is taken."""
    try:
        with KitStore.open(home, kit_id=KIT, clock=CLOCK, ballast_bytes=BALLAST_BYTES, key=KEY) as store:
            if store.notices and any(notice.code == "store-set-aside" for notice in store.notices):
                tally.wrong.append(f"{where}: the database was taken for damaged")
                return
            for line in lines:
                there = [_is_there(store, UUID(id_)) for id_ in line["ids"]]
                if line["kept"] and not all(there):
                    tally.wrong.append(f"{where}: {line['step']} was acknowledged and is not there")
                elif not line["kept"] and any(there) and not all(there):
                    tally.wrong.append(f"{where}: {line['step']} was refused and is there in part")
                elif not line["kept"] and line["try"] == 2 and there and all(there):
                    tally.kept_though_refused += 1
            tally.critical_kept += _takes_critical(store)
        with raw(home) as opened:
            if opened.execute("pragma integrity_check").fetchall() != [("ok",)]:
                tally.wrong.append(f"{where}: the database is not sound")
    except StorageError as error:
        tally.wrong.append(f"{where}: afterwards {error}")


def _is_there(store: KitStore, id_: UUID) -> bool:
    found = (store.patient, store.encounter, store.observation, store.recording, store.attachment)
    return any(look(id_) is not None for look in found) or any(kept.report.id == id_ for kept in store.inbox())


def _takes_critical(store: KitStore) -> bool:
    """Whether a whole critical visit with its ECG is kept."""
    patient = Patient(uuid4(), "演示患者乙", Sex.MALE, None)
    encounter = Encounter(uuid4(), patient.id, KIT, CLOCK.now_ms())
    store.save_patient(patient)
    store.save_encounter(encounter)
    return _critical_ecg(store, encounter)


def _critical_ecg(store: KitStore, encounter: Encounter) -> bool:
    ecg = reading(encounter, "ecg")
    samples = trace(ecg, ECG_BYTES)
    store.save_observation(ecg, [samples], lane=Lane.CRITICAL)
    return store.recording(samples.id) == samples and store.due(1 << 60, 1)[0].lane is Lane.CRITICAL


# Real disks


@contextlib.contextmanager
def small_disk() -> Iterator[Path]:
    """A file system of 24 MB."""
    with tempfile.TemporaryDirectory() as place:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", place], check=True)
        try:
            yield Path(place)
        finally:
            subprocess.run(["umount", "-l", place], check=True)


def _fill(disk: Path, left_kb: int) -> None:
    """Other people's photographs, up to so many kilobytes."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - (left_kb << 10)
    with (disk / "photographs").open("ab") as file:
        os.posix_fallocate(file.fileno(), file.tell(), max(free, 1))


def kilobytes(*, held: bool, every: int) -> Tally:
    """So many kilobytes are left; ordinary work until it is refused, then a critical ECG."""
    tally = Tally(f"tmpfs with 0 to 500 KB left, the ballast {'held' if held else 'given up'}")
    for left_kb in range(0, 501, 4 * every):
        tally.runs += 1
        where = f"{left_kb} KB left"
        with small_disk() as disk:
            home = disk / "kit"
            with KitStore.open(home, kit_id=KIT, clock=CLOCK, ballast_bytes=BALLAST_BYTES, key=KEY) as store:
                patient = Patient(uuid4(), "演示患者甲", Sex.FEMALE, None)
                encounter = Encounter(uuid4(), patient.id, KIT, CLOCK.now_ms())
                store.save_patient(patient)
                store.save_encounter(encounter)
                if not held:
                    (home / "ballast").unlink()
                _fill(disk, left_kb)
                kept, refused = [], ""
                while not refused and len(kept) < 50:
                    ecg = reading(encounter, "ecg")
                    try:
                        store.save_observation(ecg, [trace(ecg, 24_000)])
                        kept.append(ecg)
                    except StorageError as error:
                        refused = error.code
                tally.refused[refused] += 1
                if refused != "store-full":
                    tally.wrong.append(f"{where}: ordinary work ended with {refused or 'nothing'}")
                try:
                    tally.critical_kept += _critical_ecg(store, encounter)
                except StorageError as error:
                    tally.refused[f"critical {error.code}"] += 1
                    if held:
                        tally.wrong.append(f"{where}: the critical ECG was refused: {error}")
                (disk / "photographs").unlink()
                if not _critical_ecg(store, encounter):
                    tally.wrong.append(f"{where}: there is room again and nothing is kept")
                tally.recovered += 1
                if store.observations(encounter.id)[: len(kept)] != kept:
                    tally.wrong.append(f"{where}: something kept before is lost")
            with raw(home) as opened:
                if opened.execute("pragma integrity_check").fetchall() != [("ok",)]:
                    tally.wrong.append(f"{where}: the database is not sound")
    return tally


def read_only() -> Tally:
    """The disk is remounted read-only and back, between commands: Linux forbids it while a file is open for writing."""
    tally = Tally("remounted read-only between two commands, and back")
    with small_disk() as disk:
        home = disk / "kit"
        KitStore.open(home, kit_id=KIT, clock=CLOCK, ballast_bytes=BALLAST_BYTES, key=KEY).close()
        for n in range(10):
            tally.runs += 1
            subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
            try:
                KitStore.open(home, kit_id=KIT, clock=CLOCK, ballast_bytes=BALLAST_BYTES, key=KEY).close()
                tally.wrong.append(f"round {n}: opened on a disk that takes nothing")
            except StorageError as error:
                tally.refused[error.code] += 1
                _has_words(tally, error.code, f"round {n}")
            subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
            with KitStore.open(home, kit_id=KIT, clock=CLOCK, ballast_bytes=BALLAST_BYTES, key=KEY) as store:
                tally.critical_kept += _takes_critical(store)
                tally.recovered += 1
    return tally


# Telling


def _say(tally: Tally) -> None:
    sys.stdout.write(" | ".join(_row(tally)) + "\n")
    for wrong in tally.wrong[:10]:
        sys.stdout.write(f"  WRONG {wrong}\n")
    sys.stdout.flush()


def _row(tally: Tally) -> tuple[str, ...]:
    refused = ", ".join(f"{code} {n}" for code, n in sorted(tally.refused.items())) or "-"
    numbers = (tally.runs, tally.recovered, tally.kept_though_refused, tally.critical_kept, len(tally.wrong))
    return (tally.name, str(numbers[0]), refused, *map(str, numbers[1:]))


def _page(series: list[Tally], started: datetime, options: list[str]) -> str:
    head = ("the disk", "runs", "refused, by code", "kept at the second try", "refused and there", "ECG kept", "wrong")
    rows = ["| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *map(_row, series))]
    minutes = (datetime.now(UTC) - started).total_seconds() / 60
    text = PAGE_TEXT.format(
        day=started.date(),
        minutes=minutes,
        sqlite=dbapi2.sqlite_version,
        options="".join(f" {option}" for option in options),
    )
    return text.replace("TABLE", "\n".join(rows))


PAGE_TEXT = (Path(__file__).with_name("disk_page.txt")).read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
