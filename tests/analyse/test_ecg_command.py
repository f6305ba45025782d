"""The command as its user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from zhenbao.firmware_sim.waveforms.twelve_lead import infarction
from zhenbao.model.ecg import LEADS

pytestmark = pytest.mark.slow


def analyse(*arguments: str, language: str = "zh_CN") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "zhenbao", "--lang", language, "analyse", "ecg", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("ecg") / "patient.csv"
    samples = np.round(1000 * infarction("inferior").render(10, 500).mv).astype(int)
    file.write_text("\n".join([",".join(LEADS), *(",".join(map(str, row)) for row in samples.T.tolist())]), "utf-8")
    return str(file)


CSV = ("--rate", "500", "--unit", "uV")


def test_a_page_in_chinese_first(table: str) -> None:
    done = analyse(table, *CSV, "--highpass", "0.05", "--sex", "male", "--age", "60")
    assert done.returncode == 0 and done.stderr == ""
    page = done.stdout
    findings = page[page.index("提示\n") : page.index("测量\n")]
    assert findings.index("EC01") < findings.index("EC38")  # the urgent above the normal
    assert "II、III、aVF" in findings
    assert "本机初筛提示，待上级医师审核" in page
    assert "本结果不能作为没有心肌梗死的依据" in page
    assert "II +" in page


def test_english_is_complete(table: str) -> None:
    page = analyse(table, *CSV, language="en").stdout
    assert not [c for c in page if "\u4e00" <= c <= "\u9fff"]
    assert "ST was not judged" in page and "high-pass unknown" in page


def test_json_holds_everything(table: str) -> None:
    told = json.loads(analyse(table, *CSV, "--json", "--highpass", "0.05", "--sex", "female", "--age", "70").stdout)
    assert told["file"]["leads"] == list(LEADS) and told["file"]["duration_s"] == 10
    assert told["person"] == {"sex": "female", "age_years": 70}
    analysis = told["analysis"]
    assert len(analysis["beats"]) == len(analysis["classes"]) >= 10
    assert analysis["st_mm"]["II"] >= 1
    assert {"rule_id", "leads", "beats", "confidence"} <= analysis["findings"][0].keys()


@pytest.mark.parametrize("layout", ["3x4", "6x2"])
def test_pictures(table: str, tmp_path: Path, layout: str) -> None:
    pytest.importorskip("fpdf", reason="needs the extra 'paper'")
    pytest.importorskip("pypdfium2", reason="needs the extra 'paper'")
    places = {kind: tmp_path / f"a.{kind}" for kind in ("png", "pdf", "svg")}
    places["png"].write_bytes(b"old")
    options = [word for kind, place in places.items() for word in (f"--{kind}", str(place))]
    done = analyse(table, *CSV, "--layout", layout, *options)
    assert done.returncode == 0, done.stderr
    assert places["png"].read_bytes().startswith(b"\x89PNG")
    assert places["pdf"].read_bytes().startswith(b"%PDF")
    assert "<svg" in places["svg"].read_text("utf-8")[:200]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pdf", "a.png", "a.svg"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("/nowhere/x.edf",), "ecg-file-absent"),
        (("TABLE",), "csv-rate"),
        (("TABLE", *CSV, "--sex", "男"), "analyse-sex"),
        (("TABLE", *CSV, "--layout", "12x1"), "analyse-layout"),
        (("TABLE", *CSV, "--profile", "zhejang"), "analyse-profile"),
        (("TABLE", *CSV, "--svg", "/nowhere/x.svg"), "analyse-write"),
    ],
)
def test_what_cannot_be_says_what_and_what_to_do(table: str, arguments: tuple[str, ...], code: str) -> None:
    done = analyse(*(table if word == "TABLE" else word for word in arguments))
    assert done.returncode == 2 and code in done.stderr
    assert "怎么办" in done.stderr and "Traceback" not in done.stderr


def test_bad_quality_says_repeat_first(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(0, 900, (4000, 1)).astype(int)
    file = tmp_path / "noise.csv"
    file.write_text("\n".join(["II", *(str(v[0]) for v in noise.tolist())]), "utf-8")
    page = analyse(str(file), *CSV).stdout
    assert page.index("马上重做") < page.index("提示\n")
