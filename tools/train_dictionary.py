"""Train the next dictionary for ``zhenbao.sync.squeeze`` on synthetic readings.

    python tools/train_dictionary.py 1        writes zhenbao/sync/dictionary-1.zdict

A released dictionary is never trained again: both sides must have the same bytes. The readings are drawn here from
plain ranges and judged by the program's own rules, so that the dictionary knows the words of a packet and no patient.
"""

from __future__ import annotations

import argparse
import random
import secrets
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import zstandard

from zhenbao import rules
from zhenbao.model.identity import Sex
from zhenbao.model.ids import uuid7
from zhenbao.model.observation import Device, Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.quantity import Quantity
from zhenbao.model.report import ReportRead, Viewed
from zhenbao.model.time import local_time
from zhenbao.sync.envelope import Body, Envelope, Lane, envelope_id, kind_of, pack
from zhenbao.sync.messages import encode

SIZE_BYTES = 16 << 10
SAMPLES = 3000
BEGIN_MS = 1_780_000_000_000
DRIVERS = ("bp-gatt", "bp-beurer-serial", "glucose-gatt", "glucose-onetouch", "oximeter-gatt", "oximeter-nonin",
           "thermometer-gatt", "scale-gatt", "ecg-front-end", "spirometer-front-end", "typed")  # fmt: skip
REASONS = ("头晕", "头痛", "胸闷", "胸痛", "咳嗽", "复诊", "测血压", "测血糖", "发热", "气短")


