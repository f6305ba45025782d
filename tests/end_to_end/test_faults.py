"""What goes wrong at the bedside: each fault says what happened and what to do, and what was recorded is kept."""

from __future__ import annotations

import signal
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from bedside import RESIDENT, Ended, pair, set_up

from zhenbao.agent.store import KitStore
from zhenbao.firmware_sim.bench import Bench
from zhenbao.firmware_sim.cuff import BloodPressureMeter, CuffFaults, Reading
from zhenbao.firmware_sim.front_end import FrontEnd
from zhenbao.firmware_sim.front_end.device import Air, FrontEndFaults
from zhenbao.firmware_sim.front_end.line import LineFaults
from zhenbao.firmware_sim.waveforms.ecg import EcgModel, EcgNoise
from zhenbao.firmware_sim.waveforms.spirometry import demo_blows
from zhenbao.model.time import SystemClock, local_time

pytestmark = pytest.mark.slow
CONFIRM = ("--confirm", RESIDENT[-4:])
AMPLIFIER = EcgNoise(muscle_mv=0.005, white_mv=0.003)


def now() -> datetime:
    return local_time(SystemClock().now_ms()).replace(tzinfo=None, microsecond=0)


def kept(home: Path) -> KitStore:
    return KitStore.open(home, kit_id="kit-test", clock=SystemClock())


def test_a_cable_pulled_in_mid_recording_keeps_what_arrived_and_says_so(tmp_path: Path) -> None:
    source = EcgModel(noise=AMPLIFIER).render(12)
    board = FrontEnd(source, speed=20, faults=FrontEndFaults(line=LineFaults(pull_after=100)))
    with Bench(front_end=board) as bench:
        kit = set_up(tmp_path / "kit", bench)
        ended = kit("measure", "ecg", *CONFIRM)
    assert ended.code != 0
    assert "怎么办" in ended.said
    (observation,) = (e["observation"] for e in ended.of("observation"))
    assert (observation["status"], observation["code"]) == ("incomplete", "ecg")
    with kept(tmp_path / "kit") as store:
        (recording,) = store.recordings_of(store.observations()[0].id)
        assert not recording.complete
        assert 2.0 < recording.duration_s < 9.9
        assert store.open_captures() == []


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(LineFaults(corrupt_every=17), id="wrong CRC"),
        pytest.param(LineFaults(drop_every=13), id="lost frames"),
        pytest.param(LineFaults(garbage_every=5), id="garbage between frames"),
        pytest.param(LineFaults(chunk_bytes=7), id="split anywhere"),
    ],
)
def test_a_bad_cable_never_bends_a_recording(tmp_path: Path, faults: LineFaults) -> None:
    """What arrives is in its place and right; what does not is missing, and the record says so."""
    import numpy as np

    source = EcgModel(noise=AMPLIFIER).render(45)
    with Bench(front_end=FrontEnd(source, speed=20, faults=FrontEndFaults(line=faults))) as bench:
        kit = set_up(tmp_path / "kit", bench)
        ended = kit("measure", "ecg", *CONFIRM)
    assert ended.code == 0, ended.said
    with kept(tmp_path / "kit") as store:
        (recording,) = store.recordings_of(store.observations()[0].id)
    values = recording.values()
    sent = np.round(source.mv[:, : values.shape[1]] * 1000) / 1000
    there = ~np.isnan(values)
    assert np.allclose(values[there], sent[there], rtol=0, atol=1e-9)
    whole = not (faults.corrupt_every or faults.drop_every)
    assert recording.complete == whole == bool(there.all())
    assert there.mean() > 0.9


def test_a_loose_electrode_is_named_while_the_patient_is_still_there(tmp_path: Path) -> None:
    source = EcgModel(noise=AMPLIFIER).render(45)
    faults = FrontEndFaults(electrode_off={"LA": (0, 1_000_000)})
    with Bench(front_end=FrontEnd(source, speed=20, faults=faults)) as bench:
        kit = set_up(tmp_path / "kit", bench)
        ended = kit("measure", "ecg", *CONFIRM)
    assert ended.of("electrode-off")[0]["electrodes"] == ["LA"]
    assert [e["code"] for e in ended.of("trouble")] == ["ecg-quality", "ecg-quality"]
    assert ended.of("alarm") == []


