"""How fast the mailbox is beside what it cannot do without.

    python tests/benchmarks/sync_speed.py

Hub: taking in packets of fifty readings (verify, open, unpack, check, keep, route, receipt) beside two floors: the
signature check, the opening and one batch insert of the bodies into SQLite alone; and the same with every row that the
hub must keep of them (reading, inbox, case, audit) in its own tables, inserted by the bare driver in one transaction.
Once with every reading another patient's, the worst case, and once as a village sends them, two readings of a visit
with its patient and encounter before them. Kit: saving a reading with its queue entry beside a raw append and fsync of
the same bytes. Ratios of one run, taken in turn after a warm-up; absolute figures are this machine's.
"""

from __future__ import annotations

import os
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

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

WARM_UP, PACKETS, ITEMS, SAVES = 5, 40, 50, 300


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


def batches(rng: random.Random, readings_a_visit: int) -> Iterator[list[Envelope]]:
    """What a kit sends, fifty readings a batch; the patients and encounters of a batch have come in the one before."""
    sequence = 0

    def envelope(value: Patient | Encounter | Observation) -> Envelope:
        nonlocal sequence
        sequence += 1
        now_ms = SystemClock().now_ms()
        return Envelope(envelope_id("kit-1", "boot", sequence), "kit-1", "hub", "boot", sequence, kind_of(value),
                        Lane.RESULTS, value.id, now_ms, pack(value))  # fmt: skip

    for _ in range(WARM_UP + PACKETS):
        people, readings = [], []
        for n in range(ITEMS // readings_a_visit):
            now_ms = SystemClock().now_ms()
            patient = Patient(uuid7(now_ms), f"演示患者{n}", Sex.FEMALE, None)
            encounter = Encounter(uuid7(now_ms), patient.id, "kit-1", now_ms)
            people += [envelope(patient), envelope(encounter)]
            readings += [envelope(reading(rng, encounter)) for _ in range(readings_a_visit)]
        if readings_a_visit > 1:
            yield people
        yield readings


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

    def take(self, data: bytes, kit: OwnKeys, hub: OwnKeys, rows: Mapping[str, Sequence[Sequence[object]]]) -> float:
        """Seconds."""
        began_s = time.perf_counter()
        packet = read_packet(data)
        packet.verify(kit.newest.public.sign)
        packet.open(hub.newest.seal_key)
        self._disk.execute("begin")
        for table, values in rows.items():
            marks = ", ".join("?" * len(values[0]))
            self._disk.executemany(f"insert into {table} values ({marks})", values)  # noqa: S608 - our own names
        self._disk.execute("commit")
        return time.perf_counter() - began_s


def hub_ingest(folder: Path, readings_a_visit: int) -> None:
    """Print the ratios of the hub's speed to that of both floors."""
    folder.mkdir()
    clock = SystemClock()
    store = HubStore(f"sqlite:///{folder}/hub.db", clock)
    keyring = HubKeyring(store, folder)
    kit = make_keys("kit-1", 1)
    add_kit(store, card_of(kit))
    engine = Engine(store, NoRoad(), clock, keyring)  # type: ignore[arg-type]
    kept = {table.name: table for table in (observations, inbox, work_items, audit)}
    bare, full = Floor(folder / "bare.db", ()), Floor(folder / "full.db", list(kept.values()))
    raw = sqlite3.connect(folder / "hub.db")

    class Keyring:
        own = kit

    sealer = Sealer("kit-1", Keyring())  # type: ignore[arg-type]
    seen = dict.fromkeys(kept, 0)
    seconds: dict[str, list[float]] = {"hub": [], "bare": [], "full": []}
    for batch in batches(random.Random(1), readings_a_visit):
        (data, _) = sealer.seal(Peer(keyring.card), batch)
        began_s = time.perf_counter()
        engine._arrived("kit-1", data)
        engine.step()
        ours_s = time.perf_counter() - began_s
        made = {}
        for name, number in seen.items():
            columns = ", ".join(column.name for column in kept[name].columns)
            made[name] = raw.execute(f"select {columns} from {name} where rowid > ?", (number,)).fetchall()  # noqa: S608
            seen[name] += len(made[name])
        if batch[0].kind != "observation":
            continue
        seconds["hub"].append(ours_s)
        bodies = [(e.id.bytes, e.body) for e in batch]
        seconds["bare"].append(bare.take(data, kit, keyring.own, {"bodies": bodies}))
        seconds["full"].append(full.take(data, kit, keyring.own, {name: rows for name, rows in made.items() if rows}))
    assert engine.counts.accepted == sum(seen[name] for name in ("inbox",)), engine.counts
    assert seen["observations"] == ITEMS * (WARM_UP + PACKETS)
    assert seen["work_items"] == seen["observations"] // readings_a_visit
    store.close()
    total = {name: sum(values[WARM_UP:]) for name, values in seconds.items()}
    speed = {name: round(ITEMS * PACKETS / value_s) for name, value_s in total.items()}
    print(
        f"hub ingest, {ITEMS // readings_a_visit} visits in {ITEMS} readings: {speed['hub']} readings/s;"
        f" {total['bare'] / total['hub']:.2f} of verify + open + insert of the bodies ({speed['bare']}/s),"
        f" {total['full'] / total['hub']:.2f} of verify + open + insert of all rows ({speed['full']}/s)"
    )


def kit_enqueue(folder: Path) -> float:
    """Ratio of a save (record, queue entry, state) to a raw append and fsync of its body."""
    rng = random.Random(2)
    clock = SystemClock()
    patient = Patient(uuid7(clock.now_ms()), "演示患者甲", Sex.FEMALE, None)
    encounter = Encounter(uuid7(clock.now_ms()), patient.id, "kit-1", clock.now_ms())
    ours_s = floor_s = 0.0
    (folder / "kit").mkdir(mode=0o700)
    give_pin(folder / "kit", "kit-1")
    with KitStore.open(folder / "kit", kit_id="kit-1", clock=clock) as store, (folder / "raw").open("ab") as raw:
        store.save_patient(patient)
        store.save_encounter(encounter)
        for _ in range(SAVES):
            value = reading(rng, encounter)
            began_s = time.perf_counter()
            store.save_observation(value)
            ours_s += time.perf_counter() - began_s
            body = pack(value)
            began_s = time.perf_counter()
            raw.write(body)
            raw.flush()
            os.fsync(raw.fileno())
            floor_s += time.perf_counter() - began_s
    print(f"kit enqueue  {SAVES / ours_s:7.0f} readings/s, floor {SAVES / floor_s:7.0f}/s")
    return floor_s / ours_s


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hub_ingest(folder / "apart", readings_a_visit=1)
        hub_ingest(folder / "village", readings_a_visit=2)
        print(f"kit enqueue beside append + fsync: {kit_enqueue(folder):.2f} of the floor's speed")


main()
