"""``zhenbao analyse bp24`` as its user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.slow


def run(*arguments: object, language: str = "zh_CN") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "zhenbao", "--lang", language, "analyse", "bp24", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def table(place: Path, *, day: str = "142,88", night: str = "115,72", more: str = "", nights: int = 8) -> Path:
    """A day of readings, every half hour from 09:00, every hour from 22:00; a name above, as recorders write it."""
    rows = ["姓名,演示患者乙", "Date,Time,Systolic (mmHg),Diastolic (mmHg),Pulse,Comment"]
    start = datetime(2026, 11, 22, 9, 0)
    rows += [f"{start + timedelta(minutes=30 * i):%Y-%m-%d,%H:%M},{day},70,x" for i in range(26)]
    rows += [f"{start + timedelta(hours=13 + i):%Y-%m-%d,%H:%M},{night},60," for i in range(nights)]
    place.write_text("\n".join(rows) + "\n" + more, encoding="utf-8")
    return place


def test_a_doctor_reads_means_fall_findings_and_limits(tmp_path: Path) -> None:
    done = run(table(tmp_path / "series.csv", more="2026-11-23,06:30,,,,\n2026-11-23,0x:00,140,80,70,\n"))
    assert done.returncode == 0 and done.stderr == ""
    page = done.stdout
    # 34 valid of 36: 94 %; (142 - 115) / 142 = 19.0 %, (88 - 72) / 88 = 18.2 %
    assert "有效读数34次，共测36次，有效率94%" in page
    assert "收缩压19.0%，舒张压18.2%  杓型" in page
    assert [line.split("[")[1][:4] for line in page.splitlines() if line.rstrip().endswith("]")] == [
        "BP21",
        "BP22",
        "BP23",
    ]
    assert "第37行  2026-11-23 06:30  没有测出数值" in page
    assert "第38行  时间读不出（2026-11-23 0x:00）" in page
    assert "没有患者日记" in page and "未读取的列：Comment" in page
    assert "本机初筛提示，待上级医师审核" in page
    assert "演示患者乙" not in page


def test_too_few_readings_say_so_before_the_numbers(tmp_path: Path) -> None:
    page = run(table(tmp_path / "series.csv", nights=3)).stdout
    assert page.index("有效读数不够，不作判断，建议重做：夜间有效读数不到7次") < page.index("平均 mmHg")
    assert "未作判断" in page and "BP2" not in page and "（不判断节律类型）" in page


def test_no_finding_is_no_all_clear(tmp_path: Path) -> None:
    page = run(table(tmp_path / "series.csv", day="118,70", night="100,60")).stdout
    assert "这不代表没有疾病" in page
    assert "正常" not in page


def test_english_is_complete(tmp_path: Path) -> None:
    page = run(table(tmp_path / "s.csv"), "--rose", "06:15", "--bed", "21:45", "--age", 60, language="en").stdout
    assert not [c for c in page if "\u4e00" <= c <= "\u9fff"]
    assert "(the patient's diary)" in page and "dipper" in page


def test_json_holds_everything(tmp_path: Path) -> None:
    told = json.loads(run(table(tmp_path / "s.csv", more="2026-11-23,06:30,300,80,70,\n"), "--json").stdout)
    assert told["preliminary"] is True
    assert told["analysis"]["day"] == {
        "attempts": 27,
        "valid": 26,
        "systolic_mmhg": 142.0,
        "diastolic_mmhg": 88.0,
        "pulse_per_min": 70.0,
        "systolic_sd_mmhg": 0.0,
        "diastolic_sd_mmhg": 0.0,
    }
    assert told["series"]["readings"][-1]["reason"] == "implausible"
    assert [f["rule_id"] for f in told["analysis"]["findings"]] == ["BP21", "BP22", "BP23"]
    assert "演示患者乙" not in json.dumps(told, ensure_ascii=False)


def test_the_course_is_drawn_and_replaces_a_file_whole(tmp_path: Path) -> None:
    picture = tmp_path / "course.svg"
    picture.write_text("old", encoding="utf-8")
    assert run(table(tmp_path / "s.csv"), "--svg", picture).returncode == 0
    drawn = ElementTree.fromstring(picture.read_text(encoding="utf-8"))  # noqa: S314 - our own file
    assert sum(e.get("class") == "reading" for e in drawn.iter()) == 34
    assert sum(e.get("class") == "night" for e in drawn.iter()) == 1
    assert list(tmp_path.glob("*.part")) == []
    refused = run(table(tmp_path / "s.csv"), "--svg", tmp_path / "nowhere" / "course.svg")
    assert refused.returncode != 0 and "analyse-write" in refused.stderr


@pytest.mark.parametrize(
    ("text", "options", "code"),
    [
        (None, (), "bp-file-absent"),
        ("Time,Systolic,Diastolic\n2026-11-22 09:00,140,80\n", (), "bp-file-unit-missing"),
        ("Time,SYS mmHg,DIA mmHg\n11/12/2026 09:00,140,80\n", (), "bp-file-dates"),
        ("Time,SYS mmHg,DIA mmHg\n2026-11-22 09:00,140,80\n", ("--rose", "06:00"), "bp24-clock"),
        ("Time,SYS mmHg,DIA mmHg\n2026-11-22 09:00,140,80\n2026-12-22 09:00,140,80\n", (), "bp24-span"),
    ],
)
def test_errors_say_what_to_do(tmp_path: Path, text: str | None, options: tuple[str, ...], code: str) -> None:
    place = tmp_path / "series.csv"
    if text is not None:
        place.write_text(text, encoding="utf-8")
    done = run(place, *options)
    assert done.returncode != 0
    assert code in done.stderr and "怎么办" in done.stderr and "Traceback" not in done.stderr
