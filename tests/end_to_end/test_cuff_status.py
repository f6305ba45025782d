"""What a cuff says of its own measurement, from the simulated cuff to the record, as the doctor's command runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from bedside import Event, pair, set_up
from store_key import raw

from zhenbao.firmware_sim.bench import Bench
from zhenbao.firmware_sim.cuff import BloodPressureMeter, Reading
from zhenbao.firmware_sim.layouts import BloodPressureStatus as Status
from zhenbao.model.time import SystemClock, local_time

pytestmark = pytest.mark.slow
CONFIRM = ("--confirm", "0019", "--arm", "left")


class Presser:
    """Presses START whenever the kit asks; each press has the next status, then none."""

    def __init__(self, bench: Bench, *statuses: Status) -> None:
        self.bench, self.statuses = bench, list(statuses)

    def __call__(self, event: Event) -> None:
        if event["event"] == "press-start":
            status = self.statuses.pop(0) if self.statuses else Status(0)
            at = local_time(SystemClock().now_ms()).replace(tzinfo=None, microsecond=0)
            self.bench.press_start(Reading(124, 78, 93, 66, at, status=int(status)), seconds=20)


def set_aside(home: Path) -> list[tuple[str, str]]:
    """Kind and reason of what was kept out of the record."""
    found = []
    for file in home.rglob("kit.sqlite3"):
        with raw(file.parent, None) as database:
            if database.execute("select 1 from sqlite_master where name = 'set_aside'").fetchone():
                found += database.execute("select code, reason from set_aside").fetchall()
    return found


def test_an_irregular_pulse_brings_a_third_reading_and_stays_with_the_record(tmp_path: Path) -> None:
    with Bench(cuff=BloodPressureMeter(speed=20, live_pressure=True)) as bench:
        kit = set_up(tmp_path / "kit", bench)
        pair(kit, bench, "bp")
        ended = kit("measure", "bp", *CONFIRM, on_event=Presser(bench, Status.IRREGULAR_PULSE))
    assert ended.code == 0, ended.said
    assert [e["number"] for e in ended.of("reading")] == [1, 2, 3]
    (observation,) = (e["observation"] for e in ended.of("observation"))
    assert observation["notes"] == ["cuff:irregular-pulse"]
    assert max(e["pressure_mmhg"] for e in ended.of("cuff-pressure")) > 124


def test_a_disturbed_reading_is_taken_again_once_and_then_kept_with_its_words(tmp_path: Path) -> None:
    with Bench(cuff=BloodPressureMeter(speed=50)) as bench:
        kit = set_up(tmp_path / "kit", bench)
        pair(kit, bench, "bp")
        moved = Status.BODY_MOVEMENT | Status.CUFF_LOOSE
        ended = kit("measure", "bp", *CONFIRM, on_event=Presser(bench, moved, moved))
    assert ended.code == 0, ended.said
    assert [e["code"] for e in ended.of("trouble")] == ["bp-disturbed"]
    assert "袖带绑得太松" in ended.of("trouble")[0]["what"]
    assert [e["number"] for e in ended.of("press-start")] == [1, 1, 2]
    (observation,) = (e["observation"] for e in ended.of("observation"))
    assert observation["notes"] == ["cuff:body-movement", "cuff:cuff-loose"]
    assert len(ended.of("reading")) == 2
    assert set_aside(tmp_path / "kit") == [("bp", "body-movement+cuff-loose")]