@pytest.mark.parametrize("drop_every", [97, 13, 3])
def test_frames_lost_on_the_cable_are_no_matter_of_electrodes(tmp_path: Path, drop_every: int) -> None:
    """The doctor is sent to the plug and told how much was lost; no lead's electrode is named, here or at the hub."""
    source = EcgModel(noise=AMPLIFIER).render(45)
    faults = FrontEndFaults(line=LineFaults(drop_every=drop_every))
    with Bench(front_end=FrontEnd(source, speed=20, faults=faults)) as bench:
        ended = set_up(tmp_path / "kit", bench)("measure", "ecg", *CONFIRM)
    assert ended.code == 0, ended.said
    troubles = ended.of("trouble")
    assert [e["code"] for e in troubles] == ["ecg-data-lost", "ecg-data-lost"]
    with kept(tmp_path / "kit") as store:
        observations = store.observations()
        for observation in observations:
            (recording,) = store.recordings_of(observation.id)
            assert observation.ecg is not None
            quality = observation.ecg.quality
            assert quality.reasons in ((), ("data-lost",))
            lost = sum(stop - start for start, stop in quality.lost)
            assert lost == int((recording.values() != recording.values()).all(axis=0).sum()) > 0
            # 25 samples a frame; every k-th is lost.
            assert lost / recording.n_samples == pytest.approx(1 / drop_every, rel=0.35)
            assert any(f"{round(1000 * lost / recording.fs_hz)} 毫秒" in e["what"] for e in troubles)
    assert all("数据线" in e["do"] for e in troubles)
    assert ended.of("electrode-off") == []


def test_a_loose_electrode_on_a_bad_cable_is_named_by_its_own_bit(tmp_path: Path) -> None:
    source = EcgModel(noise=AMPLIFIER).render(45)
    faults = FrontEndFaults(line=LineFaults(drop_every=13), electrode_off={"V3": (0, 1_000_000)})
    with Bench(front_end=FrontEnd(source, speed=20, faults=faults)) as bench:
        ended = set_up(tmp_path / "kit", bench)("measure", "ecg", *CONFIRM)
    assert ended.of("electrode-off")[0]["electrodes"] == ["V3"]
    with kept(tmp_path / "kit") as store:
        told = {o.code: o.ecg.quality.reasons for o in store.observations() if o.ecg is not None}
    # V3 is not among the leads of the strip.
    assert told == {"ecg": ("data-lost", "electrode-off:V3"), "ecg-rhythm": ("data-lost",)}


def test_a_cuff_that_measured_but_sent_nothing(tmp_path: Path) -> None:
    cuff = BloodPressureMeter(speed=100, faults=CuffFaults(silent=True))
    with Bench(cuff=cuff) as bench:
        kit = set_up(tmp_path / "kit", bench)
        cuff.faults = CuffFaults()
        pair(kit, bench, "bp")
        cuff.faults = CuffFaults(silent=True)
        ended = kit("measure", "bp", *CONFIRM, on_event=presses(bench, Reading(150, 90, 110, 70, now())))
        assert ended.code == 1
        assert "cuff-silent" in ended.said
        assert "袖带" in ended.said
        assert ended.of("observation") == []
        named = "measure bp --typed 152/94 --pulse 78"
        assert f"zhenbao {named}" in ended.said
        typed = kit(*named.split(), *CONFIRM)
    assert typed.of("observation")[0]["observation"]["typed"] is True, "the command that the message names works"


def test_an_unpaired_meter_asks_for_the_technician_and_starts_no_pairing(table: Bench, tmp_path: Path) -> None:
    kit = set_up(tmp_path / "kit", table)
    ended = kit("measure", "bp", *CONFIRM, on_event=presses(table, Reading(150, 90, 110, 70, now())))
    assert ended.code == 1
    assert "not-paired" in ended.said
    assert "技术员" in ended.said
    assert table.call(lambda: table.cuff.bonded_hosts) == 0


def test_an_old_reading_of_another_person_is_not_charted(table: Bench, tmp_path: Path) -> None:
    kit = set_up(tmp_path / "kit", table)
    pair(kit, table, "bp")
    old = Reading(188, 118, 140, 99, now() - timedelta(hours=3))
    table.call(lambda: table.cuff.measure(188, 118, 140, 99, old.at))
    ended = kit("measure", "bp", *CONFIRM, on_event=presses(table, Reading(124, 78, 93, 66, None)))
    assert ended.code == 0, ended.said
    assert "bp-held" in [e["code"] for e in ended.of("trouble")]
    (observation,) = (e["observation"] for e in ended.of("observation"))
    assert observation["values"]["bp_systolic"]["value"] == 124


def test_a_cuff_with_a_wrong_clock_is_noticed_and_its_readings_kept(table: Bench, tmp_path: Path) -> None:
    kit = set_up(tmp_path / "kit", table)
    pair(kit, table, "bp")
    wrong = timedelta(days=400)
    ended = kit("measure", "bp", *CONFIRM, on_event=presses(table, Reading(124, 78, 93, 66, None), clock=-wrong))
    assert ended.code == 0, ended.said
    assert [round(e["offset_s"] / 86400) for e in ended.of("device-clock")][:1] == [-400]
    (observation,) = (e["observation"] for e in ended.of("observation"))
    assert observation["notes"] == ["device-clock"]


