"""The command as its user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from zhenbao.firmware_sim.waveforms.spirometry import BlowModel, demo_blows

pytestmark = pytest.mark.slow
PERSON = ("--sex", "male", "--age", "66", "--height", "168")


def analyse(*arguments: str, language: str = "zh_CN") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "zhenbao", "--lang", language, "analyse", "spirometry", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def told(*arguments: str) -> dict[str, object]:
    done = analyse(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def table(file: Path, models: tuple[BlowModel, ...], *, volume: bool = False, header: str = "") -> str:
    """Blows as a CSV, of flow or of the volume that the flow adds up to."""
    kind = "volume_l" if volume else "flow_l_s"
    rows = [header or f"time_s,{kind},blow"]
    for number, model in enumerate(models, 1):
        exhaled = before = 0.0
        for i, flow in enumerate(model.flow_l_s(100).tolist()):
            exhaled += (before + flow) / 2 / 100 if i else 0.0
            before = flow
            rows.append(f"{i / 100:.2f},{exhaled if volume else flow:.5f},{number}")
    file.write_text("\n".join(rows) + "\n", "utf-8")
    return str(file)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> str:
    return table(tmp_path_factory.mktemp("spirometry") / "before.csv", demo_blows())


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> str:
    return table(tmp_path_factory.mktemp("spirometry") / "after.csv", demo_blows(3.40, 0.62))


def test_a_page_in_chinese(before: str) -> None:
    done = analyse(before, *PERSON)
    assert done.returncode == 0 and done.stderr == ""
    page = done.stdout
    for text in ("男 · 66 岁 · 身高 168 cm", "预计值方程：Jian 2017 (China)", "FEV1 质量 A", "第 1 秒内有咳嗽"):
        assert text in page
    assert page.index("质量\n") < page.index("阻塞性通气功能障碍（提示），中度") < page.index("每次吹气")
    assert page.rstrip().endswith("本机初筛提示，待上级医师审核")


def test_english_is_complete(before: str, after: str) -> None:
    page = analyse(before, *PERSON, "--post-file", after, language="en").stdout
    assert not [c for c in page if "\u4e00" <= c <= "\u9fff"]
    assert "Response of FEV1" in page


def test_json_agrees_with_the_truth_of_the_simulated_blows(before: str) -> None:
    found = told(before, *PERSON)
    truth = [model.truth for model in demo_blows()]
    session = found["analysis"]["session"]  # type: ignore[index]
    assert session["fvc_l"] == pytest.approx(max(t.fvc_l for t in truth), abs=0.02)
    assert session["fev1_l"] == pytest.approx(max(truth[i].fev1_l or 0 for i in (0, 2, 3)), abs=0.02)
    assert found["file"] == {
        "format": "csv", "measured": "flow", "btps": "unknown", "blows": [1, 2, 3, 4], "incomplete": [], "left_out": [],
    }  # fmt: skip
    assert found["equation"] == {
        "key": "jian2017", "name": "Jian 2017 (China)", "group": None, "flows": None, "chosen": False,
    }  # fmt: skip
    assert found["person"] == {"sex": "male", "age_years": 66, "height_cm": 168}
    assert found["preliminary"] is True and found["post_analysis"] is None
    assert {"key", "measured", "predicted", "lln", "percent", "z"} <= found["table"][0].keys()  # type: ignore[index]


def test_volume_gives_what_flow_gives(before: str, tmp_path: Path) -> None:
    file = table(tmp_path / "volume.csv", demo_blows(), volume=True)
    by_flow, by_volume = (told(f, *PERSON)["analysis"]["session"] for f in (before, file))  # type: ignore[index]
    for key in ("fev1_l", "fvc_l"):
        assert by_volume[key] == pytest.approx(by_flow[key], abs=0.02)


def test_before_and_after(before: str, after: str) -> None:
    found = told(before, *PERSON, "--post-file", after)
    response = found["bronchodilator"]["FEV1"]  # type: ignore[index]
    change = response["after_l"] - response["before_l"]
    assert response["percent_of_before"] == pytest.approx(100 * change / response["before_l"])
    assert response["positive_2021"] is True and response["positive_2005"] is True
    assert found["post_analysis"]["interpretation"]["gold"] == "2"  # type: ignore[index]


def test_one_file_after_a_bronchodilator(after: str) -> None:
    page = analyse(after, *PERSON, "--post").stdout
    assert "吸入支气管舒张剂后" in page and "GOLD 2" in page and "未吸入支气管舒张剂" not in page


def test_what_is_missing_is_said_and_nothing_is_predicted(before: str) -> None:
    done = analyse(before, "--sex", "male", "--age", "66")
    assert done.returncode == 0
    assert "身高未知" in done.stdout and "无法判断分型：没有身高" in done.stdout and "FEV1 质量 A" in done.stdout
    found = told(before)
    assert found["analysis"]["references"] == {}  # type: ignore[index]
    assert all(row["predicted"] is None for row in found["table"])  # type: ignore[union-attr]


def test_a_bad_session_says_repeat_first(tmp_path: Path) -> None:
    good = BlowModel()
    file = table(tmp_path / "bad.csv", (replace(good, stops_at_s=1.2), replace(good, cough_at_s=0.3)))
    page = analyse(file, *PERSON).stdout
    assert page.index("指导后重做。 <<<") < page.index("无法判断：质量")


def test_ambient_volumes_are_converted_once(tmp_path: Path) -> None:
    """1.102 at 20 °C and sea level (ATS/ERS table of BTPS factors)."""
    plain = table(tmp_path / "a.csv", demo_blows())
    ambient = table(tmp_path / "b.csv", demo_blows(), header="time_s,flow_atps_l_s,blow")
    body = table(tmp_path / "c.csv", demo_blows(), header="time_s,flow_btps_l_s,blow")
    fvc = [
        told(f, *PERSON, *o)["analysis"]["session"]["fvc_l"] for f, o in ((plain, ()), (ambient, ("--ambient-c", "20")))
    ]  # type: ignore[index]
    assert fvc[1] / fvc[0] == pytest.approx(1.102, abs=0.002)
    assert "analyse-btps-missing" in analyse(ambient, *PERSON).stderr
    assert "analyse-btps-already" in analyse(body, *PERSON, "--ambient-c", "20").stderr
    assert "BTPS" in analyse(plain, *PERSON).stdout and "BTPS" not in analyse(body, *PERSON).stdout


def test_pictures(before: str, tmp_path: Path) -> None:
    pytest.importorskip("fpdf", reason="needs the extra 'paper'")
    pytest.importorskip("pypdfium2", reason="needs the extra 'paper'")
    places = {kind: tmp_path / f"a.{kind}" for kind in ("png", "pdf", "svg")}
    options = [word for kind, place in places.items() for word in (f"--{kind}", str(place))]
    done = analyse(before, *PERSON, *options, "--taken", "2026-11-27 09:30", "--device", "Zhenbao FE-1")
    assert done.returncode == 0, done.stderr
    assert places["png"].read_bytes().startswith(b"\x89PNG")
    assert places["pdf"].read_bytes().startswith(b"%PDF")
    assert "2026-11-27 09:30" in places["svg"].read_text("utf-8")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pdf", "a.png", "a.svg"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("/nowhere/x.csv",), "spirometry-file-absent"),
        (("FILE", "--sex", "男"), "analyse-sex"),
        (("FILE", "--equation", "gli2021"), "reference-equation"),
        (("FILE", *PERSON, "--ethnicity", "NEAsia"), "analyse-ethnicity"),
        (("FILE", *PERSON, "--equation", "gli2012", "--ethnicity", "Chinese"), "reference-ethnicity"),
        (("FILE", "--post", "--post-file", "FILE"), "analyse-post-twice"),
        (("FILE", "--columns", "time:s,flow:L/s"), "spirometry-columns-count"),
        (("FILE", "--svg", "/nowhere/x.svg"), "analyse-write"),
    ],
)
def test_what_cannot_be_says_what_and_what_to_do(before: str, arguments: tuple[str, ...], code: str) -> None:
    done = analyse(*(before if word == "FILE" else word for word in arguments))
    assert done.returncode == 2 and code in done.stderr
    assert "怎么办" in done.stderr and "Traceback" not in done.stderr
