"""How fast the mailbox is beside what it cannot do without.

    python tests/benchmarks/sync_speed.py

Hub: taking in packets of fifty readings (verify, open, unpack, check, keep, route, receipt), one at a time and four
that have queued up, as after an outage. Beside it three floors: signature check, opening and one batch insert of the
bodies into SQLite alone, each packet committed for itself; the same with four committed together; and, each for
itself, with every row that the hub must keep of them (reading, inbox, case, audit) in its own tables, inserted by the
bare driver. Once with every reading another patient's, the worst case, and once as a village sends them, two readings
of a visit with its patient and encounter before them. What is receipted is processed whole: there is one rate.

Kit: saving a reading with its queue entry beside a raw append and fdatasync of the same bytes to a growing file.

All take turns, four packets or one reading at a time, as a shared disk drifts; ratios are the middle of the turns, with
their quartiles. Where others keep the processors busy, what waits for the disk is hardly slowed down, and what computes
is: so the processor time of each is said as well.
"""

from __future__ import annotations

import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bedside import give_pin
from zhenbao.agent.store import KitStore
from zhenbao.hub.keys import HubKeyring, add_kit
from zhenbao.hub.store import HubStore
from zhenbao.hub.store.tables import audit, inbox, observations, work_items
from zhenbao.model.identity import Sex
from zhenbao.model.ids import uuid7
from zhenbao.model.observation import Device, Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.quantity import Quantity
from zhenbao.model.time import SystemClock
from zhenbao.sync.engine import Engine
from zhenbao.sync.envelope import Envelope, Lane, envelope_id, kind_of, pack
from zhenbao.sync.keys import OwnKeys, card_of, make_keys
from zhenbao.sync.packet import read_packet
from zhenbao.sync.peers import Peer
from zhenbao.sync.sealing import Sealer

WARM_UP, TURNS, QUEUED, ITEMS, SAVES = 3, 30, 4, 50, 600
"""Turns, packets of a turn, readings of a packet, saves of the kit."""


KEPT = (observations, inbox, work_items, audit)
Rows = Mapping[str, Sequence[Sequence[object]]]
"""Of some tables, in the order of their columns."""


class Took(NamedTuple):
    """Seconds."""

    wall_s: float
    processor_s: float


class Stopwatch:
    """Of both clocks."""

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.thread_time()

    def read(self) -> Took:
        return Took(time.perf_counter() - self._began[0], time.thread_time() - self._began[1])


class NoRoad:
    """A link that takes everything and keeps nothing."""

    connected = True
    backlog_bytes = 0

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def send(self, recipient: str, data: bytes, *, urgent: bool = False) -> None: ...


def reading(rng: random.Random, encounter: Encounter) -> Observation:
    values = {
        "bp_systolic": Quantity(float(rng.randint(100, 180)), "mm[Hg]"),
        "bp_diastolic": Quantity(float(rng.randint(60, 100)), "mm[Hg]"),
        "pulse_rate_nibp": Quantity(float(rng.randint(55, 100)), "/min"),
    }
    now_ms = SystemClock().now_ms()
    return Observation(
        uuid7(now_ms), encounter.patient_id, encounter.id, encounter.kit_id, "bp", "preliminary", now_ms,
        Device("bp-gatt", serial="SN1"), values, (values, values), {"arm": "left"},
    )  # fmt: skip


