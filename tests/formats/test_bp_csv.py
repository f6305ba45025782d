"""Tables of ambulatory recorders: names of other programs, everything that may be wrong, and nothing guessed."""

import contextlib
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao.formats.bp_csv import LARGEST_BYTES, MOST_ROWS, parse_bp_series, read_bp_series
from zhenbao.formats.ecg_file import FileFormatError
from zhenbao.model.bp_series import DamagedRow

VECTORS = tomllib.loads((Path(__file__).parents[1] / "vectors" / "bp_series.toml").read_text(encoding="utf-8"))
HEAD = "Date,Time,Systolic (mmHg),Diastolic (mmHg),Pulse\n"


def code_of(data: bytes, **options: str) -> str:
    with pytest.raises(FileFormatError) as error:
        parse_bp_series(data, **options)
    return error.value.code


@pytest.mark.parametrize("vector", [v for v in VECTORS["header"] if "row" in v], ids=lambda v: v["origin"][:20])
def test_names_of_other_programs(vector: dict[str, object]) -> None:
    table = ",".join(vector["names"]) + "\n" + ",".join(vector["row"])  # type: ignore[arg-type]
    series = parse_bp_series(table.encode())
    (reading,) = series.readings
    assert (reading.systolic_mmhg, reading.diastolic_mmhg, reading.pulse_per_min, reading.at) == (
        vector["systolic"],
        vector["diastolic"],
        vector["pulse"],
        vector["time"],
    )
    assert reading.valid
    assert list(series.left_out) == vector["left_out"]


def test_a_date_alone_is_no_time() -> None:
    (vector,) = (v for v in VECTORS["header"] if "missing" in v)
    table = (",".join(vector["names"]) + "\n2026-11-22,128,80,72,96,48").encode()
    with pytest.raises(FileFormatError) as error:
        parse_bp_series(table, unit="mmHg")
    assert (error.value.code, error.value.facts["missing"]) == ("bp-file-columns", "time")
    (reading,) = parse_bp_series(
        table.replace(b"2026-11-22,", b"2026-11-22 09:15,"), unit="mmHg", columns="time,systolic,diastolic,pulse,-,-"
    ).readings
    assert reading.at == "2026-11-22T09:15:00"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("时间,收缩压(mmHg),舒张压（mmHg）,脉率\n2026年11月22日 10时30分,128,80,72", id="chinese"),
        pytest.param("姓名,演示患者甲\n\n日期,时刻,高压_mmHg,低压_mmHg\n2026/11/22,10:30,128,80", id="lines above"),
        pytest.param("datetime;SYS [mmHg];DIA [mmHg]\n2026-11-22T10:30:00;128,0;80,0", id="decimal commas"),
        pytest.param("Date\tTime\tSBP mmHg\tDBP mmHg\n22.11.2026\t10:30 AM\t128\t80", id="tabs, day first"),
        # 17.07 kPa is 128.0 mmHg, 10.67 kPa is 80.0
        pytest.param("time,systolic_kPa,diastolic_kPa\n2026-11-22 10:30,17.07,10.67", id="kPa"),
    ],
)
def test_layouts(text: str) -> None:
    for data in (text.encode(), text.encode("utf-16"), text.encode("gb18030"), text.encode("utf-8-sig")):
        (reading,) = parse_bp_series(data, dates="dmy").readings
        assert (reading.at, reading.systolic_mmhg, reading.diastolic_mmhg) == ("2026-11-22T10:30:00", 128.0, 80.0)


@pytest.mark.parametrize(("dates", "expected"), [("dmy", "2026-12-11T22:30:00"), ("mdy", "2026-11-12T22:30:00")])
def test_day_and_month_are_never_guessed(dates: str, expected: str) -> None:
    table = (HEAD + "11/12/2026,10:30 PM,128,80,72").encode()
    assert code_of(table) == "bp-file-dates"
    assert parse_bp_series(table, dates=dates).readings[0].at == expected


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        ("12:05 AM", "00:05:00"),
        ("12:05 pm", "12:05:00"),
        ("1:05 p.m.", "13:05:00"),
        ("下午 01:05", "13:05:00"),
        ("上午12:05", "00:05:00"),
        ("13:05:59.250", "13:05:59"),
        ("13:05 PM", None),
        ("13:05 CET", None),
        ("13:05Z", None),
        ("1305", None),
    ],
)
def test_a_clock_is_read_whole_or_not_at_all(clock: str, expected: str | None) -> None:
    """Half a day of error would make nights of days."""
    series = parse_bp_series((HEAD + f"2026-11-22,10:00,128,80,72\n2026-11-23,{clock},128,80,72").encode())
    assert [r.at for r in series.readings][1:] == ([f"2026-11-23T{expected}"] if expected else [])
    assert [d.reason for d in series.damaged] == ([] if expected else ["time"])


def test_the_unit_is_never_guessed() -> None:
    table = b"Time,Systolic,Diastolic\n2026-11-22 10:30,128,80"
    assert code_of(table) == "bp-file-unit-missing"
    assert parse_bp_series(table, unit="mmHg").readings[0].systolic_mmhg == 128
    assert code_of((HEAD + "2026-11-22,10:30,128,80,").encode(), unit="kPa") == "bp-file-unit"


