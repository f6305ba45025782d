"""A rhythm strip from other people's devices, with the real command: recorded, judged, alarmed and kept."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bedside import RESIDENT, Event, KitCommand, pair, set_up

from zhenbao.agent.settings import load_settings, save_settings
from zhenbao.agent.store import KitStore
from zhenbao.firmware_sim.bench import Bench
from zhenbao.firmware_sim.chest_strap import RATE_HZ, StrapFaults, strap_of
from zhenbao.firmware_sim.healthypi import HealthyPi
from zhenbao.firmware_sim.waveforms.ecg import LEADS, EcgModel, EcgNoise, third_degree_block
from zhenbao.model.time import SystemClock
from zhenbao.sync.envelope import pack, unpack

pytestmark = pytest.mark.slow
CONFIRM = ("--confirm", RESIDENT[-4:])
NOISE = EcgNoise(baseline_wander_mv=0.05, muscle_mv=0.01, white_mv=0.003)
SPEED = 15.0


def bench_with(model: EcgModel, **faults: object) -> Bench:
    source = model.render(600, RATE_HZ)
    return Bench(strap=strap_of(source, speed=SPEED, faults=StrapFaults(**faults)))  # type: ignore[arg-type]


def ready(home: Path, bench: Bench) -> KitCommand:
    kit = set_up(home, bench)
    pair(kit, bench, "polar-h10")
    assert bench.strap is not None
    assert load_settings(home).ecg_strap.upper().startswith(bench.strap.address)
    return kit


def kept(home: Path) -> KitStore:
    return KitStore.open(home, kit_id="kit-test", clock=SystemClock())


def test_a_strap_in_sinus_rhythm_is_kept_as_a_rhythm_strip_of_no_standard_lead(tmp_path: Path) -> None:
    with bench_with(EcgModel(rate_bpm=72, noise=NOISE)) as bench:
        ended = ready(tmp_path / "kit", bench)("measure", "ecg", "--device", "polar-h10", *CONFIRM)
    assert ended.code == 0, ended.said
    (told,) = (e["observation"] for e in ended.of("observation"))
    assert (told["code"], told["status"], ended.of("alarm")) == ("ecg-rhythm", "preliminary", [])
    with kept(tmp_path / "kit") as store:
        (observation,) = store.observations()
        (recording,) = store.recordings_of(observation.id)
        assert store.open_captures() == []
    assert observation.device.model == "H10"
    assert (recording.kind, recording.channels, recording.fs_hz) == ("ecg-rhythm", ("chest-strap",), 130.0)
    assert (recording.complete, recording.duration_s) == (True, 30.0)
    analysis = observation.ecg
    assert analysis is not None
    assert analysis.rhythm == "sinus"
    assert observation.values["heart_rate_ecg"].value == pytest.approx(72, abs=2)
    assert observation.values["heart_rate"].value == pytest.approx(72, abs=3)
    assert observation.notes == ()
    # The strap's own beat intervals are kept with its samples, and go with them to the hub: 72 beats in 30 s are 36.
    assert 30 <= len(recording.rr_1024) <= 40
    assert np.median(recording.rr_1024) == pytest.approx(1024 * 60 / 72, rel=0.03)
    assert unpack("recording", pack(recording)) == recording
    # One lead, and none of the standard ones: no ST, no axis, no interval of a beat (rule EC42).
    assert (analysis.st_mm, analysis.axis_deg, analysis.conduction) == (None, None, None)
    assert set(analysis.intervals) <= {"rr", "rr_min", "rr_max"}
    assert {"monitor-lead", "fewer-leads", "st-not-judged", "excludes-nothing"} <= set(analysis.limits)


def test_a_critical_rate_alarms(tmp_path: Path) -> None:
    with bench_with(replace(third_degree_block(), noise=NOISE)) as bench:
        ended = ready(tmp_path / "kit", bench)("measure", "ecg", "--device", "polar-h10", *CONFIRM)
    assert ended.code == 0, ended.said
    (alarm,) = ended.of("alarm")
    assert "EC19" in alarm["alarm"]["rule_ids"]
    assert alarm["alarm"]["latency_s"] < 2
    (told,) = (e["observation"] for e in ended.of("observation"))
    assert told["values"]["heart_rate_ecg"]["value"] == pytest.approx(32, abs=1)
    assert told["notes"] == []


def test_a_critical_rate_alarms_over_a_lossy_link_that_breaks(tmp_path: Path) -> None:
    model = third_degree_block()
    with bench_with(replace(model, noise=NOISE), lose_every=9, drop_link_at=(20,)) as bench:
        ended = ready(tmp_path / "kit", bench)("measure", "ecg", "--device", "polar-h10", *CONFIRM)
    assert ended.code == 0, ended.said
    assert len(ended.of("reconnecting")) == 1
    (alarm,) = ended.of("alarm")
    assert "EC19" in alarm["alarm"]["rule_ids"]
    assert alarm["alarm"]["latency_s"] < 2
    (told,) = (e["observation"] for e in ended.of("observation"))
    assert (told["status"], told["notes"]) == ("incomplete", ["interrupted", "strap-rate-only"])
    # The tracing alone gave no rate: what was missing silences nothing, and is called by its name.
    assert "heart_rate_ecg" not in told["values"]
    assert told["values"]["heart_rate"]["value"] == pytest.approx(32, abs=3)
    assert ended.of("samples-missing")[0]["share"] > 0.05
    with kept(tmp_path / "kit") as store:
        (recording,) = store.recordings_of(store.observations()[0].id)
    missing = float(np.isnan(recording.values()).mean())
    assert not recording.complete
    assert 0.08 < missing < 0.6


def test_a_killed_strip_is_kept_as_incomplete(tmp_path: Path) -> None:
    with Bench(strap=strap_of(EcgModel(noise=NOISE).render(60, RATE_HZ), speed=4)) as bench:
        kit = ready(tmp_path / "kit", bench)
        process = kit.start("measure", "ecg", "--device", "polar-h10", *CONFIRM)
        assert process.stdout is not None
        assert any('"recording"' in line for line in process.stdout)
        with kept(tmp_path / "kit") as store:
            until_parts(store, 8)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=10)
        recovered = kit("visit", "start", "0019", "--chest-pain", "no").of("recovered")
    assert [e["code"] for e in recovered] == ["ecg-rhythm"]
    with kept(tmp_path / "kit") as store:
        (observation,) = store.observations()
        (recording,) = store.recordings_of(observation.id)
    assert (observation.status, recording.channels) == ("incomplete", ("chest-strap",))
    assert recording.duration_s > 2


def until_parts(store: KitStore, least: int) -> None:
    """Wait until so many parts are on disk."""
    import time

    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if any(len(list(store.parts(c.id))) >= least for c in store.open_captures()):
            return
        time.sleep(0.05)
    raise AssertionError("nothing was written")


def test_without_an_assigned_strap_nothing_is_recorded(tmp_path: Path) -> None:
    kit = set_up(tmp_path / "kit", None)
    ended = kit("measure", "ecg", "--device", "polar-h10", *CONFIRM)
    assert (ended.code, "胸带" in ended.said) == (2, True)
    assert kit("measure", "ecg", "--device", "holter", *CONFIRM).code == 2
    ended = kit("measure", "ecg", "--device", "healthypi5", *CONFIRM)
    assert (ended.code, "healthypi_port" in ended.said) == (2, True)


def test_a_board_on_a_cable_whose_rate_is_set_wrong_says_so(tmp_path: Path) -> None:
    home = tmp_path / "kit"
    kit = set_up(home, None)
    microvolts = EcgModel(rate_bpm=72, noise=NOISE).render(60, 128).mv[LEADS.index("II")] * 1000
    events: list[Event] = []
    with HealthyPi((microvolts / 2).round().astype(int).tolist(), rate_hz=128, kind="block") as board:
        settings = replace(
            load_settings(home), ecg_device="healthypi5", healthypi_port=board.port, healthypi_nv_per_count=2000
        )
        save_settings(home, replace(settings, healthypi_rate_hz=125))
        ended = kit("measure", "ecg", *CONFIRM, on_event=events.append)
    assert ended.code == 0, ended.said
    (told,) = (e["observation"] for e in ended.of("observation"))
    assert told["notes"] == ["clock-rate-differs"]
    assert told["values"]["heart_rate_ecg"]["value"] == pytest.approx(72 * 125 / 128, abs=2)
