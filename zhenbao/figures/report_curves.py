"""The curves of a spirometry report, drawn into a place on a page: flow over volume, and volume over time.

The best blow is a strong line, the others are thin and dashed, the best one after a bronchodilator is long-dashed; of
the predicted values only those that the equation gives are drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zhenbao.figures.aligned import Aligned, align
from zhenbao.figures.axes import Axes, draw_axes, draw_line
from zhenbao.figures.svg import polyline, segment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zhenbao.figures.aligned import Curve
    from zhenbao.figures.svg import Page, Point
    from zhenbao.model.spirometry import Blow, Reference
    from zhenbao.words import Words

BEST, OTHER, AFTER, PREDICTED = "#0b3d91", "#6f6f6f", "#7a1f5c", "#b35900"
AFTER_DASH = "3.2 1"
_DASHES = (
    *("2 0.8", "0.6 0.8", "2.6 0.7 0.6 0.7", "1.2 0.6"),
    *("3.5 1.2", "0.3 1.4", "2.6 0.7 0.6 0.7 0.6 0.7", "1.2 0.6 0.3 0.6"),
)
_SHARES = (("FEF25", 0.25), ("FEF50", 0.50), ("FEF75", 0.75))
_SIZE = 2.6
_LEFT_MM, _FOOT_MM, _HEAD_MM = 12.0, 9.0, 6.0
_DEEPEST_L_S = -12.0
_LONGEST_S = 15.0
_AFTER_END_S = 0.3
"""So much of what follows the expiration is drawn over time; the breath in belongs to the loop."""


@dataclass(frozen=True, slots=True)
class Place:
    """A rectangle of the page, in mm; title, axes and labels lie inside it."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Session:
    """The blows of one session and which of them is stressed (index, or None)."""

    curves: Sequence[Curve]
    blows: Sequence[Blow]
    best: int | None

    def aligned(self) -> list[Aligned]:
        return [align(curve, blow) for curve, blow in zip(self.curves, self.blows, strict=True)]


def dash_of(index: int) -> str:
    """How a blow's thin line is broken, so that lines are told apart without colours."""
    return _DASHES[index % len(_DASHES)]


def draw_flow_volume(
    page: Page,
    place: Place,
    before: Session,
    *,
    words: Words,
    references: Mapping[str, Reference],
    after: Session | None = None,
) -> None:
    """Flow over exhaled volume, 2 L/s as long as 1 L (ATS/ERS 2019).

    Args:
        before: drawn with all its blows.
        references: predicted values; where there are FEF25, FEF50, FEF75 and FVC a predicted descending limb is drawn
            through them, otherwise each one that is known is marked.
        after: only its best blow is drawn.

    Raises:
        ValueError: not as many blows as curves.
    """
    drawn = before.aligned()
    last = _best_of(after)
    shown = [*drawn, *([last] if last else [])]
    flows = [p[2] for blow in shown for p in blow.points if p is not None]
    volumes = [p[1] for blow in shown for p in blow.points if p is not None]
    known = {name: reference.predicted for name, reference in references.items()}
    highest = max([*flows, known.get("PEF", 0.0), 0.0])
    lowest = max(_DEEPEST_L_S, min([*flows, 0.0]))
    widest = max([*volumes, known.get("FVC", 0.0), 0.0])
    y_range = (2.0 * math.floor(lowest / 2), max(4.0, 2.0 * math.ceil((highest + 0.4) / 2)))
    x_range = (-0.5, max(3.0, math.ceil(2 * (widest + 0.3)) / 2))
    room_x, room_y = place.width - _LEFT_MM, place.height - _HEAD_MM - _FOOT_MM
    scale = min(room_x / (x_range[1] - x_range[0]), 2 * room_y / (y_range[1] - y_range[0]))
    # Where the height is what limits, some of the width that is left goes to the volumes beyond.
    x_range = (x_range[0], min(x_range[0] + math.floor(2 * room_x / scale) / 2, x_range[1] + 2.0))
    axes = Axes(place.left + _LEFT_MM, place.top + _HEAD_MM, x_range, y_range, scale, scale / 2)
    page.text(place.left, place.top + 4, words("figure.flow-volume"), size=3.4)
    sparse = _sparse(scale)
    draw_axes(
        page,
        axes,
        words("figure.loop.volume"),
        words("figure.loop.flow"),
        x_step=1.0 * sparse,
        y_step=2.0 * sparse,
        size=_SIZE,
    )
    _draw_blows(page, axes, drawn, before.best, last, of=(1, 2))
    _draw_predicted_flows(page, axes, known, words, place.left + place.width)