def test_damaged_rows_are_counted_and_named_and_the_others_read() -> None:
    series = parse_bp_series(
        (
            HEAD
            + "2026-11-22,10:00,128,80,72\n"
            + "2026-11-22,25:00,128,80,72\n"
            + "2026-02-30,10:00,128,80,72\n"
            + "2026-11-22,10:30,1x8,80,72\n"
            + "2026-11-22,11:00\n"
            + "2026-11-22,10:00,128,80,72\n"
            + "Average,,128,80,72\n"
            + "2026-11-22,11:30,,,\n"
            + "2026-11-22,12:00,0,0,0\n"
        ).encode()
    )
    assert [(r.row, r.reason) for r in series.readings] == [(2, ""), (9, "no-value"), (10, "no-value")]
    assert series.damaged == (
        DamagedRow(3, "time", "2026-11-22 25:00"),
        DamagedRow(4, "time", "2026-02-30 10:00"),
        DamagedRow(5, "number", "1x8"),
        DamagedRow(6, "cells", "2"),
        DamagedRow(7, "repeated", "2026-11-22 10:00:00"),
        DamagedRow(8, "time", "Average "),
    )


@pytest.mark.parametrize(
    ("name", "said", "reason"),
    [
        ("Status", "ok", ""),
        ("Status", "artifact", "marked"),
        ("Status", "7b", "status-unknown"),
        ("状态", "无效", "marked"),
        ("Valid", "1", ""),
        ("Valid", "no", "marked"),
        ("Valid", "", "status-unknown"),
        ("Error code", "0", ""),
        ("Error code", "", ""),
        ("Error code", "E3", "marked"),
    ],
)
def test_what_the_recorder_says_of_its_reading(name: str, said: str, reason: str) -> None:
    table = f"Time,Systolic mmHg,Diastolic mmHg,{name}\n2026-11-22 10:30,128,80,{said}"
    (reading,) = parse_bp_series(table.encode()).readings
    assert (reading.reason, reading.valid) == (reason, reason == "")
    assert reading.systolic_mmhg == 128, "what was measured is kept beside the reason"


def test_two_readings_of_one_instant_that_differ_are_both_doubtful() -> None:
    table = HEAD + "2026-11-22,10:30,128,80,72\n2026-11-22,10:30,150,95,72\n2026-11-22,10:30,,,\n"
    assert [r.reason for r in parse_bp_series(table.encode()).readings] == ["same-time", "same-time", "no-value"]


def test_readings_come_in_order_of_time() -> None:
    table = HEAD + "2026-11-22,12:00,130,80,\n2026-11-22,10:00,128,80,\n"
    assert [r.row for r in parse_bp_series(table.encode()).readings] == [3, 2]


@pytest.mark.parametrize(
    ("text", "options", "code"),
    [
        ("", {}, "bp-file-columns"),
        ("hello\nworld", {}, "bp-file-columns"),
        ("Time,Systolic mmHg\n2026-11-22 10:30,128", {}, "bp-file-columns"),
        ("Systolic mmHg,Diastolic mmHg\n128,80", {}, "bp-file-columns"),
        ("Time,SYS mmHg,Systolic mmHg,DIA mmHg\n2026-11-22 10:30,1,2,3", {}, "bp-file-twice"),
        ("Time,SYS mmHg,DIA kPa\n2026-11-22 10:30,128,10", {}, "bp-file-unit"),
        ("Time,SYS (bar),DIA (bar)\n2026-11-22 10:30,128,10", {}, "bp-file-unit"),
        (HEAD, {}, "bp-file-none"),
        (HEAD + "x,y,z,a,b", {}, "bp-file-none"),
        (HEAD, {"columns": "time,systolic"}, "bp-file-columns"),
        (HEAD, {"columns": "time,systolic,upper"}, "bp-columns-told"),
        (HEAD, {"columns": "time,systolic,diastolic"}, "bp-columns-count"),
        (HEAD, {"unit": "bar"}, "bp-option"),
        (HEAD, {"dates": "ymd"}, "bp-option"),
        (HEAD + "2026-11-22,10:30,128,80,72\n" * MOST_ROWS, {}, "bp-file-large"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, options: dict[str, str], code: str) -> None:
    assert code_of(text.encode(), **options) == code


def test_files(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="bp-file-absent"):
        read_bp_series(tmp_path / "nowhere.csv")
    large = tmp_path / "large.csv"
    large.write_bytes(b"x" * (LARGEST_BYTES + 1))
    with pytest.raises(FileFormatError, match="bp-file-large"):
        read_bp_series(large)
    assert code_of(b"\x00\x01\x02\xff") == "bp-file-unknown"


@given(st.binary(max_size=300))
def test_any_bytes_give_a_series_or_say_why(data: bytes) -> None:
    with contextlib.suppress(FileFormatError):
        parse_bp_series(data)
    with contextlib.suppress(FileFormatError):
        parse_bp_series(HEAD.encode() + data, dates="dmy")


@given(st.lists(st.text(alphabet='0123456789,./-: \tapm年月日ENaN"', max_size=40), max_size=6))
def test_any_rows_are_read_named_or_refused(rows: list[str]) -> None:
    with contextlib.suppress(FileFormatError):
        series = parse_bp_series((HEAD + "2026-11-22,10:30,128,80,72\n" + "\n".join(rows)).encode(), dates="mdy")
        told = [r.row for r in series.readings] + [d.row for d in series.damaged]
        assert len(told) == len(set(told)), "each row is told once"
        assert all(r.systolic_mmhg is not None and r.diastolic_mmhg is not None for r in series.readings if r.valid)
