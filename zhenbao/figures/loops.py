"""Spirometry as curves: flow over volume, and volume over time. Every blow is drawn; the best one strongly.

Axes as ATS/ERS 2019 asks for: flow upwards against exhaled volume, 2 L/s as long as 1 L; volume over time beside it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from zhenbao.figures.aligned import align
from zhenbao.figures.axes import Axes, draw_axes, draw_line
from zhenbao.figures.svg import Page, segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from zhenbao.figures.aligned import Curve
    from zhenbao.figures.svg import Point
    from zhenbao.model.spirometry import Blow, Reference
    from zhenbao.words import Words

_PLOT_X, _PLOT_Y = 20.0, 20.0
_LEGEND_MM = 85.0
_MUTED, _BEST, _PREDICTED = "#8a8a8a", "#0b3d91", "#b35900"
_SMALL = 2.8


def flow_volume_loop(
    curves: Sequence[Curve],
    blows: Sequence[Blow],
    *,
    words: Words,
    best: int | None = None,
    references: Mapping[str, Reference] | None = None,
    header: Sequence[str] = (),
) -> str:
    """Flow over exhaled volume.

    Args:
        curves: what was recorded of each blow, in L and L/s, BTPS.
        blows: what was measured of each, in the same order.
        best: index of the blow to stress (``Session.best_blow``).
        references: predicted values; ``PEF`` and ``FVC`` are marked where they are there.
        header: lines above the plot.

    Raises:
        ValueError: not as many blows as curves.
    """
    drawn = [align(curve, blow) for curve, blow in zip(curves, blows, strict=True)]
    known = references or {}
    volumes = [b.fvc_l for b in blows] + [known[k].predicted for k in ("FVC",) if k in known]
    flows = [p[2] for d in drawn for p in d.points if p is not None]
    peaks = [max(flows, default=0.0)] + [known[k].predicted for k in ("PEF",) if k in known]
    inward = max(-14.0, min(0.0, min(flows, default=0.0)))
    widest = math.ceil(max(volumes, default=0.0) + 0.5)
    scale = 15.0 if widest <= 6 else 10.0
    axes = Axes(
        left=_PLOT_X,
        top=_PLOT_Y + max(0, len(header) - 1) * 4.5,
        x_range=(-0.5, float(max(widest, 3))),
        y_range=(2.0 * math.floor(inward / 2), float(max(4, 2 * math.ceil((max(peaks) + 0.5) / 2)))),
        x_mm=scale,
        y_mm=scale / 2,
    )
    notes = _notes(blows, best, known, words)
    page = _page(axes, words("figure.flow-volume"), header, notes)
    draw_axes(page, axes, words("figure.loop.volume"), words("figure.loop.flow"), x_step=1.0, y_step=2.0)
    if "PEF" in known:
        pef = known["PEF"].predicted
        _predicted(page, axes, (0.0, pef), (0.8, pef), "PEF", words)
    if "FVC" in known:
        fvc = known["FVC"].predicted
        _predicted(page, axes, (fvc, 0.0), (fvc, 1.0), "FVC", words)
    for i in _order(len(drawn), best):
        _draw(page, axes, ((p[1], p[2]) if p is not None else None for p in drawn[i].points), i, best)
    _legend(page, axes, blows, best, notes)
    return page.svg()


def volume_time(
    curves: Sequence[Curve],
    blows: Sequence[Blow],
    *,
    words: Words,
    best: int | None = None,
    references: Mapping[str, Reference] | None = None,
    header: Sequence[str] = (),
) -> str:
    """Exhaled volume over time from back-extrapolated time zero; arguments as for :func:`flow_volume_loop`.

    The predicted FEV1 is marked at one second and the predicted FVC at the right edge, where they are known.
    """
    drawn = [align(curve, blow) for curve, blow in zip(curves, blows, strict=True)]
    known = references or {}
    volumes = [b.fvc_l for b in blows] + [known[k].predicted for k in ("FEV1", "FVC") if k in known]
    longest = min(15.0, max([b.fet_s for b in blows], default=0.0))
    axes = Axes(
        left=_PLOT_X,
        top=_PLOT_Y + max(0, len(header) - 1) * 4.5,
        x_range=(-0.5, float(max(6, math.ceil(longest + 0.5)))),
        y_range=(0.0, float(max(3, math.ceil(max(volumes, default=0.0) + 0.5)))),
        x_mm=15.0 if longest <= 8 else 10.0,
        y_mm=15.0,
    )
    notes = _notes(blows, best, known, words)
    page = _page(axes, words("figure.volume-time"), header, notes)
    draw_axes(page, axes, words("figure.loop.time"), words("figure.loop.volume"), x_step=1.0, y_step=1.0)
    page.path(segment(axes.x(1), axes.top, axes.x(1), axes.bottom), stroke=_MUTED, dash="1 1", width=0.2)
    if "FEV1" in known:
        fev1 = known["FEV1"].predicted
        _predicted(page, axes, (0.75, fev1), (1.25, fev1), "FEV1", words)
    if "FVC" in known:
        fvc = known["FVC"].predicted
        _predicted(page, axes, (axes.x_range[1] - 1, fvc), (axes.x_range[1], fvc), "FVC", words)
    for i in _order(len(drawn), best):
        _draw(page, axes, ((p[0], p[1]) if p is not None else None for p in drawn[i].points), i, best)
    _legend(page, axes, blows, best, notes)
    return page.svg()


def _page(axes: Axes, title: str, header: Sequence[str], notes: Sequence[Sequence[str]]) -> Page:
    legend = 4 + 6 * len(notes) + 4 * sum(max(0, len(note) - 1) for note in notes)
    page = Page(axes.right + _LEGEND_MM, max(axes.bottom + 16, axes.top + legend + 4), title)
    page.text(_PLOT_X, 7, title, size=4.2)
    for i, line in enumerate(header):
        page.text(_PLOT_X, 12 + i * 4.5, line, size=3.4)
    return page


def _predicted(page: Page, axes: Axes, start: Point, end: Point, name: str, words: Words) -> None:
    data = segment(axes.x(start[0]), axes.y(start[1]), axes.x(end[0]), axes.y(end[1]))
    page.path(data, stroke=_PREDICTED, width=0.7, class_="predicted", data_name=name)
    label = words("figure.loop.predicted", name=name)
    if start[0] == end[0]:
        page.text(axes.x(end[0]), axes.y(end[1]) - 1, label, size=_SMALL, anchor="middle", fill=_PREDICTED)
    else:
        page.text(
            axes.x((start[0] + end[0]) / 2), axes.y(end[1]) - 1.2, label, size=_SMALL, anchor="middle", fill=_PREDICTED
        )


def _order(count: int, best: int | None) -> list[int]:
    """The best one last, on top of the others."""
    return sorted(range(count), key=lambda i: i == best)


def _draw(page: Page, axes: Axes, points: Iterable[Point | None], index: int, best: int | None) -> None:
    """One blow; the line is broken where samples were lost and where it leaves the plot."""
    strong = index == best
    draw_line(
        page,
        axes,
        points,
        stroke=_BEST if strong else _MUTED,
        width=0.6 if strong else 0.25,
        dash="" if strong else _dash(index),
        class_="blow best" if strong else "blow",
        data_blow=str(index + 1),
    )


def _dash(index: int) -> str:
    """Blows are told apart without colours."""
    return ("", "2 0.8", "0.8 0.8", "3 0.8 0.8 0.8")[index % 4]


def _legend(page: Page, axes: Axes, blows: Sequence[Blow], best: int | None, notes: Sequence[Sequence[str]]) -> None:
    """Beside the plot: each blow's line, values and defects."""
    x, y = axes.right + 6, axes.top + 4
    for text in notes[-1]:
        page.text(x, y, text, size=3, fill=_PREDICTED)
        y += 6
    for i in range(len(blows)):
        strong = i == best
        page.path(
            segment(x, y - 1, x + 8, y - 1),
            stroke=_BEST if strong else _MUTED,
            width=0.6 if strong else 0.25,
            dash="" if strong else _dash(i),
        )
        page.text(x + 10, y, notes[i][0], size=3)
        for line in notes[i][1:]:
            y += 4
            page.text(x + 10, y, line, size=_SMALL, fill=_MUTED)
        y += 6