def draw_volume_time(
    page: Page,
    place: Place,
    before: Session,
    *,
    words: Words,
    references: Mapping[str, Reference],
    after: Session | None = None,
) -> None:
    """Exhaled volume over time from back-extrapolated time zero, FEV1 of the best blow marked; arguments as above."""
    drawn = [_expired(blow, of) for blow, of in zip(before.aligned(), before.blows, strict=True)]
    last = _best_of(after)
    if last is not None and after is not None and after.best is not None:
        last = _expired(last, after.blows[after.best])
    known = {name: reference.predicted for name, reference in references.items()}
    blows = [*before.blows, *([after.blows[after.best]] if after and after.best is not None else [])]
    longest = min(_LONGEST_S, max([blow.fet_s for blow in blows], default=0.0))
    tallest = max([*(blow.fvc_l for blow in blows), known.get("FEV1", 0.0), known.get("FVC", 0.0)])
    x_range = (-0.5, float(max(6, math.ceil(longest + 0.5))))
    y_range = (0.0, max(3.0, math.ceil(2 * (tallest + 0.2)) / 2))
    room_x, room_y = place.width - _LEFT_MM, place.height - _HEAD_MM - _FOOT_MM
    axes = Axes(
        place.left + _LEFT_MM,
        place.top + _HEAD_MM,
        x_range,
        y_range,
        room_x / (x_range[1] - x_range[0]),
        room_y / (y_range[1] - y_range[0]),
    )
    page.text(place.left, place.top + 4, words("figure.volume-time"), size=3.4)
    step = 1.0 if x_range[1] <= 8 else 2.0
    draw_axes(
        page,
        axes,
        words("figure.loop.time"),
        words("figure.loop.volume"),
        x_step=step,
        y_step=1.0 * _sparse(axes.y_mm),
        size=_SIZE,
    )
    page.path(segment(axes.x(1), axes.top, axes.x(1), axes.bottom), stroke=OTHER, dash="1 1", width=0.2)
    _draw_blows(page, axes, drawn, before.best, last, of=(0, 1))
    for name, left, right in (("FEV1", 0.6, 1.4), ("FVC", x_range[1] - 1, x_range[1])):
        if name in known:
            y = known[name]
            page.path(
                segment(axes.x(left), axes.y(y), axes.x(right), axes.y(y)),
                stroke=PREDICTED,
                width=0.7,
                class_="predicted",
                data_name=name,
            )
            label = words("figure.loop.predicted", name=name)
            end, x = ("start", axes.x(0)) if name == "FEV1" else ("end", axes.x(right))
            page.text(x, axes.y(y) - 1, label, size=_SIZE, anchor=end, fill=PREDICTED)
    if before.best is not None and (fev1 := before.blows[before.best].fev1_l) is not None:
        x, y = axes.x(1), axes.y(fev1)
        page.path(_diamond(x, y, 1.1), stroke=BEST, width=0.4, class_="mark", data_name="FEV1")
        page.text(x + 2, y + 3.2, f"FEV1 {fev1:.2f} L", size=_SIZE, fill=BEST)


def _sparse(step_mm: float) -> int:
    """Of how many ticks one is drawn, so that their numbers do not touch."""
    return 1 if step_mm >= 5 else 2 if step_mm >= 2.5 else 5 if step_mm >= 1 else 20


def _best_of(session: Session | None) -> Aligned | None:
    if session is None or session.best is None:
        return None
    return align(session.curves[session.best], session.blows[session.best])


def _expired(drawn: Aligned, blow: Blow) -> Aligned:
    """Without the breath in that follows."""
    end = blow.fet_s + _AFTER_END_S
    return Aligned(tuple(p for p in drawn.points if p is None or p[0] <= end))


def _draw_blows(
    page: Page, axes: Axes, drawn: Sequence[Aligned], best: int | None, last: Aligned | None, *, of: tuple[int, int]
) -> None:
    """The best one on top of the others, the one after a bronchodilator on top of it."""

    def points(blow: Aligned) -> list[Point | None]:
        return [(p[of[0]], p[of[1]]) if p is not None else None for p in blow.points]

    for i in sorted(range(len(drawn)), key=lambda i: i == best):
        strong = i == best
        draw_line(
            page,
            axes,
            points(drawn[i]),
            stroke=BEST if strong else OTHER,
            width=0.6 if strong else 0.2,
            dash="" if strong else dash_of(i),
            class_="blow best" if strong else "blow",
            data_blow=str(i + 1),
        )
    if last is not None:
        draw_line(page, axes, points(last), stroke=AFTER, width=0.5, dash=AFTER_DASH, class_="blow after")


def _draw_predicted_flows(page: Page, axes: Axes, known: Mapping[str, float], words: Words, right: float) -> None:
    """The equation gives flows at known volumes, but not at which volume the peak lies: that one is a level only."""
    fvc = known.get("FVC")
    at = [(name, share * fvc, known[name]) for name, share in _SHARES if name in known] if fvc else []
    whole = len(at) == len(_SHARES)
    if fvc and whole:
        limb = [*((volume, flow) for _, volume, flow in at), (fvc, 0.0)]
        data = polyline((axes.x(v), axes.y(f)) for v, f in limb)
        page.path(data, stroke=PREDICTED, width=0.4, dash="1.6 1", class_="predicted limb")
    for name, volume, flow in at:
        _mark(page, axes, volume, flow, name, words, right)
    if fvc:
        _mark(page, axes, fvc, 0.0, "FVC", words, right)
    if "PEF" in known:
        x1, x2, y = axes.x(0), axes.x(0.7), axes.y(known["PEF"])
        page.path(segment(x1, y, x2, y), stroke=PREDICTED, width=0.7, class_="predicted", data_name="PEF")
        page.text(x2 + 1, y + 0.9, words("figure.loop.predicted", name="PEF"), size=_SIZE, fill=PREDICTED)


def _mark(page: Page, axes: Axes, volume: float, flow: float, name: str, words: Words, right: float) -> None:
    x, y = axes.x(volume), axes.y(flow)
    page.path(_diamond(x, y, 1.0), stroke=PREDICTED, width=0.4, class_="predicted", data_name=name)
    label = words("figure.loop.predicted", name=name)
    # Beside the mark, where no curve runs; above it where the place ends.
    beside = x + 1.8 + _SIZE * 0.7 * len(label) <= right
    page.text(
        x + (1.8 if beside else 1.0),
        y + (-0.8 if beside else -1.8),
        label,
        size=_SIZE,
        anchor="start" if beside else "end",
        fill=PREDICTED,
    )


def _diamond(x: float, y: float, half: float) -> str:
    return polyline(((x - half, y), (x, y - half), (x + half, y), (x, y + half), (x - half, y)))