def test_the_battery_dies_between_two_readings(table: Bench, tmp_path: Path) -> None:
    """SIGKILL after the first reading: the next command goes on with the second, and asks for no rest again."""
    kit = set_up(tmp_path / "kit", table)
    pair(kit, table, "bp")
    press = presses(table, Reading(124, 78, 93, 66, None))
    process = kit.start("measure", "bp", *CONFIRM)
    for line in process.stdout or ():
        if '"press-start"' in line:
            press({"event": "press-start"})
        if '"reading"' in line:
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    ended = kit("measure", "bp", *CONFIRM, on_event=press)
    assert ended.of("resumed")[0]["count"] == 1
    (observation,) = (e["observation"] for e in ended.of("observation"))
    with kept(tmp_path / "kit") as store:
        assert len(store.observations()[0].readings) == 2
        assert str(store.observations()[0].id) == observation["id"]


def test_the_battery_dies_in_an_ecg_and_the_torn_recording_is_kept(tmp_path: Path) -> None:
    source = EcgModel(noise=AMPLIFIER).render(45)
    with Bench(front_end=FrontEnd(source, speed=2)) as bench:
        kit = set_up(tmp_path / "kit", bench)
        process = kit.start("measure", "ecg", *CONFIRM)
        for line in process.stdout or ():
            if '"recording"' in line:
                break
        with kept(tmp_path / "kit") as store:
            while not store.open_captures() or store.open_captures()[0].n_parts < 4:
                assert process.poll() is None
        process.kill()
        process.wait()
        ended = kit("visit", "start", "0019")
    assert [e["code"] for e in ended.of("recovered")] == ["ecg"]
    with kept(tmp_path / "kit") as store:
        (observation,) = store.observations()
        assert observation.status == "incomplete"
        assert store.recordings_of(observation.id)[0].duration_s >= 0.5


def test_the_wrong_patient_is_never_measured(table: Bench, tmp_path: Path) -> None:
    kit = set_up(tmp_path / "kit", table)
    ended = kit("measure", "ecg", "--confirm", "0034")
    assert ended.code == 2
    assert "wrong-patient" in ended.said
    assert ended.of("recording") == []
    asked = kit("measure", "ecg")
    assert "not-confirmed" in asked.said


def test_two_measurements_at_once_are_refused(tmp_path: Path) -> None:
    source = EcgModel(noise=AMPLIFIER).render(45)
    with Bench(front_end=FrontEnd(source, speed=4)) as bench:
        kit = set_up(tmp_path / "kit", bench)
        first = kit.start("measure", "ecg", *CONFIRM)
        for line in first.stdout or ():
            if '"recording"' in line:
                break
        second: Ended = kit("measure", "spirometry", *CONFIRM, "--contraindications", "no")
        first.kill()
        first.wait()
    assert second.code == 2
    assert "measuring" in second.said


def presses(bench: Bench, reading: Reading, clock: timedelta = timedelta(0)) -> object:
    """Press the cuff's button whenever the kit asks for it; the reading is of that moment."""

    def press(event: dict[str, object]) -> None:
        if event["event"] == "press-start" and not bench.call(lambda: bool(bench.cuff.waiting)):
            taken = Reading(reading.systolic, reading.diastolic, reading.mean, reading.pulse, now() + clock)
            bench.press_start(taken, seconds=1)

    return press


def test_flow_that_is_not_yet_btps_is_converted_for_the_numbers_and_kept_raw(tmp_path: Path) -> None:
    """A cold room: the sensor's litres are smaller than the lungs'; BTPS at 10 °C is 1.155 (ATS/ERS tables)."""
    blows = demo_blows()
    fvc_l = []
    for btps in (True, False):
        board = FrontEnd(None, blows, speed=20, air=Air(btps=btps, temperature_c=10.0))
        with Bench(front_end=board) as bench:
            home = tmp_path / f"kit-{btps}"
            ended = set_up(home, bench)("measure", "spirometry", *CONFIRM, "--contraindications", "no")
        assert ended.code == 0, ended.said
        (observation,) = (e["observation"] for e in ended.of("observation"))
        fvc_l.append(observation["values"]["fvc"]["value"])
        with kept(home) as store:
            (kept_one,) = store.observations()
            assert ("btps_factor" in kept_one.context) is not btps
            if not btps:
                assert float(kept_one.context["btps_factor"]) == pytest.approx(1.155, abs=0.01)
    assert fvc_l[1] == pytest.approx(fvc_l[0], rel=0.01)
