"""The ECG page measured like a sheet of paper: with a ruler, in millimetres."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from uuid import UUID
from xml.etree import ElementTree

import numpy as np
import pytest

from zhenbao.figures import ecg_paper
from zhenbao.model.ecg import LEADS
from zhenbao.model.recording import NO_VALUE, Recording
from zhenbao.words import Words

ZH, EN = Words("zh_CN"), Words("en")
SVG = "{http://www.w3.org/2000/svg}"
LSB = 0.005
Point = tuple[float, float]


def recording(
    millivolts: np.ndarray, leads: tuple[str, ...] = LEADS, fs_hz: float = 500.0, **more: object
) -> Recording:
    """A recording of [leads, n] mV; NaN is no value."""
    raw = np.where(np.isnan(millivolts), NO_VALUE, np.round(np.nan_to_num(millivolts) / LSB)).astype("<i2")
    given = {"highpass_hz": 0.05, "lowpass_hz": 150.0, **more}
    return Recording(UUID(int=1), UUID(int=2), "ecg", fs_hz, leads, "mV", LSB, 0, raw.T.tobytes(), **given)


def flat(leads: int = 12, seconds: float = 10.0, fs_hz: float = 500.0) -> np.ndarray:
    return np.zeros((leads, int(seconds * fs_hz)))


def drawn(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 - our own


def subpaths(element: ElementTree.Element) -> list[list[Point]]:
    """The points of each M...L... stroke."""
    found = []
    for part in re.findall(r"M([^M]+)", element.attrib["d"]):
        numbers = [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", part.replace("l0 0", ""))]
        found.append(list(zip(numbers[::2], numbers[1::2], strict=True)))
    return found


def of_class(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [e for e in root.iter(f"{SVG}path") if name in e.attrib.get("class", "").split()]


def leads_of(root: ElementTree.Element, lead: str) -> list[list[list[Point]]]:
    return [subpaths(e) for e in of_class(root, "lead") if e.attrib["data-lead"] == lead]


def texts(root: ElementTree.Element) -> list[str]:
    return ["".join(e.itertext()) for e in root.iter(f"{SVG}text")]


def test_the_page_is_in_true_millimetres() -> None:
    root = drawn(ecg_paper(recording(flat()), words=ZH))
    width, height = root.attrib["width"], root.attrib["height"]
    assert (width[-2:], height[-2:]) == ("mm", "mm")
    assert root.attrib["viewBox"] == f"0 0 {width[:-2]} {height[:-2]}"
    # It fits a sheet of A4, lying.
    assert float(width[:-2]) <= 297
    assert float(height[:-2]) <= 210


@pytest.mark.parametrize("layout", ["3x4", "6x2", "strip"])
def test_the_grid_has_a_line_each_millimetre(layout: str) -> None:
    root = drawn(ecg_paper(recording(flat()), words=ZH, layout=layout, rows=("II", "V1")))
    fine, bold = (of_class(root, f"grid-{n}mm")[0].attrib["d"] for n in (1, 5))
    for direction in ("V", "H"):
        lines: dict[str, list[float]] = {}
        for name, data in (("all", fine + bold), ("bold", bold)):
            pattern = rf"M(-?[\d.]+) (-?[\d.]+){direction}"
            axis = 0 if direction == "V" else 1
            lines[name] = sorted(float(m.groups()[axis]) for m in re.finditer(pattern, data))
        assert {round(b - a, 6) for a, b in itertools.pairwise(lines["all"])} == {1}
        assert {round(b - a, 6) for a, b in itertools.pairwise(lines["bold"])} == {5}


@pytest.mark.parametrize(("speed", "gain"), [(25.0, 10.0), (50.0, 10.0), (25.0, 5.0), (50.0, 20.0)])
def test_the_calibration_pulse_is_one_millivolt_for_a_fifth_of_a_second(speed: float, gain: float) -> None:
    root = drawn(ecg_paper(recording(flat()), words=ZH, speed_mm_s=speed, gain_mm_mv=gain))
    pulses = of_class(root, "calibration")
    assert len(pulses) == 4
    for pulse in pulses:
        (points,) = subpaths(pulse)
        base, top = max(y for _, y in points), min(y for _, y in points)
        risen = [x for x, y in points if y == top]
        assert base - top == pytest.approx(gain)
        assert max(risen) - min(risen) == pytest.approx(0.2 * speed)


@pytest.mark.parametrize(("speed", "gain"), [(25.0, 10.0), (50.0, 5.0)])
@pytest.mark.parametrize("fs_hz", [250.0, 500.0, 1000.0])
def test_a_step_of_one_millivolt_and_one_second(speed: float, gain: float, fs_hz: float) -> None:
    wave = flat(1, 5.0, fs_hz)
    wave[:, int(fs_hz) : int(2 * fs_hz)] = 1.0
    root = drawn(
        ecg_paper(recording(wave, ("II",), fs_hz), words=ZH, layout="strip", speed_mm_s=speed, gain_mm_mv=gain)
    )
    ((points,),) = leads_of(root, "II")
    ys = {y for _, y in points}
    assert max(ys) - min(ys) == pytest.approx(gain, abs=0.011)
    high = [x for x, y in points if y == min(ys)]
    start = points[0][0]
    assert min(high) - start == pytest.approx(speed, abs=0.011)
    assert max(high) - min(high) == pytest.approx(speed, abs=speed / fs_hz + 0.11)


def test_each_column_goes_on_where_the_one_before_ended() -> None:
    wave = flat()
    for lead in range(12):
        wave[lead, ::500] = 1.0
    root = drawn(ecg_paper(recording(wave), words=ZH))
    starts = []
    for lead in ("I", "aVR", "V1", "V4"):
        ((points,),) = leads_of(root, lead)
        top = min(y for _, y in points)
        starts.append(points[0][0])
        for x, y in points:
            if y == top:
                # A peak each second lies on the same lattice of 25 mm in every column.
                assert (x - starts[0]) % 25 == pytest.approx(0, abs=0.011)
    assert [round(b - a, 2) for a, b in itertools.pairwise(starts)] == [62.5, 62.5, 62.5]


def test_the_rhythm_row_shows_ten_seconds() -> None:
    root = drawn(ecg_paper(recording(flat()), words=ZH))
    (_, (rhythm,)) = sorted(leads_of(root, "II"), key=lambda runs: runs[0][-1][0] - runs[0][0][0])
    assert rhythm[-1][0] - rhythm[0][0] == pytest.approx(250, abs=0.06)
    without = drawn(ecg_paper(recording(flat()), words=ZH, rhythm_lead=None))
    assert len(leads_of(without, "II")) == 1


def test_a_later_stretch_begins_where_it_was_asked_to() -> None:
    wave = flat(1, 30.0)
    wave[0, 500 * 21] = 1.0
    root = drawn(ecg_paper(recording(wave, ("II",)), words=ZH, layout="strip", start_s=20.0))
    ((points,),) = leads_of(root, "II")
    top = min(points, key=lambda p: p[1])
    assert top[0] - points[0][0] == pytest.approx(25, abs=0.011)
    assert any("20 s" in text for text in texts(root))


def test_absent_leads_are_written_and_not_drawn() -> None:
    wave = flat()
    wave[6] = np.nan
    root = drawn(ecg_paper(recording(wave, absent=("V1",)), words=ZH))
    assert leads_of(root, "V1") == []
    assert "未接" in texts(root)
    two = drawn(ecg_paper(recording(flat(2), ("I", "II")), words=EN, layout="6x2"))
    assert texts(two).count("not connected") == 10
    assert len(leads_of(two, "I")) == 1


def test_a_lead_without_any_sample_is_not_called_absent() -> None:
    wave = flat()
    wave[6] = np.nan
    root = drawn(ecg_paper(recording(wave), words=ZH))
    assert "无信号" in texts(root)
    assert "未接" not in texts(root)


def test_lost_samples_break_the_line() -> None:
    wave = flat(1)
    wave[0, 1000:1250] = np.nan
    wave[0, 2000] = np.nan
    wave[0, 2002] = np.nan
    root = drawn(ecg_paper(recording(wave, ("II",)), words=ZH, layout="strip"))
    (runs,) = leads_of(root, "II")
    assert [len(run) for run in runs] == [1000, 750, 1, 2997]
    assert runs[1][0][0] - runs[0][-1][0] == pytest.approx(251 / 500 * 25, abs=0.011)


def test_waves_stay_in_their_row_and_it_is_said() -> None:
    wave = flat()
    wave[1, 200:220] = 6.0
    wave[1, 300:320] = -6.0
    root = drawn(ecg_paper(recording(wave), words=ZH))
    for runs in leads_of(root, "II"):
        ys = [y for _, y in runs[0]]
        assert max(ys) - min(ys) <= 40
    assert any("已截去" in text for text in texts(root))
    assert not any("已截去" in text for text in texts(drawn(ecg_paper(recording(flat()), words=ZH))))


def test_no_more_than_two_points_a_tenth_of_a_millimetre_and_no_peak_lost() -> None:
    rng = np.random.default_rng(4)
    wave = rng.normal(0, 0.2, (1, 20000))
    wave[0, 12345] = 1.2
    root = drawn(ecg_paper(recording(wave, ("II",), 2000.0), words=ZH, layout="strip"))
    ((points,),) = leads_of(root, "II")
    assert len(points) <= 2 * 2500 + 2
    base = max(y for _, y in subpaths(of_class(root, "calibration")[0])[0])
    assert base - min(y for _, y in points) == pytest.approx(12, abs=0.06)
    assert all(b[0] >= a[0] for a, b in itertools.pairwise(points))


def test_a_letter_stands_beside_what_is_no_usual_beat() -> None:
    beats, classes = (250, 750, 1250, 1750), ("N", "V", "?", "S")
    root = drawn(ecg_paper(recording(flat(1), ("II",)), words=ZH, layout="strip", beats=beats, classes=classes))
    letters = {text.text: float(text.get("x", "nan")) for text in root.iter(f"{SVG}text") if text.text in set("NV?S")}
    assert set(letters) == {"V", "S"}
    assert letters["S"] - letters["V"] == pytest.approx(1000 / 500 * 25, abs=0.02)


def test_beats_are_marked_at_their_time() -> None:
    beats = (250, 750, 4900, 5200)
    root = drawn(ecg_paper(recording(flat(1), ("II",)), words=ZH, layout="strip", beats=beats))
    ((points,),) = leads_of(root, "II")
    (marks,) = of_class(root, "beats")
    xs = [float(x) for x in re.findall(r"M([\d.]+)", marks.attrib["d"])]
    assert xs == pytest.approx([points[0][0] + b / 500 * 25 for b in beats[:3]], abs=0.011)


def test_scale_and_filters_stand_on_the_page() -> None:
    known = texts(drawn(ecg_paper(recording(flat(), notch_hz=50.0), words=EN)))[-1]
    for part in ("25 mm/s", "10 mm/mV", "high-pass 0.05 Hz", "low-pass 150 Hz", "notch 50 Hz", "500 Hz sampled"):
        assert part in known
    unknown = texts(drawn(ecg_paper(recording(flat(), highpass_hz=None, complete=False), words=ZH)))[-1]
    assert "高通 未知" in unknown
    assert "陷波 未知" in unknown
    assert "记录不完整" in unknown
    assert "高通 关" in texts(drawn(ecg_paper(recording(flat(), highpass_hz=0.0), words=ZH)))[-1]


def test_text_is_escaped() -> None:
    svg = ecg_paper(recording(flat()), words=ZH, header=('<script>演示患者甲 & "乙"</script>',))
    assert "<script>" not in svg
    assert '<script>演示患者甲 & "乙"</script>' in texts(drawn(svg))


def test_what_is_no_ecg_is_refused() -> None:
    flow = Recording(UUID(int=1), UUID(int=2), "flow", 100.0, ("flow",), "L/s", 0.001, 0, b"\0\0")
    with pytest.raises(ValueError, match="mV"):
        ecg_paper(flow, words=ZH)
    with pytest.raises(ValueError, match="above zero"):
        ecg_paper(recording(flat()), words=ZH, gain_mm_mv=0)


def test_an_empty_recording_is_an_empty_page() -> None:
    root = drawn(ecg_paper(recording(flat(12, 0.0)), words=ZH))
    assert of_class(root, "lead") == []
    assert len(of_class(root, "calibration")) == 4


def test_importing_figures_costs_no_numpy() -> None:
    code = "import sys, zhenbao.figures; print('numpy' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "False"
