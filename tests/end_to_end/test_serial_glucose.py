"""Glucose meters on a cable, from the technician's enrolment to the chart, as processes."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from bedside import RESIDENT, Ended, KitCommand, set_up

from zhenbao.agent.settings import load_settings
from zhenbao.firmware_sim.serial_meters import contour, onetouch
from zhenbao.model.time import SystemClock, local_time

pytestmark = pytest.mark.slow
CONFIRM = ("--confirm", RESIDENT[-4:])


def now() -> datetime:
    return local_time(SystemClock().now_ms()).replace(tzinfo=None, microsecond=0)


def values(ended: Ended) -> list[dict[str, object]]:
    return [e["observation"]["values"]["glucose_capillary"] for e in ended.of("observation")]


def rules(ended: Ended) -> set[str]:
    return {f["rule_id"] for e in ended.of("observation") for f in e["observation"]["findings"]}


def measure(kit: KitCommand) -> Ended:
    return kit("measure", "glucose", *CONFIRM, "--meal", "random")


def test_a_onetouch_is_enrolled_and_read(tmp_path: Path) -> None:
    kit = set_up(tmp_path / "kit", None)
    old = [
        onetouch.Stored(now() - timedelta(days=2), 133),
        onetouch.Stored(now() - timedelta(hours=4), 110, control=True),
    ]
    with onetouch.OneTouchUltra2(old, mmol_display=True) as meter:
        enrolled = kit("tech", "pair", "onetouch", "--port", meter.port)
        assert enrolled.code == 0, enrolled.said
        assert load_settings(kit.home).glucose_meter == "onetouch"
        meter.test_blood(300, "A")
        first = measure(kit)
        assert first.code == 0, first.said
        assert values(first) == [{"value": 300, "unit": "mg/dL", "comparator": None}]
        assert "GL13" in rules(first)
        (fetched,) = first.of("glucose")
        assert (fetched["other_visit"], fetched["set_aside"]) == (1, {"control-solution": 1})
        again = measure(kit)
        assert values(again) == []  # each once
        meter.test_blood(601)
        high = measure(kit)
        assert values(high) == [{"value": 600, "unit": "mg/dL", "comparator": ">"}]
        assert "GL15" in rules(high)
        assert high.of("alarm")
        assert len(meter.records) == 4
        assert not [r for r in meter.requests if r.startswith(("DMT", "DMZ"))]


def test_the_doctor_reads_both_units(tmp_path: Path) -> None:
    """The meter sends mg/dL and shows mmol/L: what the doctor sees on its display stands on the screen, too."""
    kit = set_up(tmp_path / "kit", None)
    with onetouch.OneTouchUltra2(mmol_display=True) as meter:
        assert kit("tech", "pair", "onetouch", "--port", meter.port).code == 0
        meter.test_blood(300)
        command = [sys.executable, "-m", "zhenbao", "--home", kit.home, "measure", "glucose", *CONFIRM]
        said = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
            env={**os.environ, "ZHENBAO_LANG": "zh_CN"},
        ).stdout
    assert "血糖 300 mg/dL" in said
    assert "16.7 mmol/L" in said


def test_a_contour_is_enrolled_and_read(tmp_path: Path) -> None:
    kit = set_up(tmp_path / "kit", None)
    faults = contour.ContourFaults(wrong_sum_once=4, begins_anew_after=3)
    old = [contour.Stored(now() - timedelta(days=2), "6.1"), contour.Stored(now() - timedelta(hours=4), "5.8", "C")]
    with contour.ContourMeter(old, mmol=True, faults=faults) as meter:
        assert kit("tech", "pair", "contour", "--port", meter.port).code == 0
        meter.test_blood("16.7", "A/M0/T1")
        first = measure(kit)
        assert first.code == 0, first.said
        assert values(first) == [{"value": 16.7, "unit": "mmol/L", "comparator": None}]
        assert "GL13" in rules(first)
        (fetched,) = first.of("glucose")
        assert (fetched["other_visit"], fetched["set_aside"]) == (1, {"control-solution": 1})
        meter.test_blood("33.4", ">")
        high = measure(kit)
        assert values(high) == [{"value": 33.3, "unit": "mmol/L", "comparator": ">"}]
        assert "GL15" in rules(high)
        assert high.of("alarm")


def test_a_meter_with_a_wrong_clock_is_noticed(tmp_path: Path) -> None:
    kit = set_up(tmp_path / "kit", None)
    with onetouch.OneTouchUltra2(clock_offset_s=-7200) as meter:
        assert kit("tech", "pair", "onetouch", "--port", meter.port).code == 0
        meter.test_blood(95)
        ended = measure(kit)
        assert [e["observation"]["notes"] for e in ended.of("observation")] == [["device-clock"]]
        told = kit("tech", "set-clock")
        assert told.code == 0, told.said
        assert abs(meter.clock_offset_s) < 3


def test_what_goes_wrong_says_what_to_do(tmp_path: Path) -> None:
    kit = set_up(tmp_path / "kit", None)
    assert "meter-port" in kit("tech", "pair", "onetouch").said
    absent = kit("tech", "pair", "onetouch", "--port", str(tmp_path / "none"))
    assert "serial-absent" in absent.said
    assert load_settings(kit.home).glucose_meter == ""  # what failed changes nothing
    link = tmp_path / "meter"
    with onetouch.OneTouchUltra2([onetouch.Stored(now(), 90)], link=link):
        assert kit("tech", "pair", "onetouch", "--port", str(link)).code == 0
    gone = measure(kit)
    assert gone.code == 1
    assert "serial-absent" in gone.said


def test_another_meter_of_the_same_kind_is_noticed_by_its_serial_number(tmp_path: Path) -> None:
    kit = set_up(tmp_path / "kit", None)
    link = tmp_path / "meter"
    with onetouch.OneTouchUltra2(serial="ZBS000SIY", link=link):
        assert kit("tech", "pair", "onetouch", "--port", str(link)).code == 0
    with onetouch.OneTouchUltra2([onetouch.Stored(now(), 300)], serial="ZBS000OTY", link=link):
        ended = measure(kit)
        assert ended.code == 1
        assert "meter-other" in ended.said
        assert values(ended) == []
        assert kit("tech", "pair", "onetouch", "--port", str(link)).code == 0
        assert values(measure(kit)) == [{"value": 300, "unit": "mg/dL", "comparator": None}]


def test_a_cable_pulled_in_mid_transfer_charts_what_came_and_the_rest_later(tmp_path: Path) -> None:
    kit = set_up(tmp_path / "kit", None)
    link = tmp_path / "meter"
    results = [contour.Stored(now(), str(95 + n)) for n in range(4)]
    with contour.ContourMeter(results, link=link):
        assert kit("tech", "pair", "contour", "--port", str(link)).code == 0
    with contour.ContourMeter(results, link=link, faults=contour.ContourFaults(cut_after_bytes=300)):
        broken = measure(kit)
    assert broken.code == 1
    assert 0 < len(values(broken)) < 4
    with contour.ContourMeter(results, link=link):
        rest = measure(kit)
    assert rest.code == 0
    assert len(values(broken)) + len(values(rest)) == 4
