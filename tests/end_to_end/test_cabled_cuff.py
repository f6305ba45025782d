"""A Beurer BM65 on its serial cable: the doctor's command against the simulated cuff, as processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from bedside import RESIDENT, Ended, Event, KitCommand, set_up

from zhenbao.agent.settings import load_settings, save_settings
from zhenbao.firmware_sim.serial_cuff import SerialCuff, SerialCuffFaults, StoredReading
from zhenbao.model.time import SystemClock, local_time

pytestmark = pytest.mark.slow
CONFIRM = ("--confirm", RESIDENT[-4:])
MEASURED = ((168, 92, 76), (150, 86, 74), (152, 84, 75))
"""The first two are more than 10 mmHg apart, so that a third is asked for; the mean is 157/87."""


def now() -> datetime:
    return local_time(SystemClock().now_ms()).replace(tzinfo=None, second=0, microsecond=0)


def old() -> list[StoredReading]:
    """What others have measured, the last of them just now."""
    return [StoredReading(118, 70, 80, now() - timedelta(days=1)), StoredReading(201, 120, 99, now())]


def wired(home: Path, cuff: SerialCuff) -> KitCommand:
    kit = set_up(home, None)
    save_settings(home, replace(load_settings(home), cuff_port=cuff.port))
    return kit


def presses(cuff: SerialCuff, *readings: tuple[int, int, int]) -> Callable[[Event], None]:
    """The doctor presses START whenever the kit asks for it."""
    left = list(readings)

    def react(event: Event) -> None:
        if event["event"] == "press-start" and left:
            cuff.press_start(StoredReading(*left.pop(0), now()), seconds=20)

    return react


def pressures(ended: Ended) -> list[tuple[float, float]]:
    values = [e["observation"]["values"] for e in ended.of("observation")]
    return [(v["bp_systolic"]["value"], v["bp_diastolic"]["value"]) for v in values]


def test_what_the_cuff_measures_now_is_charted_and_nothing_older(tmp_path: Path) -> None:
    with SerialCuff(old(), speed=100) as cuff:
        kit = wired(tmp_path / "kit", cuff)
        ended = kit("measure", "bp", *CONFIRM, on_event=presses(cuff, *MEASURED))
    assert ended.code == 0, ended.said
    assert [e["values"]["bp_systolic"]["value"] for e in ended.of("reading")] == [168, 150, 152]
    assert pressures(ended) == [(157, 87)]
    assert {c[:1] for c in cuff.asked} == {b"\xaa", b"\xa4", b"\xa2", b"\xa3"}, "nothing is set or deleted"


def test_a_cuff_whose_clock_is_wrong_is_charted_by_the_kits_time_and_marked(tmp_path: Path) -> None:
    faults = SerialCuffFaults(clock_offset=timedelta(hours=-9))
    with SerialCuff(old(), faults, speed=100) as cuff:
        kit = wired(tmp_path / "kit", cuff)
        ended = kit("measure", "bp", *CONFIRM, on_event=presses(cuff, (150, 86, 74), (152, 84, 75)))
    assert pressures(ended) == [(151, 85)]
    assert ended.of("observation")[0]["observation"]["notes"] == ["device-clock"]


def test_the_technician_sets_its_port(tmp_path: Path) -> None:
    kit = KitCommand(tmp_path / "kit")
    done = kit("tech", "setup", "--kit-id", "kit-test", "--hub", "127.0.0.1:1", "--cuff", "/dev/ttyUSB7")
    assert done.code == 0, done.said
    assert load_settings(kit.home).cuff_port == "/dev/ttyUSB7"


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        pytest.param(SerialCuffFaults(silent=True), "cuff-cable-silent", id="off or unplugged"),
        pytest.param(SerialCuffFaults(greeting=0x06), "cuff-cable-other", id="another device on such a cable"),
        pytest.param(SerialCuffFaults(always_flipped=1), "cuff-cable-disturbed", id="old records cannot be read"),
        pytest.param(SerialCuffFaults(cut_after_bytes=60), "serial-lost", id="the cable is pulled"),
    ],
)
def test_what_goes_wrong_says_what_to_do_before_anybody_rests(
    tmp_path: Path, faults: SerialCuffFaults, code: str
) -> None:
    with SerialCuff(old(), faults) as cuff:
        kit = wired(tmp_path / "kit", cuff)
        ended = kit("measure", "bp", *CONFIRM)
    assert ended.code == 1
    assert code in ended.said
    assert "怎么办" in ended.said
    assert ended.of("observation") == []
    assert ended.of("press-start") == []


def test_a_cuff_unplugged_to_measure_is_awaited_and_the_battery_may_die_between_two_readings(tmp_path: Path) -> None:
    """The first reading is journalled; the cuff comes back on the same port name and the second is enough."""
    link = tmp_path / "cuff"
    kit = None
    with SerialCuff(old(), speed=100, link=link) as cuff:
        kit = wired(tmp_path / "kit", cuff)
        command = kit.start("measure", "bp", *CONFIRM)
        press = presses(cuff, MEASURED[0])
        import json

        for line in command.stdout or ():
            event = json.loads(line) if line.startswith("{") else {"event": ""}
            press(event)
            if event["event"] == "reading":
                command.kill()
                break
        command.wait()
        for stream in (command.stdout, command.stderr):
            assert stream is not None
            stream.close()
        memory = list(cuff.memory)
    with SerialCuff(memory, speed=100, link=link) as cuff:
        ended = kit("measure", "bp", *CONFIRM, on_event=presses(cuff, *MEASURED[1:]))
    assert ended.code == 0, ended.said
    assert ended.of("resumed")[0]["count"] == 1
    assert pressures(ended) == [(157, 87)]
