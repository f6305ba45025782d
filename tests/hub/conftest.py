"""A hub, a kit that speaks to it in real envelopes, and a clock that stands still until it is told."""

from __future__ import annotations

import contextlib
import functools
import math
import re
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from zhenbao.hub import passwords
from zhenbao.hub.reports import Reports
from zhenbao.hub.roster import Desk, Duty, Kit, Roster
from zhenbao.hub.server import add_practitioner
from zhenbao.hub.store import HubStore
from zhenbao.hub.store.database import Database
from zhenbao.hub.store.people import Practitioner
from zhenbao.hub.worklist import Worklist
from zhenbao.model.ecg import LEADS, EcgAnalysis, EcgQuality
from zhenbao.model.errors import StorageError
from zhenbao.model.finding import Evidence, Finding, Urgency
from zhenbao.model.identity import Sex
from zhenbao.model.ids import uuid7
from zhenbao.model.observation import Device, Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.quantity import Quantity
from zhenbao.model.recording import Recording
from zhenbao.model.report import Receipt
from zhenbao.sync.envelope import Body, Envelope, Lane, kind_of, pack

if TYPE_CHECKING:
    from httpx import Response
    from starlette.testclient import TestClient

START_MS = 1_795_312_800_000
"""2026-11-22 10:00 in Beijing."""
MINUTE_MS = 60_000
PASSWORD = "correct horse"


@dataclass
class HandClock:
    """Time as the test says."""

    ms: int = START_MS

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return self.ms / 1000

    def sleep(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)

    def pass_minutes(self, minutes: float) -> None:
        self.ms += round(minutes * MINUTE_MS)


def quantity(value: float, unit: str) -> Quantity:
    return Quantity(value, unit)


def finding(rule_id: str, urgency: Urgency, name: str = "bp_systolic", value: float = 0, unit: str = "1") -> Finding:
    return Finding(rule_id, urgency, (Evidence(name, Quantity(value, unit)),), "a source")


def ecg_samples(seconds: float = 10, fs_hz: int = 500) -> bytes:
    """Twelve leads with a narrow spike a second on a slow wave: enough to be drawn."""
    samples = []
    for n in range(round(seconds * fs_hz)):
        t = n / fs_hz % 1
        wave = 120 * math.exp(-(((t - 0.25) / 0.012) ** 2)) + 25 * math.exp(-(((t - 0.5) / 0.05) ** 2))
        samples += [round(wave * (1 + lead / 12) * 8) for lead in range(12)]
    return struct.pack(f"<{len(samples)}h", *samples)


@dataclass
class KitVoice:
    """What one kit says: values as models, envelopes as they would come off the wire."""

    store: HubStore
    clock: HandClock
    kit_id: str = "kit-001"
    sequence: int = 0
    receipts: list[Receipt] = field(default_factory=list)
    finding = staticmethod(finding)
    quantity = staticmethod(quantity)

    def patient(self, name: str = "演示患者甲", number: str | None = "99999919480101002X", **more: object) -> Patient:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14])) if number else None
        sex = Sex.FEMALE if number is None or int(number[16]) % 2 == 0 else Sex.MALE
        return replace(Patient(uuid7(self.clock.now_ms()), name, sex, born, number), **more)

    def encounter(self, patient: Patient, chest_pain: str = "unknown", reason: str = "头晕两天") -> Encounter:
        now_ms = self.clock.now_ms()
        return Encounter(uuid7(now_ms), patient.id, self.kit_id, now_ms, reason, chest_pain)

    def observation(
        self, encounter: Encounter, *findings: Finding, code: str = "bp", at_ms: int | None = None, **more: object
    ) -> Observation:
        now_ms = self.clock.now_ms()
        plain = Observation(
            id=uuid7(now_ms),
            patient_id=encounter.patient_id,
            encounter_id=encounter.id,
            kit_id=self.kit_id,
            code=code,
            status="preliminary",
            effective_ms=now_ms if at_ms is None else at_ms,
            device=Device("bp-gatt", "示例厂", "B1", "SN1"),
            values={"bp_systolic": quantity(124, "mm[Hg]"), "bp_diastolic": quantity(78, "mm[Hg]")},
            findings=findings,
        )
        return replace(plain, **more)

    def ecg(self, encounter: Encounter, *findings: Finding, at_ms: int | None = None) -> tuple[Observation, Recording]:
        now_ms = self.clock.now_ms()
        recording_id = uuid7(now_ms)
        analysis = EcgAnalysis(
            500.0,
            LEADS,
            tuple(125 + 500 * n for n in range(10)),
            ("?",) * 10,
            60.0,
            "not-judged",
            {"rr": 1000.0},
            None,
            findings,
            EcgQuality(True, 0.95),
        )
        observation = self.observation(
            encounter,
            *findings,
            code="ecg",
            at_ms=at_ms,
            values={"heart_rate_ecg": quantity(60, "/min")},
            ecg=analysis,
            recordings=(recording_id,),
            device=Device("ecg-front-end", "示例厂", "F1", "SN2"),
        )
        recording = Recording(
            recording_id, observation.id, "ecg", 500.0, LEADS, "mV", 0.001, now_ms, ecg_samples(), highpass_hz=0.05
        )
        return observation, recording

    def envelope(self, value: Body, *, id_: UUID | None = None, body: bytes | None = None) -> Envelope:
        self.sequence += 1
        now_ms = self.clock.now_ms()
        subject = getattr(value, "id", None) or getattr(value, "report_id", None) or uuid7(now_ms)
        return Envelope(
            id_ or uuid7(now_ms),
            self.kit_id,
            "hub",
            "boot-1",
            self.sequence,
            kind_of(value),
            Lane.RESULTS,
            subject,
            now_ms,
            pack(value) if body is None else body,
        )

    def send(self, *values: Body) -> Receipt:
        """Send values in order; returns the last receipt."""
        for value in values:
            self.receipts += self.store.accept([self.envelope(value)], self.clock.now_ms())
        return self.receipts[-1]


