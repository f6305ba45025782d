"""A patient on a visit, readings, and a clock that is moved by hand."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from store_key import KEY

from zhenbao.agent.store import KitStore
from zhenbao.model.identity import Sex
from zhenbao.model.observation import Device, Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.quantity import Quantity
from zhenbao.model.recording import Recording

NOW = 1_800_000_000_000


class HandClock:
    def __init__(self) -> None:
        self.wall_ms = NOW
        self.mono_s = 1000.0

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic_s(self) -> float:
        return self.mono_s

    def sleep(self, seconds: float) -> None:
        self.wall_ms += round(1000 * seconds)
        self.mono_s += seconds


class Ward:
    """A patient in a visit, and readings of it."""

    def __init__(self, number: str | None = "999999196001010020", name: str = "演示患者甲") -> None:
        self.patient = Patient(uuid4(), name, Sex.FEMALE, None, number)
        self.encounter = Encounter(uuid4(), self.patient.id, "kit-1", NOW)

    def admit(self, store: KitStore) -> None:
        store.save_patient(self.patient)
        store.save_encounter(self.encounter)

    def reading(self, code: str = "bp", **changes: object) -> Observation:
        reading = Observation(
            uuid4(),
            self.patient.id,
            self.encounter.id,
            "kit-1",
            code,
            "preliminary",
            NOW,
            Device("typed"),
            {"bp_systolic": Quantity(128.0, "mm[Hg]")},
        )
        return replace(reading, **changes)  # type: ignore[arg-type]

    @staticmethod
    def recording(observation: Observation, size: int = 24_000, kind: str = "ecg") -> Recording:
        noise = random.Random(size).randbytes(size)  # no codec makes it smaller
        return Recording(uuid4(), observation.id, kind, 500.0, ("I", "II", "III"), "mV", 0.001, NOW, noise)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def ward() -> Ward:
    return Ward()


@pytest.fixture
def new_ward() -> type[Ward]:
    return Ward


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "kit"


@pytest.fixture
def store(home: Path, clock: HandClock) -> Iterator[KitStore]:
    with KitStore.open(home, kit_id="kit-1", clock=clock, key=KEY, ballast_bytes=1 << 20) as opened:
        yield opened
