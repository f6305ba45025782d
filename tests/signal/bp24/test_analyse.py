"""Means, dipping and findings of a 24 h recording, against figures worked out by hand and the rows of the rules."""

import re
import tomllib
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao import rules
from zhenbao.model.bp_series import BpSeries, DamagedRow, SeriesReading
from zhenbao.model.errors import InputError
from zhenbao.signal.bp24 import analyse_bp24
from zhenbao.signal.bp24.analyse import criteria, in_daytime

VECTORS = tomllib.loads((Path(__file__).parents[2] / "vectors" / "bp_series.toml").read_text(encoding="utf-8"))
START = datetime(2026, 11, 22, 9, 0)


def recording(
    day: tuple[float, float],
    night: tuple[float, float],
    *,
    day_count: int = 20,
    night_count: int = 7,
    failed: int = 0,
    damaged: int = 0,
) -> BpSeries:
    """``day_count`` readings from 09:00 every half hour, ``night_count`` from 22:30 every hour, all alike."""
    times = [(START + timedelta(minutes=30 * i), day) for i in range(day_count)]
    times += [(START + timedelta(hours=13.5 + i), night) for i in range(night_count)]
    readings = [SeriesReading(i, at.isoformat(), *pressure) for i, (at, pressure) in enumerate(times, 2)]
    empty = [SeriesReading(900 + i, f"2026-11-22T20:{i:02}:00", None, None, reason="no-value") for i in range(failed)]
    return BpSeries(
        tuple(sorted(readings + empty, key=lambda r: r.at)),
        tuple(DamagedRow(950 + i, "number") for i in range(damaged)),
    )


def fired(series: BpSeries, **options: object) -> list[str]:
    return sorted(f.rule_id for f in analyse_bp24(series, **options).findings)  # type: ignore[arg-type]


def test_means_by_hand() -> None:
    analysis = analyse_bp24(recording((140, 90), (112, 72)))
    assert (analysis.day.systolic_mmhg, analysis.day.diastolic_mmhg) == (140, 90)
    assert (analysis.night.systolic_mmhg, analysis.night.diastolic_mmhg) == (112, 72)
    # (20 x 140 + 7 x 112) / 27 = 3584 / 27; (20 x 90 + 7 x 72) / 27 = 2304 / 27
    assert analysis.whole.systolic_mmhg == pytest.approx(132.7407, abs=1e-4)
    assert analysis.whole.diastolic_mmhg == pytest.approx(85.3333, abs=1e-4)
    assert (analysis.day.valid, analysis.night.valid, analysis.valid_percent) == (20, 7, 100)
    # (140 - 112) / 140 = 20 %, (90 - 72) / 90 = 20 %
    assert (analysis.dip_systolic_percent, analysis.dip_diastolic_percent, analysis.dipping) == (20.0, 20.0, "dipper")
    # of the sample: 20 x (140 - m)^2 + 7 x (112 - m)^2 = 4065.19; / 26 = 156.35; its root
    assert analysis.whole.systolic_sd_mmhg == pytest.approx(12.504, abs=1e-3)
    assert analysis.day.systolic_sd_mmhg == 0


@pytest.mark.parametrize(
    ("night", "dip", "kind"),
    [
        (100.0, 23.1, "extreme-dipper"),
        (104.0, 20.0, "dipper"),
        (117.0, 10.0, "dipper"),
        (117.1, 9.9, "non-dipper"),
        (130.0, 0.0, "non-dipper"),
        (131.0, -0.8, "reverse-dipper"),
    ],
)
def test_dipping_of_a_day_at_130(night: float, dip: float, kind: str) -> None:
    analysis = analyse_bp24(recording((130, 80), (night, 70)))
    assert (analysis.dip_systolic_percent, analysis.dipping) == (dip, kind)


