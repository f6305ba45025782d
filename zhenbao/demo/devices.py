"""The devices on the demo doctor's table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from zhenbao.firmware_sim.bench import Bench
from zhenbao.firmware_sim.cuff import BloodPressureMeter, CuffFaults, Reading
from zhenbao.firmware_sim.front_end import FrontEnd
from zhenbao.firmware_sim.glucose_meter import GlucoseMeter, GlucoseRecord
from zhenbao.firmware_sim.waveforms.ecg import EcgNoise, EcgSource, third_degree_block
from zhenbao.firmware_sim.waveforms.replay import replay
from zhenbao.firmware_sim.waveforms.spirometry import demo_blows

PRESSURES = ((168, 92, 112, 33), (152, 86, 104, 32), (150, 84, 103, 32), (118, 76, 90, 68), (116, 74, 88, 66))
"""Systolic, diastolic, mean, pulse. The first patient's first two differ by more than 10 mmHg, so that a third is asked
for; the last two are the second patient's."""
BLOOD_MMOL_L = 7.8
OLDER_RECORDS = 6
_AMPLIFIER = EcgNoise(baseline_wander_mv=0.05, mains_mv=0.003, muscle_mv=0.005, white_mv=0.003)
"""What a quiet patient and a good amplifier add to the heart's signal."""
_ECG_S = 45.0
"""Longer than the 30 s strip, so that each recording finds a whole signal."""


def ecg_source(recording: Path | None) -> EcgSource:
    """A WFDB recording as it is, or a synthetic third-degree block at 32/min."""
    if recording is not None:
        return replay(recording, duration_s=_ECG_S)
    return replace(third_degree_block(), noise=_AMPLIFIER).render(_ECG_S)


def table(folder: Path, now: datetime, ecg: EcgSource, *, recording_speed: float, wait_factor: float) -> Bench:
    """Cuff, glucose meter (with older results of others, and a control solution) and front-end.

    Args:
        folder: where the front-end keeps its settings.
        now: wall time, as the meters show it.
        recording_speed: how many times faster than real time the front-end runs.
        wait_factor: how many times faster the cuff inflates.
    """
    older = [
        GlucoseRecord.mmol_l(n, now - timedelta(days=9 - n, hours=2), 5.4 + 0.3 * n)
        for n in range(1, OLDER_RECORDS + 1)
    ]
    control = GlucoseRecord.control_solution(OLDER_RECORDS + 1, now - timedelta(hours=3), 6.1)
    return Bench(
        BloodPressureMeter(speed=wait_factor, faults=CuffFaults(hangs_up_after_sending=True)),
        GlucoseMeter([*older, control]),
        FrontEnd(ecg, demo_blows(), speed=recording_speed, settings_dir=folder / "front-end-flash"),
    )


def cuff_readings() -> Iterator[tuple[int, int, int, int]]:
    """What the cuff finds, press by press."""
    yield from PRESSURES


def reading(pressures: tuple[int, int, int, int], at: datetime) -> Reading:
    """One cuff reading at a wall time."""
    return Reading(*pressures, at)
