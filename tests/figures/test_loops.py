"""Flow-volume and volume-time curves: the picture and the measured numbers must agree."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from zhenbao.figures import flow_volume_loop, volume_time
from zhenbao.model.spirometry import Blow, Reference
from zhenbao.words import Words

ZH, EN = Words("zh_CN"), Words("en")
SVG = "{http://www.w3.org/2000/svg}"
PEF, TAU, RISE, END = 8.0, 0.5, 0.1, 6.0
FVC = PEF * (RISE / 2 + TAU * (1 - math.exp(-(END - RISE) / TAU)))
T0 = RISE - RISE / 2
FEV1 = PEF * (RISE / 2 + TAU * (1 - math.exp(-(T0 + 1 - RISE) / TAU)))
LEAD = 1.0


def curve(offset: float = 0.0, scale: float = 1.0) -> tuple[list[float], list[float]]:
    """A second of silence, a straight rise, one exponential; 200 a second."""
    times = [i / 200 for i in range(int((LEAD + END) * 200) + 1)]
    flows = []
    for time in times:
        t = time - LEAD
        flow = 0.0 if t < 0 else PEF * t / RISE if t < RISE else PEF * math.exp(-(t - RISE) / TAU)
        flows.append(scale * flow + offset)
    return times, flows


def blow(scale: float = 1.0, defects: tuple[str, ...] = ()) -> Blow:
    half = PEF * (T0 / RISE) ** 2 * RISE / 2
    return Blow(
        fvc_l=FVC * scale,
        fev05_l=None,
        fev075_l=None,
        fev1_l=FEV1 * scale,
        fev3_l=None,
        fev6_l=None,
        pef_l_s=PEF * scale,
        fef25_l_s=None,
        fef50_l_s=None,
        fef75_l_s=None,
        fef2575_l_s=None,
        bev_l=half * scale,
        fet_s=END - T0,
        t0_s=LEAD + T0,
        fivc_l=None,
        rise_time_s=None,
        defects=defects,
    )


def predicted(value: float) -> Reference:
    return Reference(l=1.0, m=value, s=0.1, predicted=value, lln=0.8 * value, uln=1.2 * value)


REFERENCES = {"FEV1": predicted(3.5), "FVC": predicted(4.5), "PEF": predicted(9.0)}


class Picture:
    """An SVG read back on its own axes, from the labels of the ticks."""

    def __init__(self, svg: str) -> None:
        self.root = ElementTree.fromstring(svg)  # noqa: S314 - our own
        self.texts = ["".join(e.itertext()) for e in self.root.iter(f"{SVG}text")]
        across: dict[float, float] = {}
        up: dict[float, float] = {}
        for e in self.root.iter(f"{SVG}text"):
            label = "".join(e.itertext())
            if re.fullmatch(r"-?\d+", label):
                x, y, anchor = float(e.attrib["x"]), float(e.attrib["y"]), e.attrib["text-anchor"]
                if anchor == "middle":
                    across[float(label)] = x
                else:
                    up[float(label)] = y - 1
        self.x0, self.x_mm = across[0], across[1] - across[0]
        self.y0, self.y_mm = up[0], (up[0] - up[2]) / 2

    def paths(self, name: str) -> list[ElementTree.Element]:
        return [e for e in self.root.iter(f"{SVG}path") if name in e.attrib.get("class", "").split()]

    def points(self, element: ElementTree.Element) -> list[list[tuple[float, float]]]:
        runs = []
        for part in re.findall(r"M([^M]+)", element.attrib["d"]):
            n = [float(v) for v in re.findall(r"-?\d+(?:\.\d+)?", part)]
            runs.append(
                [((x - self.x0) / self.x_mm, (self.y0 - y) / self.y_mm) for x, y in zip(n[::2], n[1::2], strict=True)]
            )
        return runs


@pytest.mark.parametrize("offset", [0.0, 0.05, -0.05])
def test_volume_over_time_shows_the_measured_values(offset: float) -> None:
    picture = Picture(volume_time([curve(offset)], [blow()], words=ZH, best=0, references=REFERENCES))
    (line,) = picture.points(picture.paths("blow")[0])
    at_one = min(line, key=lambda p: abs(p[0] - 1))
    assert at_one[1] == pytest.approx(FEV1, abs=0.03)
    assert max(v for _, v in line) == pytest.approx(FVC, abs=0.02)
    assert min(line, key=lambda p: abs(p[0]))[1] == pytest.approx(blow().bev_l, abs=0.06)


@pytest.mark.parametrize("offset", [0.0, 0.05])
def test_flow_over_volume_shows_the_measured_values(offset: float) -> None:
    picture = Picture(flow_volume_loop([curve(offset)], [blow()], words=ZH, best=0, references=REFERENCES))
    runs = picture.points(picture.paths("blow")[0])
    points = [p for run in runs for p in run]
    peak = max(points, key=lambda p: p[1])
    assert peak[1] == pytest.approx(PEF, abs=0.06)
    assert peak[0] == pytest.approx(PEF * RISE / 2, abs=0.05)
    assert max(v for v, _ in points) == pytest.approx(FVC, abs=0.03)
    half = min((p for p in points if p[0] > 1), key=lambda p: abs(p[0] - FVC / 2))
    assert half[1] == pytest.approx((FVC - half[0]) / TAU, abs=0.1)


def test_a_litre_is_as_long_as_two_litres_a_second() -> None:
    picture = Picture(flow_volume_loop([curve()], [blow()], words=ZH))
    assert picture.x_mm == pytest.approx(2 * picture.y_mm)


def test_predicted_values_are_marked_where_they_are_known() -> None:
    loop = Picture(flow_volume_loop([curve()], [blow()], words=ZH, references=REFERENCES))
    assert {e.attrib["data-name"] for e in loop.paths("predicted")} == {"PEF", "FVC"}
    time = Picture(volume_time([curve()], [blow()], words=ZH, references=REFERENCES))
    marks = {e.attrib["data-name"]: e for e in time.paths("predicted")}
    assert set(marks) == {"FEV1", "FVC"}
    y = float(re.search(r"M[\d.]+ ([\d.]+)H", marks["FEV1"].attrib["d"]).group(1))
    assert (time.y0 - y) / time.y_mm == pytest.approx(3.5, abs=0.01)
    without = Picture(flow_volume_loop([curve()], [blow()], words=ZH, references={}))
    assert without.paths("predicted") == []
    assert "无预计值" in without.texts


def test_all_blows_are_drawn_and_the_best_is_the_strongest() -> None:
    curves = [curve(scale=s) for s in (0.9, 1.0, 0.95)]
    blows = [blow(s) for s in (0.9, 1.0, 0.95)]
    picture = Picture(flow_volume_loop(curves, blows, words=EN, best=1))
    lines = {e.attrib["data-blow"]: float(e.attrib["stroke-width"]) for e in picture.paths("blow")}
    assert set(lines) == {"1", "2", "3"}
    assert lines["2"] > lines["1"] == lines["3"]
    assert picture.paths("blow")[-1].attrib["data-blow"] == "2"
    assert sum("best" in text for text in picture.texts) == 1


@pytest.mark.parametrize("draw", [flow_volume_loop, volume_time])
def test_every_defect_is_named_in_words(draw: Callable[..., str]) -> None:
    defects = ("slow-start", "cough-first-second", "early-end", "fivc-larger")
    for words in (ZH, EN):
        picture = Picture(draw([curve()], [blow(defects=defects)], words=words))
        shown = "".join(picture.texts).replace(" ", "")
        for defect in defects:
            assert words(f"blow_defect.{defect}").replace(" ", "") in shown


@pytest.mark.parametrize("draw", [flow_volume_loop, volume_time])
def test_lost_samples_break_the_line(draw: Callable[..., str]) -> None:
    times, flows = curve()
    for i in range(300, 340):
        flows[i] = math.nan
    whole, broken = (Picture(draw([c], [blow()], words=ZH)) for c in (curve(), (times, flows)))
    count = [len(p.points(p.paths("blow")[0])) for p in (whole, broken)]
    assert count[1] == count[0] + 1


@pytest.mark.parametrize("draw", [flow_volume_loop, volume_time])
def test_no_blow_and_no_curve_still_make_a_page(draw: Callable[..., str]) -> None:
    nothing = Blow(0.0, *[None] * 5, 0.0, *[None] * 4, 0.0, 0.0, 0.0, None, None, ("no-blow",))
    picture = Picture(draw([([0.0, 0.1], [0.0, math.nan])], [nothing], words=ZH, header=("演示患者甲 <1>",)))
    assert picture.paths("blow") == []
    assert "没有测到用力吹气" in picture.texts
    assert "演示患者甲 <1>" in picture.texts
    Picture(draw([], [], words=EN))


def test_as_many_blows_as_curves() -> None:
    with pytest.raises(ValueError, match="argument"):
        flow_volume_loop([curve()], [], words=ZH)
