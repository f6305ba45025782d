"""The product as these tools see it: the one file that knows how a kit, a hub and a road are set up.

Whoever changes how a store is opened or an engine is made changes this file, and every tool follows.
"""

from __future__ import annotations

import inspect
import sqlite3
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from zhenbao.agent.store import KitStore
from zhenbao.hub.reports import Reports
from zhenbao.hub.server import add_practitioner
from zhenbao.hub.store import HubStore, people
from zhenbao.hub.store.people import Practitioner
from zhenbao.hub.worklist import Worklist
from zhenbao.model.finding import Evidence, Finding, Urgency
from zhenbao.model.identity import Sex
from zhenbao.model.observation import Device, Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.quantity import Quantity
from zhenbao.model.recording import Recording
from zhenbao.model.time import Clock, SystemClock
from zhenbao.sync.engine import Engine, Event
from zhenbao.sync.envelope import Body, Lane, unpack
from zhenbao.sync.link import Link
from zhenbao.sync.mailbox import MailboxStore

__all__ = ["Engine", "Event", "HubStore", "KitStore", "Lane", "MailboxStore", "SystemClock"]

KIT_ID = "kit-001"
"""Of the example roster, which knows its village."""
HUB_ID = "hub"
BALLAST_BYTES = 1 << 20
START_MS = 1_800_000_000_000


SEALED = "keyring" in inspect.signature(Engine).parameters
"""Whether messages are signed: then no message that anybody else makes or bends may be taken."""
KEY = bytes(range(32))
_KEYED: Any = {"key": KEY} if "key" in inspect.signature(KitStore.open).parameters else {}


class HandClock:
    """Time that moves when it is told to; the wall may jump, the monotonic clock never does."""

    def __init__(self, wall_ms: int = START_MS) -> None:
        self.wall_ms = wall_ms
        self.mono_s = 1000.0

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic_s(self) -> float:
        return self.mono_s

    def sleep(self, seconds: float) -> None:
        self.pass_s(seconds)

    def wait_s(self, seconds: float) -> float:
        return 0.0

    def pass_s(self, seconds: float) -> None:
        self.wall_ms += round(1000 * seconds)
        self.mono_s += seconds


def fast_folder() -> str | None:
    """Where thousands of small databases cost least: in memory, where there is such a folder."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - what lies there is removed


# Opening


def open_kit(folder: Path, clock: Clock, *, kit_id: str = KIT_ID) -> KitStore:
    """The kit's store in a folder."""
    return KitStore.open(folder, kit_id=kit_id, clock=clock, ballast_bytes=BALLAST_BYTES, **_KEYED)


def open_hub(folder: Path, clock: Clock) -> HubStore:
    """The hub's store in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return HubStore(f"sqlite:///{hub_file(folder).absolute()}", clock)


def set_synchronous(level: str) -> None:
    """Make both stores of this process sync less than they ship with: for the positive controls only."""
    if level == "FULL":
        return
    from sqlalchemy import event
    from sqlalchemy.pool import Pool

    from zhenbao.agent.store import database

    database._PRAGMAS = tuple(
        pragma.replace("synchronous=FULL", f"synchronous={level}") for pragma in database._PRAGMAS
    )

    @event.listens_for(Pool, "checkout")
    def less(connection: sqlite3.Connection, _record: object, _proxy: object) -> None:
        connection.execute(f"PRAGMA synchronous={level}")


def kit_file(folder: Path) -> Path:
    return folder / "kit.sqlite3"


def hub_file(folder: Path) -> Path:
    return folder / "hub.db"


def kit_database(folder: Path) -> sqlite3.Connection:
    """The kit's file, read past the product: where it is encrypted, with the same library and the same key."""
    if not _KEYED:
        return sqlite3.connect(f"file:{kit_file(folder)}?mode=ro", uri=True)
    from sqlcipher3 import dbapi2

    salt = kit_file(folder).read_bytes()[:16]
    connection: sqlite3.Connection = dbapi2.connect(str(kit_file(folder)), isolation_level=None)
    connection.execute("pragma cipher_log_level=NONE")
    connection.execute(f"pragma key = \"x'{KEY.hex()}{salt.hex()}'\"")
    connection.execute("pragma query_only = 1")
    return connection


def hub_database(folder: Path) -> sqlite3.Connection:
    """The hub's file, read past the product."""
    return sqlite3.connect(f"file:{hub_file(folder)}?mode=ro", uri=True)


def value_in(kind: str, body: bytes) -> Body:
    """What lies packed in a column or an envelope."""
    return unpack(kind, body)


def engine(store: MailboxStore, link: Link, clock: Clock, on_event: Callable[[Event], None] | None = None) -> Engine:
    """An engine as the kit's service and the hub make it; where messages are sealed, with the keys of these tests."""
    if SEALED:
        from reliability.keyring import Keyring

        return Engine(store, link, clock, Keyring(store.name), on_event=on_event)
    return Engine(store, link, clock, on_event=on_event)


def mqtt_link(host: str, port: int, name: str, *, tls: ssl.SSLContext | None = None) -> Link:
    """The road as it ships."""
    from zhenbao.sync.links.mqtt import MqttLink

    return MqttLink(host, port, name, is_hub=name == HUB_ID, tls=tls)


def run_service(folder: Path, port: int, stop: threading.Event) -> None:
    """The kit's background service: its engine on its store, for ever."""
    clock = SystemClock()
    with open_kit(folder, clock) as store:
        engine(store, mqtt_link("127.0.0.1", port, KIT_ID), clock).run(stop)