def _notes(blows: Sequence[Blow], best: int | None, known: Mapping[str, Reference], words: Words) -> list[list[str]]:
    """The legend's lines of each blow; last, what concerns them all."""
    notes = []
    for i, blow in enumerate(blows):
        name = words("figure.loop.blow", number=i + 1)
        values = words("figure.loop.values", fev1=_litres(blow.fev1_l, words), fvc=_litres(blow.fvc_l, words))
        stress = f" {words('figure.loop.best')}" if i == best else ""
        defects = [words(f"blow_defect.{defect}") for defect in blow.defects] or [words("figure.loop.no-defect")]
        notes.append([f"{name}{stress} · {values}", *(line for text in defects for line in _wrapped(text))])
    return [*notes, [] if known else [words("figure.loop.no-reference")]]


def _wrapped(text: str) -> list[str]:
    """Lines that fit the legend. A Chinese character is as wide as high, a Latin one about half of it."""
    lines, width = [""], 0.0
    for piece in text.split(" "):
        for part in [piece] if piece.isascii() else list(piece):
            size = sum(_SMALL * (0.55 if c.isascii() else 1.0) for c in part)
            if width + size > _LEGEND_MM - 18 and lines[-1]:
                lines.append("")
                width = 0.0
            lines[-1] += part
            width += size
        lines[-1] += " "
        width += _SMALL * 0.3
    return [line.strip() for line in lines]


def _litres(value: float | None, words: Words) -> str:
    return f"{value:.2f} L" if value else words("figure.loop.not-measured")