class Village:
    """Draws what a kit would post in a day."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.now_ms = BEGIN_MS + rng.randrange(1 << 36)
        self.kit_id = f"kit-{rng.randrange(1000):03}"
        # Like a cuff's: what stands in a row of readings of one kit is the same, from kit to kit it differs.
        self.offset_s = rng.randint(-90, 90)
        self.serial = "".join(rng.choices("0123456789ABCDEF", k=rng.randint(6, 12)))

    def id(self) -> UUID:
        return uuid7(self.now_ms, self.rng.getrandbits)

    def patient(self) -> Patient:
        born = date(1930, 1, 1) + timedelta(days=self.rng.randrange(30_000))
        number = f"999999{born:%Y%m%d}{self.rng.randrange(10_000):04}"
        sex = self.rng.choice((Sex.MALE, Sex.FEMALE))
        name = "".join(chr(self.rng.randrange(0x4E00, 0x9FA5)) for _ in range(3))
        known = self.rng.choice(("yes", "no", "unknown"))
        return Patient(self.id(), name, sex, born, number, self.rng.randint(145, 185), None, known)

    def encounter(self, patient: Patient) -> Encounter:
        pain = self.rng.choice(("no", "unknown", "yes"))
        return Encounter(self.id(), patient.id, self.kit_id, self.now_ms, self.rng.choice(REASONS), pain)

    def reading(self, encounter: Encounter) -> Observation:
        kind = self.rng.choice(("bp", "bp", "bp", "glucose", "spo2", "temperature", "weight"))
        context = {"chest_pain": encounter.chest_pain}
        self.now_ms += self.rng.randrange(20_000, 600_000)
        plain = Observation(
            self.id(), encounter.patient_id, encounter.id, self.kit_id, kind, "preliminary", self.now_ms,
            self.device(kind), {}, context=context,
        )  # fmt: skip
        return getattr(self, kind)(plain)  # type: ignore[no-any-return]

    def device(self, kind: str) -> Device:
        names = {"bp": "bp", "glucose": "glucose", "spo2": "oximeter", "temperature": "thermometer", "weight": "scale"}
        fitting = [driver for driver in DRIVERS if driver.startswith(names[kind])]
        return Device(self.rng.choice(fitting), "", f"M{self.rng.randrange(100)}", self.serial, "1.0")

    def bp(self, plain: Observation) -> Observation:
        rng = self.rng
        readings = []
        systolic, diastolic, pulse = rng.randint(95, 190), rng.randint(55, 110), rng.randint(50, 110)
        for _ in range(rng.choice((2, 2, 3))):
            systolic, diastolic = systolic + rng.randint(-6, 6), diastolic + rng.randint(-4, 4)
            readings.append({
                "bp_systolic": Quantity(float(systolic), "mm[Hg]"),
                "bp_diastolic": Quantity(float(diastolic), "mm[Hg]"),
                "bp_mean": Quantity(float((systolic + 2 * diastolic) // 3), "mm[Hg]"),
                "pulse_rate_nibp": Quantity(float(pulse + rng.randint(-3, 3)), "/min"),
            })  # fmt: skip
        values = {
            "bp_systolic": Quantity(float(systolic), "mm[Hg]"),
            "bp_diastolic": Quantity(float(diastolic), "mm[Hg]"),
            "pulse_rate_nibp": Quantity(float(pulse), "/min"),
        }
        times = [self.device_time(-60 * n) for n in range(len(readings))][::-1]
        keys = [f"{self.serial}|{time}|{rng.getrandbits(64):016x}" for time in times]
        context = {**plain.context, "arm": rng.choice(("left", "right"))}
        found = rules.evaluate("bp", values, {**context, "adult": "yes"})
        return replace(
            plain, values=values, readings=tuple(readings), context=context, findings=found,
            device_time=times[-1], device_offset_s=float(self.offset_s), device_key="+".join(keys),
        )  # fmt: skip

    def device_time(self, later_s: int = 0) -> str:
        return local_time(self.now_ms + 1000 * (self.offset_s + later_s)).strftime("%Y-%m-%dT%H:%M:%S")

    def glucose(self, plain: Observation) -> Observation:
        values = {"glucose": Quantity(self.rng.randrange(30, 200) / 10, "mmol/L")}
        context = {**plain.context, "meal": self.rng.choice(("fasting", "after-2h", "random")), "sample": "capillary"}
        found = rules.evaluate("glucose", values, {**context, "known_diabetes": "no", "adult": "yes"})
        return replace(plain, values=values, context=context, findings=found, device_time=self.device_time())

    def spo2(self, plain: Observation) -> Observation:
        values = {
            "spo2": Quantity(float(self.rng.randint(82, 100)), "%"),
            "pulse_rate_spo2": Quantity(float(self.rng.randint(45, 130)), "/min"),
        }
        return replace(plain, values=values, findings=rules.evaluate("spo2", values, plain.context))

    def temperature(self, plain: Observation) -> Observation:
        return replace(plain, values={"temperature": Quantity(self.rng.randrange(355, 402) / 10, "Cel")})

    def weight(self, plain: Observation) -> Observation:
        return replace(plain, values={"weight": Quantity(self.rng.randrange(400, 1000) / 10, "kg")})


def sample(seed: int) -> bytes:
    """What one packet would hold before it is squeezed."""
    rng = random.Random(seed)  # noqa: S311 - synthetic data, not a secret
    village = Village(rng)
    values: list[tuple[Body, UUID]] = []
    for _ in range(rng.randint(1, 6)):
        patient = village.patient()
        encounter = village.encounter(patient)
        readings = [village.reading(encounter) for _ in range(rng.randint(1, 4))]
        values += [(each, each.id) for each in (patient, encounter, *readings)]
        if rng.random() < 0.2:
            values.append((Viewed((readings[0].id,), patient.name, village.now_ms), village.id()))
            values.append((ReportRead(village.id(), village.now_ms), village.id()))
    boot = f"{rng.getrandbits(128):032x}-{rng.getrandbits(32):08x}"
    first = rng.randrange(5000)
    return encode([
        Envelope(envelope_id(village.kit_id, boot, n), village.kit_id, "hub", boot, n, kind_of(value), Lane.RESULTS,
                 subject_id, village.now_ms, pack(value))
        for n, (value, subject_id) in enumerate(values, first)
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", type=int)
    version = parser.parse_args().version
    place = Path(__file__).resolve().parents[1] / "zhenbao" / "sync" / f"dictionary-{version}.zdict"
    if place.exists():
        raise SystemExit(f"{place.name} is released: take the next number")
    seed = secrets.randbelow(1 << 32)
    trained = zstandard.train_dictionary(SIZE_BYTES, [sample(seed + n) for n in range(SAMPLES)], level=19)
    place.write_bytes(trained.as_bytes())
    print(f"{place.name}: {len(trained.as_bytes())} bytes, seed {seed}")  # noqa: T201


main()
