"""What travels, in bytes: a blood pressure in a batch, a twelve-lead ECG, a critical finding alone."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from zhenbao import rules
from zhenbao.agent.store import KitStore
from zhenbao.model.ecg import LEADS
from zhenbao.model.identity import Sex
from zhenbao.model.ids import uuid7
from zhenbao.model.observation import Device, Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.quantity import Quantity
from zhenbao.model.recording import Recording
from zhenbao.model.time import local_time
from zhenbao.signal.ecg.compress import compress
from zhenbao.sync.engine import Engine
from zhenbao.sync.envelope import Lane
from zhenbao.sync.parts import is_part

NOW = 1_800_000_000_000


def visit(rng: random.Random, now_ms: int, serial: str) -> tuple[Patient, Encounter, Observation]:
    """Another patient each time, measured twice by a Bluetooth cuff, judged by the program's own rules."""

    def new() -> UUID:
        return uuid7(now_ms, rng.getrandbits)

    patient = Patient(new(), "演示患者甲", Sex.FEMALE, None)
    encounter = Encounter(new(), patient.id, "kit-1", now_ms)
    taken_ms = now_ms + 120_000
    times = [local_time(taken_ms - 1000 * back).strftime("%Y-%m-%dT%H:%M:%S") for back in (75, 8)]
    systolic, diastolic, pulse = rng.gauss(138, 18), rng.gauss(84, 10), rng.gauss(74, 9)
    readings = tuple(
        {
            "bp_systolic": Quantity(float(round(systolic + rng.gauss(0, 4))), "mm[Hg]"),
            "bp_diastolic": Quantity(float(round(diastolic + rng.gauss(0, 3))), "mm[Hg]"),
            "bp_mean": Quantity(float(round((systolic + 2 * diastolic) / 3 + rng.gauss(0, 2))), "mm[Hg]"),
            "pulse_rate_nibp": Quantity(float(round(pulse + rng.gauss(0, 2))), "/min"),
        }
        for _ in times
    )
    mean = {
        key: Quantity(float(round(sum(r[key].value for r in readings) / len(readings))), unit)
        for key, unit in (("bp_systolic", "mm[Hg]"), ("bp_diastolic", "mm[Hg]"), ("pulse_rate_nibp", "/min"))
    }
    context = {"chest_pain": "no", "arm": "left"}
    keys = "+".join(f"{serial}|{time}|{rng.getrandbits(64):016x}" for time in times)
    reading = Observation(
        new(), patient.id, encounter.id, "kit-1", "bp", "preliminary", taken_ms,
        Device("bp-gatt", "示例厂", "BM-77", serial, "2.13"), mean, readings, context,
        rules.evaluate("bp", mean, {**context, "adult": "yes", "sex": "female"}), times[-1], 3.0, keys,
    )  # fmt: skip
    return patient, encounter, reading


def sent_to_hub(road: Any) -> list[bytes]:
    return [data for to, data in road.carried if to == "hub"]


def test_a_blood_pressure_in_a_batch_of_fifty_takes_at_most_120_bytes(
    kit: KitStore, clock: Any, faulty_road: Any
) -> None:
    rng = random.Random(20261127)
    readings = []
    for n in range(50):
        patient, encounter, reading = visit(rng, NOW + 600_000 * n, "SN20260417")
        clock.wall_ms = reading.effective_ms + 900
        kit.save_patient(patient)
        kit.save_encounter(encounter)
        readings.append(reading)
    # Patients and visits are there already.
    for item in kit.due(1 << 60, 999):
        from zhenbao.model.report import Receipt

        kit.receipted([Receipt(item.id, item.body_sha256, "e", 1)])
    for reading in readings:
        clock.wall_ms = reading.effective_ms + 900
        kit.save_observation(reading)
    road = faulty_road()
    end = road.end("kit-1")
    engine = Engine(kit, end, clock, road.keyring_of("kit-1"))
    end.start()
    engine.step()
    packets = [data for data in sent_to_hub(road) if len(data) > 1000]
    assert engine.counts.sent == 50
    assert len(packets) == 2, "half a second of 64 kbit/s each"
    assert sum(map(len, packets)) / 50 <= 120, f"{sum(map(len, packets)) / 50:.1f} bytes a reading"


def test_a_twelve_lead_ecg_takes_at_most_2_percent_more_than_its_codec_makes_of_it(
    kit: KitStore, ward: Any, clock: Any, faulty_road: Any
) -> None:
    """Ten seconds at 500 Hz, drawn with the noise of an amplifier."""
    rng = np.random.default_rng(7)
    t = np.arange(5000) / 500
    beat = np.exp(-((((t % 0.8) - 0.3) / 0.012) ** 2)) * 1.2 + np.exp(-((((t % 0.8) - 0.55) / 0.05) ** 2)) * 0.3
    leads = [
        beat * scale + rng.normal(0, 0.008, len(t)) + 0.05 * np.sin(t)
        for scale in (0.6, 1.0, 0.4, 0.9, 1.3, 0.8, 0.5, 0.2)
    ]
    one, two = np.round(leads[0] * 1000), np.round(leads[1] * 1000)
    limb = [one, two, two - one, np.round(-(one + two) / 2), np.round(one - two / 2), np.round(two - one / 2)]
    samples = np.stack([*limb, *(np.round(lead * 1000) for lead in leads[2:8])]).astype(np.int16)
    ward.admit(kit)
    reading = ward.reading("ecg")
    recording = Recording(
        uuid7(NOW), reading.id, "ecg", 500.0, LEADS, "mV", 0.001, NOW, np.ascontiguousarray(samples.T).tobytes(),
        highpass_hz=0.05,
    )  # fmt: skip
    reading = replace(reading, recordings=(recording.id,))
    kit.save_observation(reading, [recording])
    assert kit.recording(recording.id) == recording
    road = faulty_road()
    ends = road.end("kit-1"), road.end("hub")
    engine = Engine(kit, ends[0], clock, road.keyring_of("kit-1"))
    from tests.sync.conftest import PlainMailbox

    hub = PlainMailbox("hub", "kit-1")
    other = Engine(hub, ends[1], clock, road.keyring_of("hub"))
    for end in ends:
        end.start()
    for _ in range(60):
        engine.step()
        road.deliver()
        other.step()
        road.deliver()
    assert kit.queue().total == 0
    parts = sum(len(data) for data in sent_to_hub(road) if is_part(data))
    coded = len(compress(samples, LEADS))
    assert parts > coded / 2
    assert parts / coded <= 1.02, f"{parts} of {coded}"


def test_a_critical_finding_and_whom_it_belongs_to_fit_into_one_small_packet(
    kit: KitStore, clock: Any, faulty_road: Any
) -> None:
    patient, encounter, reading = visit(random.Random(5), NOW, "SN20260417")
    kit.save_patient(patient)
    kit.save_encounter(encounter)
    kit.save_observation(reading, lane=Lane.CRITICAL)
    road = faulty_road()
    end = road.end("kit-1")
    engine = Engine(kit, end, clock, road.keyring_of("kit-1"))
    end.start()
    engine.step()
    sizes = [len(data) for data in sent_to_hub(road)]
    assert engine.counts.sent == 3
    assert sum(sizes) <= 1000, "an eighth of a second on 64 kbit/s, the greeting included"


@pytest.mark.parametrize("value", [128.0, 36.6, -0.0, 1e300, 0.1])
def test_a_number_comes_back_as_it_was(value: float) -> None:
    from zhenbao.sync.bodies import pack_value, unpack_value

    back = unpack_value(pack_value(Quantity(value, "1")), Quantity)
    assert str(back.value) == str(value)
