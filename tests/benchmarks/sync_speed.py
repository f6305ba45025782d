"""How fast the mailbox is beside what it cannot do without.

    python tests/benchmarks/sync_speed.py

Hub: taking in packets of fifty readings (verify, open, unpack, check, keep, route, receipt) beside the signature check,
the opening and one batch insert of the same bodies into SQLite alone. Kit: saving a reading with its queue entry beside
a raw append and fsync of the same bytes. Ratios of one run, taken in turn; absolute figures are this machine's.
"""

from __future__ import annotations

import os
import random
import sqlite3
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from uuid import UUID

sys.path.insert(0, str(Path(__file__).parents[2]))

from zhenbao.agent.store import KitStore
from zhenbao.hub.keys import HubKeyring, add_kit
from zhenbao.hub.store import HubStore
from zhenbao.model.identity import Sex
from zhenbao.model.ids import uuid7
from zhenbao.model.observation import Device, Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.quantity import Quantity
from zhenbao.model.time import SystemClock
from zhenbao.sync.engine import Engine
from zhenbao.sync.envelope import Envelope, Lane, envelope_id, pack
from zhenbao.sync.keys import OwnKeys, card_of, make_keys
from zhenbao.sync.packet import read_packet
from zhenbao.sync.peers import Peer
from zhenbao.sync.sealing import Sealer

PACKETS, ITEMS, SAVES = 20, 50, 300


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


def packets(kit: OwnKeys, hub: Peer, rng: random.Random) -> tuple[list[bytes], list[list[Envelope]]]:
    """What a kit sends: every visit another patient's."""

    class Keyring:
        own = kit

    sealer = Sealer("kit-1", Keyring())  # type: ignore[arg-type]
    made, items, sequence = [], [], 0
    for _ in range(PACKETS):
        batch = []
        for _ in range(ITEMS):
            sequence += 1
            encounter = Encounter(UUID(int=rng.getrandbits(128)), UUID(int=rng.getrandbits(128)), "kit-1", 1)
            value = reading(rng, encounter)
            batch.append(
                Envelope(envelope_id("kit-1", "boot", sequence), "kit-1", "hub", "boot", sequence, "observation",
                         Lane.RESULTS, value.id, value.effective_ms, pack(value))
            )  # fmt: skip
        made.append(sealer.seal(hub, batch)[0])
        items.append(batch)
    return made, items


def hub_ingest(folder: Path) -> float:
    """Ratio of ours to the floor."""
    clock = SystemClock()
    store = HubStore(f"sqlite:///{folder}/hub.db", clock)
    keyring = HubKeyring(store, folder)
    kit = make_keys("kit-1", 1)
    add_kit(store, card_of(kit))
    sent, items = packets(kit, Peer(keyring.card), random.Random(1))
    engine = Engine(store, NoRoad(), clock, keyring)  # type: ignore[arg-type]
    floor = sqlite3.connect(folder / "floor.db", isolation_level=None)
    floor.execute("pragma journal_mode=wal")
    floor.execute("pragma synchronous=full")
    floor.execute("create table inbox (id blob primary key, body blob not null) without rowid")
    ours_s = floor_s = 0.0
    for data, batch in zip(sent, items, strict=True):
        began_s = time.perf_counter()
        engine._arrived("kit-1", data)
        engine.step()
        ours_s += time.perf_counter() - began_s
        began_s = time.perf_counter()
        packet = read_packet(data)
        packet.verify(kit.newest.public.sign)
        packet.open(keyring.own.newest.seal_key)
        floor.execute("begin")
        floor.executemany("insert into inbox values (?, ?)", [(e.id.bytes, e.body) for e in batch])
        floor.execute("commit")
        floor_s += time.perf_counter() - began_s
    assert engine.counts.accepted == PACKETS * ITEMS, engine.counts
    store.close()
    print(f"hub ingest   {PACKETS * ITEMS / ours_s:7.0f} readings/s, floor {PACKETS * ITEMS / floor_s:7.0f}/s")
    return floor_s / ours_s


def kit_enqueue(folder: Path) -> float:
    """Ratio of a save (record, queue entry, state) to a raw append and fsync of its body."""
    rng = random.Random(2)
    clock = SystemClock()
    patient = Patient(uuid7(clock.now_ms()), "演示患者甲", Sex.FEMALE, None)
    encounter = Encounter(uuid7(clock.now_ms()), patient.id, "kit-1", clock.now_ms())
    ours_s = floor_s = 0.0
    with KitStore.open(folder / "kit", kit_id="kit-1", clock=clock) as store, (folder / "raw").open("ab") as raw:
        store.save_patient(patient)
        store.save_encounter(encounter)
        for _ in range(SAVES):
            value = replace(reading(rng, encounter))
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
        print(f"hub ingest beside verify + open + batch insert: {hub_ingest(folder):.2f} of the floor's speed")
        print(f"kit enqueue beside append + fsync: {kit_enqueue(folder):.2f} of the floor's speed")


main()
