"""``zhenbao analyse spirometry-summary`` as its user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
VECTORS = Path(__file__).parents[1] / "vectors"


def run(*arguments: str, language: str = "zh_CN") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "zhenbao", "--lang", language, "analyse", "spirometry-summary", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_conflicts_stand_before_the_numbers_in_chinese() -> None:
    done = run(str(VECTORS / "summary_xeek.json"))
    assert done.returncode == 0 and done.stderr == ""
    page = done.stdout
    assert page.index("设备结论为“限制性”，而按设备自己的数值和本县方程，都应为：混合性") < page.index(
        "FEV1/FVC   0.536"
    )
    assert "程度为“轻度”" in page and "重度" in page
    assert "没有曲线，本机不能评级" in page
    assert "本机初筛提示，待上级医师审核" in page
    assert "演示患者乙" not in page


def test_english_is_complete() -> None:
    page = run(str(VECTORS / "summary_ndd.xml"), "--equation", "gli2012", language="en").stdout
    assert not [c for c in page if "\u4e00" <= c <= "\u9fff"]
    assert "The device itself grades the quality D, E, F or U" in page
    assert "before bronchodilator" in page and "NHANES III" in page


def test_json_holds_what_was_sent_and_what_was_found() -> None:
    told = json.loads(run(str(VECTORS / "summary_xeek.json"), "--json").stdout)
    assert told["preliminary"] is True
    (test,) = told["tests"]
    assert test["device"]["values"]["FEV1"]["z"] == -4.4
    assert test["analysis"]["device_class"] == test["analysis"]["interpretation"]["cn5_class"] == "mixed"
    assert "label-class-ours" in [c["code"] for c in test["analysis"]["conflicts"]]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("nowhere.json",), "summary-absent"),
        ((str(VECTORS / "spirometry_bdr.csv"),), "summary-unknown"),
        ((str(VECTORS / "summary_xeek.json"), "--sex", "f"), "summary-sex"),
        ((str(VECTORS / "summary_xeek.json"), "--equation", "ecsc"), "reference-equation"),
    ],
)
def test_errors_say_what_to_do(arguments: tuple[str, ...], code: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2 and code in done.stderr and "Traceback" not in done.stderr