@pytest.mark.parametrize(
    ("day", "night", "expected"),
    [
        pytest.param((120, 70), (100, 60), [], id="all below"),
        pytest.param((135, 70), (100, 60), ["BP22"], id="day systolic on its limit"),
        pytest.param((134.4, 70), (100, 60), [], id="134.4 is read as 134"),
        pytest.param((134.5, 70), (100, 60), ["BP22"], id="134.5 is read as 135"),
        pytest.param((120, 70), (120, 60), ["BP23"], id="night systolic"),
        pytest.param((120, 70), (100, 70), ["BP23"], id="night diastolic"),
        pytest.param((120, 85), (100, 69), ["BP21", "BP22"], id="day diastolic; the whole is 80.9"),
        pytest.param((160, 100), (150, 90), ["BP21", "BP22", "BP23"], id="all"),
    ],
)
def test_findings(day: tuple[float, float], night: tuple[float, float], expected: list[str]) -> None:
    assert fired(recording(day, night)) == expected


@pytest.mark.parametrize(
    ("options", "lacking"),
    [
        pytest.param({}, (), id="just enough"),
        pytest.param({"day_count": 19}, ("day",), id="19 by day"),
        pytest.param({"night_count": 6}, ("night",), id="6 at night"),
        # 27 of 38 are 71.05 %, 27 of 39 are 69.2 %
        pytest.param({"failed": 11}, (), id="71 % valid"),
        pytest.param({"failed": 12}, ("percent",), id="69 % valid"),
        pytest.param({"damaged": 12}, ("percent",), id="rows that cannot be read count as well"),
        pytest.param({"day_count": 3, "night_count": 1}, ("day", "night"), id="hardly any"),
    ],
)
def test_too_few_valid_readings_say_so_and_nothing_is_judged(options: dict[str, int], lacking: tuple[str, ...]) -> None:
    analysis = analyse_bp24(recording((160, 100), (150, 90), **options))
    assert analysis.lacking == lacking
    assert analysis.enough is (lacking == ())
    assert bool(analysis.findings) is (lacking == ())
    assert (analysis.dipping is not None) is (lacking == ())
    assert analysis.day.systolic_mmhg == 160, "the means stand all the same"


def test_what_no_heart_produces_is_not_counted() -> None:
    series = recording((140, 90), (112, 72))
    wild = SeriesReading(99, "2026-11-22T20:15:00", 290, 90)
    narrow = SeriesReading(98, "2026-11-22T20:20:00", 120, 115)
    analysis = analyse_bp24(BpSeries(tuple(sorted((*series.readings, wild, narrow), key=lambda r: r.at))))
    assert (analysis.day.attempts, analysis.day.valid, analysis.day.systolic_mmhg) == (22, 20, 140)


def test_the_diary_moves_readings_between_day_and_night() -> None:
    series = recording((140, 90), (112, 72))
    fixed = analyse_bp24(series)
    assert (fixed.day_from, fixed.night_from, fixed.times_from) == ("06:00", "22:00", "fixed")
    assert "fixed-hours" in fixed.limits
    told = analyse_bp24(series, rose="01:00", went_to_bed="23:00")
    # Of 22:30 ... 04:30 the first lies before bed, and four after rising at 01:00.
    assert (told.day.valid, told.night.valid, told.times_from) == (25, 2, "diary")
    assert "fixed-hours" not in told.limits


@pytest.mark.parametrize(
    ("clock", "day"), [("05:59", False), ("06:00", True), ("21:59", True), ("22:00", False), ("00:00", False)]
)
def test_the_edges_of_the_day(clock: str, day: bool) -> None:
    assert in_daytime(f"2026-11-22T{clock}:00", "06:00", "22:00") is day


@pytest.mark.parametrize(("clock", "day"), [("08:00", False), ("15:59", False), ("16:00", True), ("03:00", True)])
def test_a_night_worker_sleeps_by_day(clock: str, day: bool) -> None:
    assert in_daytime(f"2026-11-22T{clock}:00", "16:00", "08:00") is day


