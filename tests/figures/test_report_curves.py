"""Curves and z-scores inside a page, read back on their own scales from the numbers at the ticks."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

from zhenbao.figures.report_curves import Place, Session, draw_flow_volume, draw_volume_time
from zhenbao.figures.svg import Page
from zhenbao.figures.z_bars import ZScale, draw_scale, draw_z
from zhenbao.model.spirometry import Blow, Reference
from zhenbao.words import Words

ZH = Words("zh_CN")
SVG = "{http://www.w3.org/2000/svg}"
PEF, TAU, RISE, END = 8.0, 0.5, 0.1, 6.0
FVC = PEF * (RISE / 2 + TAU * (1 - math.exp(-(END - RISE) / TAU)))
T0 = RISE / 2
FEV1 = PEF * (RISE / 2 + TAU * (1 - math.exp(-(T0 + 1 - RISE) / TAU)))
PLACE = Place(30.0, 40.0, 90.0, 80.0)


def curve(scale: float = 1.0) -> tuple[list[float], list[float]]:
    """A second of silence, a straight rise, one exponential, then a breath in; 200 a second."""
    times = [i / 200 for i in range(int((1 + END + 1.5) * 200) + 1)]
    flows = []
    for time in times:
        t = time - 1
        flow = 0.0 if t < 0 else PEF * t / RISE if t < RISE else PEF * math.exp(-(t - RISE) / TAU)
        flows.append(scale * (flow if t <= END else -2.0))
    return times, flows


def blow(scale: float = 1.0) -> Blow:
    bev = PEF * (T0 / RISE) ** 2 * RISE / 2 * scale
    return Blow(
        FVC * scale, None, None, FEV1 * scale, None, None, PEF * scale, None, None, None, None,
        bev, END - T0, 1 + T0, None, None,
    )  # fmt: skip


def predicted(value: float) -> Reference:
    return Reference(l=1.0, m=value, s=0.1, predicted=value, lln=0.8 * value, uln=1.2 * value)


class Picture:
    def __init__(self, page: Page) -> None:
        self.root = ElementTree.fromstring(page.svg())  # noqa: S314 - our own
        self.texts = {"".join(e.itertext()): e.attrib for e in self.root.iter(f"{SVG}text")}
        ticks = [(float("".join(e.itertext())), e.attrib) for e in self.root.iter(f"{SVG}text") if self._is_tick(e)]
        across = {v: float(a["x"]) for v, a in ticks if a["text-anchor"] == "middle"}
        up = {v: float(a["y"]) - 1 for v, a in ticks if a["text-anchor"] == "end"}
        (x1, x2), (y1, y2) = sorted(across)[-2:], sorted(up)[-2:]
        self.x_mm, self.y_mm = (across[x2] - across[x1]) / (x2 - x1), (up[y1] - up[y2]) / (y2 - y1)
        self.x0, self.y0 = across[x1] - x1 * self.x_mm, up[y1] + y1 * self.y_mm

    @staticmethod
    def _is_tick(element: ElementTree.Element) -> bool:
        return re.fullmatch(r"-?\d+", "".join(element.itertext())) is not None

    def paths(self, name: str) -> list[ElementTree.Element]:
        return [e for e in self.root.iter(f"{SVG}path") if name in e.attrib.get("class", "").split()]

    def points(self, element: ElementTree.Element) -> list[tuple[float, float]]:
        n = [float(v) for v in re.findall(r"-?\d+(?:\.\d+)?", element.attrib["d"])]
        return [((x - self.x0) / self.x_mm, (self.y0 - y) / self.y_mm) for x, y in zip(n[::2], n[1::2], strict=True)]

    def centre(self, element: ElementTree.Element) -> tuple[float, float]:
        points = self.points(element)[:-1]
        return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)


def drawn(
    draw: object, references: dict[str, Reference], scales: tuple[float, ...] = (1.0,), **more: object
) -> Picture:
    page = Page(210, 297, "page")
    session = Session([curve(s) for s in scales], [blow(s) for s in scales], 0 if scales else None)
    draw(page, PLACE, session, words=ZH, references=references, **more)  # type: ignore[operator]
    return Picture(page)


FLOWS = {"FEF25": predicted(7.0), "FEF50": predicted(4.5), "FEF75": predicted(1.8)}
VOLUMES = {"FVC": predicted(4.4), "PEF": predicted(9.0), "FEV1": predicted(3.5)}


def test_the_loop_shows_the_measured_peak_and_volume() -> None:
    picture = drawn(draw_flow_volume, {})
    points = picture.points(picture.paths("best")[0])
    assert max(flow for _, flow in points) == pytest.approx(PEF, abs=0.06)
    assert max(volume for volume, _ in points) == pytest.approx(FVC, abs=0.03)
    assert picture.x_mm == pytest.approx(2 * picture.y_mm, rel=0.01)


def test_volume_over_time_ends_with_the_expiration_and_marks_fev1() -> None:
    picture = drawn(draw_volume_time, VOLUMES)
    points = picture.points(picture.paths("best")[0])
    assert max(volume for _, volume in points) == pytest.approx(FVC, abs=0.03)
    assert max(time for time, _ in points) < END + 0.5
    (mark,) = picture.paths("mark")
    assert picture.centre(mark) == pytest.approx((1.0, FEV1), abs=0.03)
    assert f"FEV1 {FEV1:.2f} L" in picture.texts
    levels = {e.attrib["data-name"]: picture.root and e.attrib["d"] for e in picture.paths("predicted")}
    y = float(re.match(r"M[\d.]+ ([\d.]+)H", levels["FEV1"]).group(1))  # type: ignore[union-attr]
    assert (picture.y0 - y) / picture.y_mm == pytest.approx(3.5, abs=0.02)


def test_with_all_flows_the_predicted_limb_runs_through_them() -> None:
    picture = drawn(draw_flow_volume, {**VOLUMES, **FLOWS})
    (limb,) = picture.paths("limb")
    expected = [(1.1, 7.0), (2.2, 4.5), (3.3, 1.8), (4.4, 0.0)]
    for point, wanted in zip(picture.points(limb), expected, strict=True):
        assert point == pytest.approx(wanted, abs=0.02)


@pytest.mark.parametrize("absent", ["FEF25", "FEF50", "FEF75"])
def test_no_limb_is_invented_where_one_flow_is_unknown(absent: str) -> None:
    known = {name: value for name, value in FLOWS.items() if name != absent}
    picture = drawn(draw_flow_volume, {**VOLUMES, **known})
    assert picture.paths("limb") == []
    marks = {e.attrib["data-name"]: e for e in picture.paths("predicted")}
    assert set(marks) == {"PEF", "FVC", *known}
    share = {"FEF25": 1.1, "FEF50": 2.2, "FEF75": 3.3}
    for name in known:
        assert picture.centre(marks[name]) == pytest.approx((share[name], known[name].predicted), abs=0.02)


def test_flows_without_a_predicted_volume_have_no_place() -> None:
    picture = drawn(draw_flow_volume, FLOWS)
    assert picture.paths("predicted") == []


def test_eight_blows_are_told_apart_without_colours() -> None:
    picture = drawn(draw_flow_volume, {}, tuple(1 - i / 30 for i in range(8)))
    others = [e for e in picture.paths("blow") if "best" not in e.attrib["class"].split()]
    assert len({e.attrib["stroke-dasharray"] for e in others}) == 7
    best = picture.paths("best")[0]
    assert "stroke-dasharray" not in best.attrib
    assert float(best.attrib["stroke-width"]) > max(float(e.attrib["stroke-width"]) for e in others)


@pytest.mark.parametrize("draw", [draw_flow_volume, draw_volume_time])
def test_after_a_bronchodilator_only_the_best_blow_is_added(draw: object) -> None:
    after = Session([curve(0.9), curve(1.2)], [blow(0.9), blow(1.2)], 1)
    picture = drawn(draw, {}, after=after)
    (line,) = picture.paths("after")
    across = 0 if draw is draw_flow_volume else 1
    assert max(p[across] for p in picture.points(line)) == pytest.approx(1.2 * FVC, abs=0.04)


@pytest.mark.parametrize("draw", [draw_flow_volume, draw_volume_time])
@pytest.mark.parametrize("scales", [(), (1.0,), (2.2,), (0.3,)])
def test_everything_stays_in_its_place(draw: object, scales: tuple[float, ...]) -> None:
    page = Page(210, 297, "page")
    session = Session([curve(s) for s in scales], [blow(s) for s in scales], None)
    draw(page, PLACE, session, words=ZH, references=VOLUMES)  # type: ignore[operator]
    picture = Picture(page)
    for name in ("grid", "blow", "axes"):
        for element in picture.paths(name):
            for x, y in re.findall(r"[ML ](-?[\d.]+) (-?[\d.]+)", element.attrib["d"]):
                assert PLACE.left <= float(x) <= PLACE.left + PLACE.width + 0.01
                assert PLACE.top <= float(y) <= PLACE.top + PLACE.height + 0.01


def bars(z: float, after: float | None = None) -> ElementTree.Element:
    page = Page(100, 50, "z")
    scale = ZScale(10, 80, (-1.645, -2.5, -4.0))
    draw_scale(page, scale, top=10, bottom=30, names=("轻度", "中度", "重度"), limit_name="下限以上", size=3)
    draw_z(page, scale, 20, z, name="FEV1", after=after)
    return ElementTree.fromstring(page.svg())  # noqa: S314 - our own


def place(root: ElementTree.Element, name: str, attribute: str = "class") -> list[float]:
    found = [e.attrib["d"] for e in root.iter(f"{SVG}path") if e.attrib.get(attribute) == name]
    return [float(re.findall(r"[\d.]+", data)[-2 if "L" in data else -1 if "H" in data else 0]) for data in found]


@pytest.mark.parametrize("z", [-3.51, -1.7, -1.6, 0.4, 2.0])
def test_a_bar_is_as_long_as_its_z_score(z: float) -> None:
    root = bars(z)
    (zero,), (end,) = place(root, "z-zero"), place(root, "z-bar")
    bounds = {float(e.attrib["data-z"]): e for e in root.iter(f"{SVG}path") if "data-z" in e.attrib}
    assert set(bounds) == {-1.645, -2.5, -4.0}
    four = float(re.findall(r"[\d.]+", bounds[-4.0].attrib["d"])[0])
    assert (end - zero) / (four - zero) * -4.0 == pytest.approx(z, abs=0.01)


def test_low_is_filled_and_beyond_the_scale_has_an_arrow() -> None:
    def count(z: float) -> int:
        return len(list(bars(z).iter(f"{SVG}path")))

    assert count(-1.6) < count(-1.7) == count(-5.0) < count(-9.0)


def test_after_is_a_shape_of_its_own() -> None:
    assert place(bars(-2.0), "z-after") == []
    assert len(place(bars(-2.0, 0.5), "z-after")) == 1