def turns(rng: random.Random, readings_a_visit: int) -> Iterator[tuple[list[list[Envelope]], list[list[Envelope]]]]:
    """What a kit sends in each turn: patients and encounters, and then fifty readings a packet of theirs."""
    sequence = 0

    def envelope(value: Patient | Encounter | Observation) -> Envelope:
        nonlocal sequence
        sequence += 1
        now_ms = SystemClock().now_ms()
        return Envelope(envelope_id("kit-1", "boot", sequence), "kit-1", "hub", "boot", sequence, kind_of(value),
                        Lane.RESULTS, value.id, now_ms, pack(value))  # fmt: skip

    for _ in range(WARM_UP + TURNS):
        people, readings = [], []
        for _ in range(QUEUED):
            first, then = [], []
            for n in range(ITEMS // readings_a_visit):
                now_ms = SystemClock().now_ms()
                patient = Patient(uuid7(now_ms), f"演示患者{n}", Sex.FEMALE, None)
                encounter = Encounter(uuid7(now_ms), patient.id, "kit-1", now_ms)
                first += [envelope(patient), envelope(encounter)]
                then += [envelope(reading(rng, encounter)) for _ in range(readings_a_visit)]
            if readings_a_visit > 1:
                people.append(first)
            readings.append(then)
        yield people, readings


class Floor:
    """The same packets with nothing but the signature check, the opening and inserts by the bare driver."""

    def __init__(self, file: Path, tables: Sequence[Table]) -> None:
        self._disk = sqlite3.connect(file, isolation_level=None)
        self._disk.execute("pragma journal_mode=wal")
        self._disk.execute("pragma synchronous=full")
        self._disk.execute("create table bodies (id blob primary key, body blob not null) without rowid")
        for table in tables:
            self._disk.execute(str(CreateTable(table).compile(dialect=sqlite.dialect())))
            for index in table.indexes:
                self._disk.execute(str(CreateIndex(index).compile(dialect=sqlite.dialect())))

    def take(self, packets: Sequence[bytes], kit: OwnKeys, hub: OwnKeys, rows: Sequence[Rows], commits: int) -> Took:
        """Every ``commits``-th packet commits."""
        watch = Stopwatch()
        for n, (data, of_tables) in enumerate(zip(packets, rows, strict=True)):
            packet = read_packet(data)
            packet.verify(kit.newest.public.sign)
            packet.open(hub.newest.seal_key)
            if n % commits == 0:
                self._disk.execute("begin")
            for table, values in of_tables.items():
                marks = ", ".join("?" * len(values[0]))
                self._disk.executemany(f"insert into {table} values ({marks})", values)  # noqa: S608 - our own names
            if n % commits == commits - 1:
                self._disk.execute("commit")
        return watch.read()


class Hub:
    """A hub that takes packets of one kit."""

    def __init__(self, folder: Path, kit: OwnKeys) -> None:
        folder.mkdir()
        self._store = HubStore(f"sqlite:///{folder}/hub.db", SystemClock())
        self.keyring = HubKeyring(self._store, folder)
        add_kit(self._store, card_of(kit))
        self._engine = Engine(self._store, NoRoad(), SystemClock(), self.keyring)  # type: ignore[arg-type]
        self._raw = sqlite3.connect(folder / "hub.db")
        self.seen = {table.name: 0 for table in KEPT}

    def take(self, packets: Sequence[bytes]) -> Took:
        watch = Stopwatch()
        for data in packets:
            self._engine._arrived("kit-1", data)
        self._engine.step()
        return watch.read()

    def new_rows(self) -> Rows:
        """What it has written since the last look."""
        made = {}
        for table in KEPT:
            columns = ", ".join(column.name for column in table.columns)
            query = f"select {columns} from {table.name} where rowid > ?"  # noqa: S608
            if rows := self._raw.execute(query, (self.seen[table.name],)).fetchall():
                made[table.name] = rows
                self.seen[table.name] += len(rows)
        return made

    def close(self) -> None:
        assert self._engine.counts.accepted == self.seen["inbox"], self._engine.counts
        self._store.close()


def hub_ingest(folder: Path, readings_a_visit: int) -> None:
    """Print the ratios of the hub's speed to that of the floors."""
    folder.mkdir()
    kit = make_keys("kit-1", 1)
    one, queued = Hub(folder / "one", kit), Hub(folder / "queued", kit)
    bare, together = Floor(folder / "bare.db", ()), Floor(folder / "together.db", ())
    full = Floor(folder / "full.db", KEPT)

    class Keyring:
        own = kit

    sealer = Sealer("kit-1", Keyring())  # type: ignore[arg-type]
    took: dict[str, list[Took]] = {name: [] for name in ("one", "queued", "bare", "together", "full")}
    for people, readings in turns(random.Random(1), readings_a_visit):
        # Both hubs have a key of their own, and so each its own packets of the same content.
        for hub in (one, queued):
            hub.take([sealer.seal(Peer(hub.keyring.card), batch)[0] for batch in people])
            hub.new_rows()
        for_one = [sealer.seal(Peer(one.keyring.card), batch)[0] for batch in readings]
        for_queued = [sealer.seal(Peer(queued.keyring.card), batch)[0] for batch in readings]
        singly, rows = [], []
        for data in for_one:
            singly.append(one.take([data]))
            rows.append(one.new_rows())
        took["one"].append(Took(*map(sum, zip(*singly, strict=True))))
        took["queued"].append(queued.take(for_queued))
        queued.new_rows()
        bodies: list[Rows] = [{"bodies": [(e.id.bytes, e.body) for e in batch]} for batch in readings]
        took["bare"].append(bare.take(for_one, kit, one.keyring.own, bodies, 1))
        took["together"].append(together.take(for_one, kit, one.keyring.own, bodies, QUEUED))
        took["full"].append(full.take(for_one, kit, one.keyring.own, rows, 1))
    for hub in (one, queued):
        assert hub.seen["observations"] == ITEMS * QUEUED * (WARM_UP + TURNS)
        assert hub.seen["work_items"] == hub.seen["observations"] // readings_a_visit
        hub.close()
    print(
        f"hub ingest, {ITEMS // readings_a_visit} visits in {ITEMS} readings; ms a packet, and speed beside each floor:"
    )
    for name, taken in took.items():
        wall_ms, processor_ms = (
            1000 * statistics.median(column) / QUEUED for column in zip(*taken[WARM_UP:], strict=True)
        )
        print(f"  {name}: {wall_ms:.1f}, of it processor {processor_ms:.1f}")
    for name in ("one", "queued"):
        beside = (
            f"{spread([t.wall_s for t in took[floor]], [t.wall_s for t in took[name]])} of {floor}"
            for floor in ("bare", "together", "full")
        )
        print(f"  {name}: " + "; ".join(beside))


def spread(floor_s: Sequence[float], ours_s: Sequence[float]) -> str:
    """Middle and quartiles of the ratio of speeds, turn by turn."""
    ratios = [floor / ours for floor, ours in zip(floor_s, ours_s, strict=True)][WARM_UP:]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def kit_enqueue(folder: Path) -> None:
    """Print the ratio of a save (record, queue entry, state) to a raw append and sync of its body."""
    rng = random.Random(2)
    clock = SystemClock()
    patient = Patient(uuid7(clock.now_ms()), "演示患者甲", Sex.FEMALE, None)
    encounter = Encounter(uuid7(clock.now_ms()), patient.id, "kit-1", clock.now_ms())
    ours_s: list[float] = []
    floor_s: list[float] = []
    (folder / "kit").mkdir(mode=0o700)
    give_pin(folder / "kit", "kit-1")
    with KitStore.open(folder / "kit", kit_id="kit-1", clock=clock) as store, (folder / "raw").open("ab") as raw:
        store.save_patient(patient)
        store.save_encounter(encounter)
        for _ in range(SAVES):
            value = reading(rng, encounter)
            began_s = time.perf_counter()
            store.save_observation(value)
            ours_s.append(time.perf_counter() - began_s)
            body = pack(value)
            began_s = time.perf_counter()
            raw.write(body)
            raw.flush()
            os.fdatasync(raw.fileno())
            floor_s.append(time.perf_counter() - began_s)
    # Fifty saves a turn: a checkpoint comes every so many, and belongs to all of them.
    ours, floor = ([sum(values[n : n + 50]) / 50 for n in range(0, SAVES, 50)] for values in (ours_s, floor_s))
    print(
        f"kit enqueue beside append + fdatasync: {spread(floor, ours)} of the floor's speed;"
        f" {1000 * statistics.median(ours):.2f} and {1000 * statistics.median(floor):.2f} ms"
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hub_ingest(folder / "apart", readings_a_visit=1)
        hub_ingest(folder / "village", readings_a_visit=2)
        kit_enqueue(folder)


main()