def test_a_child_is_not_judged() -> None:
    series = recording((160, 100), (150, 90))
    child = analyse_bp24(series, age_years=12)
    assert (child.findings, child.dipping) == ((), None)
    assert "child" in child.limits
    assert fired(series, age_years=18) == ["BP21", "BP22", "BP23"]


@pytest.mark.parametrize(
    ("rose", "bed"), [("06:30", None), (None, "22:00"), ("6 am", "22:00"), ("25:00", "22:00"), ("07:00", "07:00")]
)
def test_wrong_times_are_refused(rose: str | None, bed: str | None) -> None:
    with pytest.raises(InputError, match="bp24-clock"):
        analyse_bp24(recording((140, 90), (112, 72)), rose=rose, went_to_bed=bed)


def test_a_log_of_weeks_is_no_recording() -> None:
    log = [SeriesReading(i, (START + timedelta(days=i)).isoformat(), 140, 90) for i in range(30)]
    with pytest.raises(InputError, match="bp24-span"):
        analyse_bp24(BpSeries(tuple(log)))
    with pytest.raises(InputError, match="bp24-empty"):
        analyse_bp24(BpSeries(()))


@pytest.mark.parametrize(("hours", "limit"), [(10, "span-short"), (23, None), (30, "span-long")])
def test_a_span_that_is_no_day_is_said(hours: int, limit: str | None) -> None:
    series = BpSeries(
        tuple(SeriesReading(i, (START + timedelta(hours=i)).isoformat(), 140, 90) for i in range(hours + 1))
    )
    found = {name for name in analyse_bp24(series).limits if name.startswith("span")}
    assert found == ({limit} if limit else set())


def test_the_numbers_are_those_of_the_rules() -> None:
    """Rows BP24 and BP25 are what clinicians read; the criteria are what is computed."""
    valid, dip = rules.rule("BP24"), rules.rule("BP25")
    assert float(valid.value) == criteria()["valid"]["percent"]
    day, night = re.findall(r"(?:白天|夜间)≥(\d+)", valid.condition)
    assert (int(day), int(night)) == (criteria()["valid"]["day_readings"], criteria()["valid"]["night_readings"])
    assert dip.value == f"{criteria()['dip']['dipper_from']}-{criteria()['dip']['dipper_to']}"
    assert all(table["source"] for table in criteria().values())


@pytest.mark.parametrize("standard", VECTORS["standard"], ids=lambda v: v["origin"])
def test_another_source_prints_the_same_limits_and_hours(standard: dict[str, str]) -> None:
    assert [rules.rule(r).value for r in ("BP21", "BP22", "BP23")] == [standard[k] for k in ("h24", "day", "night")]
    assert [criteria()["hours"][k] for k in ("day_from", "night_from")] == [
        standard["day_from"],
        standard["night_from"],
    ]
    assert re.findall(r"\d+", standard["dip"]) == [str(criteria()["dip"][k]) for k in ("dipper_from", "dipper_to")]


@given(
    st.lists(
        st.tuples(st.integers(0, 2900), st.floats(1, 400), st.floats(1, 400), st.sampled_from(["", "no-value"])),
        min_size=1,
        max_size=60,
    )
)
def test_any_series_is_judged_or_said_to_be_too_thin(rows: list[tuple[int, float, float, str]]) -> None:
    readings = [
        SeriesReading(i, (START + timedelta(minutes=m)).isoformat(), s, d, reason=why)
        for i, (m, s, d, why) in enumerate(sorted(rows))
    ]
    analysis = analyse_bp24(BpSeries(tuple(readings)))
    assert analysis.day.valid + analysis.night.valid == analysis.whole.valid <= len(rows)
    assert 0 <= analysis.valid_percent <= 100
    if not analysis.enough:
        assert not analysis.findings and analysis.dipping is None
    if analysis.whole.valid:
        assert analysis.whole.systolic_mmhg is not None and 50 <= analysis.whole.systolic_mmhg <= 280.5