def run_ingest(store: HubStore, port: int, stop: threading.Event) -> None:
    """The hub's ingest, as the hub runs it."""
    engine(store, mqtt_link("127.0.0.1", port, HUB_ID), store.clock).run(stop)


# What is measured

CRITICAL = Finding("EC01", Urgency.RED, (Evidence("st_elevation", Quantity(0.3, "mV")),), "reliability tests")


def samples(seed: int) -> bytes:
    """A 12-lead of 10 s at 500 Hz in microvolts: waves, and noise as real ones have, so that it packs like one."""
    import numpy as np

    rng = np.random.default_rng(seed)
    t = np.arange(5000) / 500
    phase = (t * rng.uniform(0.9, 1.5)) % 1
    beat = sum(
        size * np.exp(-(((phase - at) / width) ** 2))
        for size, at, width in ((120, 0.2, 0.03), (1100, 0.36, 0.012), (-250, 0.39, 0.012), (300, 0.62, 0.06))
    )
    leads = np.outer(beat, rng.uniform(-1, 1.2, 12)) + rng.normal(0, 6, (5000, 12))
    return np.round(leads).astype("<i2").tobytes()


@dataclass
class Visit:
    """One person in the chair, and what may be measured."""

    kit_id: str = KIT_ID
    at_ms: int = START_MS
    patient: Patient = field(init=False)
    encounter: Encounter = field(init=False)

    def __post_init__(self) -> None:
        self.patient = Patient(uuid4(), "演示患者甲", Sex.FEMALE, None)
        self.encounter = Encounter(uuid4(), self.patient.id, self.kit_id, self.at_ms)

    def begin(self, store: KitStore) -> list[UUID]:
        """Keep who and when; returns what is kept once this returned."""
        store.save_patient(self.patient)
        store.save_encounter(self.encounter)
        return [self.patient.id, self.encounter.id]

    def reading(self, *, critical: bool = False, at_ms: int | None = None, key: str | None = None) -> Observation:
        """A reading, as a device or an analysis gives it."""
        return Observation(
            uuid4(),
            self.patient.id,
            self.encounter.id,
            self.kit_id,
            "ecg" if critical else "bp",
            "preliminary",
            self.at_ms if at_ms is None else at_ms,
            Device("bp-gatt", serial="sim-1"),
            {"heart_rate": Quantity(82.0, "/min")} if critical else {"bp_systolic": Quantity(128.0, "mm[Hg]")},
            findings=(CRITICAL,) if critical else (),
            device_key=key,
        )

    @staticmethod
    def trace(observation: Observation, samples: bytes) -> Recording:
        """Twelve leads of a reading."""
        leads = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
        return Recording(uuid4(), observation.id, "ecg", 500.0, leads, "mV", 0.001, observation.effective_ms, samples)

    def save(
        self, store: KitStore, observation: Observation, *traces: Recording, closes_capture: UUID | None = None
    ) -> list[UUID]:
        """Keep a reading with its traces in the lane that it belongs to; returns what is kept once this returned."""
        lane = Lane.CRITICAL if observation.findings else Lane.RESULTS
        whole = replace(observation, recordings=tuple(trace.id for trace in traces))
        store.save_observation(whole, traces, lane=lane, closes_capture=closes_capture)
        return [whole.id, *(trace.id for trace in traces)]


# Who answers


class Doctor:
    """Specialists at the hub: whoever leads the most pressing case reads and signs.

    Attributes:
        said: what the hub told them it had signed: (case, conclusion).
    """

    def __init__(self, store: HubStore) -> None:
        self._store, self._worklist, self._reports = store, Worklist(store), Reports(store)
        self.said: list[tuple[str, str]] = []

    def answer(self, text: str) -> bool:
        """Open the most pressing open case and sign a report on it. False where there is none."""
        rows = self._worklist.rows()
        if not rows:
            return False
        item = rows[0].item
        person = self._who(item.specialty or "general-practice")
        case = self._worklist.open_case(item.id, person)
        newest = case.reports[-1].id if case.reports else None
        self._reports.sign(item.id, person, conclusion=text, advice="三天后复测", after=newest)
        self.said.append((str(item.id), text))
        return True

    def _who(self, specialty: str) -> Practitioner:
        with self._store.reading() as connection:
            known = people.find(connection, f"dr-{specialty}")
        return known or add_practitioner(
            self._store,
            f"dr-{specialty}",
            name="演示医师",
            role="specialist",
            specialty=specialty,
            phone="",
            password="a long password",
        )


# What the hub shows


def late_above_min() -> float:
    """Minutes after which a critical case is late, as the routing table says."""
    from zhenbao import rules

    return next(r.trigger.late_above_min for r in rules.routes() if r.trigger.late_above_min is not None)


def shown_as_clock_ahead(effective_ms: int, received_ms: int) -> bool:
    """Whether the worklist says that the kit's clock is ahead."""
    from zhenbao.hub.roster import load_roster
    from zhenbao.hub.web.present import Presenter
    from zhenbao.words import Words

    return Presenter(Words("zh_CN"), load_roster(), received_ms).clock_ahead(effective_ms, received_ms)


# The wire


def mend_sums(data: bytes) -> bytes:
    """Make every sum right that needs no key: what an attacker can do with any message."""
    import zlib

    return data[:-4] + zlib.crc32(data[:-5]).to_bytes(4, "big")