ROSTER = Roster(
    Desk("0994-0000000", "emergency"),
    (
        Duty("cardiology", "heart", "0994-0000011", "heart-2", "0994-0000012"),
        Duty("emergency", "rescue", "0994-0000021"),
        Duty("general-practice", "town", "0994-0000051", hours="08:00-20:00"),
    ),
    (Kit("kit-001", "演示村卫生室", "0994-0000101"),),
)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(scope="session")
def blank_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The newest schema and nothing in it: migrating anew for each test would cost half of their time."""
    path = tmp_path_factory.mktemp("blank") / "hub.db"
    with contextlib.closing(Database(f"sqlite:///{path}")):
        return path


@pytest.fixture
def store(tmp_path: Path, clock: HandClock, blank_database: Path) -> Iterator[HubStore]:
    shutil.copy(blank_database, tmp_path / "hub.db")
    made = HubStore(f"sqlite:///{tmp_path / 'hub.db'}", clock, ROSTER)
    yield made
    made.close()


@pytest.fixture
def kit(store: HubStore, clock: HandClock) -> KitVoice:
    return KitVoice(store, clock)


@pytest.fixture
def worklist(store: HubStore) -> Worklist:
    return Worklist(store)


@pytest.fixture
def reports(store: HubStore) -> Reports:
    return Reports(store)


@pytest.fixture
def heart(store: HubStore) -> Practitioner:
    return add_practitioner(
        store, "heart", name="演示医师甲", role="specialist", specialty="cardiology", phone="", password=PASSWORD
    )


@pytest.fixture
def heart_2(store: HubStore) -> Practitioner:
    return add_practitioner(
        store, "heart-2", name="演示医师乙", role="specialist", specialty="cardiology", phone="", password=PASSWORD
    )


@pytest.fixture
def lungs(store: HubStore) -> Practitioner:
    return add_practitioner(
        store, "lungs", name="演示医师丙", role="specialist", specialty="respiratory", phone="", password=PASSWORD
    )


@pytest.fixture
def desk(store: HubStore) -> Practitioner:
    return add_practitioner(
        store, "desk", name="演示调度员", role="operator", specialty=None, phone="", password=PASSWORD
    )


_hash = functools.cache(passwords.hash_password)


@pytest.fixture(autouse=True)
def _hash_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The accounts made here share one password; its deliberately slow hash is computed once."""
    monkeypatch.setattr(passwords, "hash_password", _hash)


# Pages


@pytest.fixture
def vendored() -> None:
    """The files of others that the pages serve: without them there is nothing to test."""
    from zhenbao.hub.web import vendor

    try:
        vendor.check()
    except StorageError:
        pytest.skip("the page's files are not there: run make (npm ci, then python -m zhenbao.hub.web.vendor)")


@pytest.fixture
def browser(store: HubStore, vendored: None) -> Iterator[TestClient]:
    """Somebody at the hub's pages, not logged in, whose browser asks for Chinese."""
    from starlette.testclient import TestClient

    from zhenbao.hub.web.app import create_app

    with TestClient(
        create_app(store), base_url="http://127.0.0.1", follow_redirects=False, headers={"accept-language": "zh-CN"}
    ) as client:
        yield client


def csrf_of(page: Response) -> str:
    """The token of a page's forms."""
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


def log_in(browser: TestClient, login: str, password: str = PASSWORD, *, code: str = "") -> Response:
    """Try to log in."""
    token = csrf_of(browser.get("/login"))
    return browser.post("/login", data={"account": login, "password": password, "code": code, "csrf": token})


def change_to(browser: TestClient, login: str) -> str:
    """Log in as another person; returns the token of their forms."""
    browser.cookies.clear()
    assert log_in(browser, login).status_code == 303
    return csrf_of(browser.get("/", follow_redirects=True))
