"""A drawing in fewer bytes is the same drawing: every point, to the hundredth of a millimetre."""

from __future__ import annotations

import re
from itertools import accumulate
from uuid import uuid4

import numpy as np

from zhenbao.figures import ecg_paper
from zhenbao.figures.compact import compact
from zhenbao.model.ecg import LEADS
from zhenbao.model.recording import NO_VALUE, Recording
from zhenbao.words import Words

_PATH = re.compile(r'<path class="lead" data-lead="(\w+)" d="([^"]*)"')


def recording() -> Recording:
    rng = np.random.default_rng(3)
    samples = rng.normal(0, 120, (5000, 12)).round().astype("<i2")
    samples[700:900, 1] = NO_VALUE
    samples[902:1400, 1] = NO_VALUE
    samples[1500, 1] = NO_VALUE
    samples[1502, 1] = NO_VALUE
    return Recording(uuid4(), uuid4(), "ecg", 500.0, LEADS, "mV", 0.005, 0, samples.tobytes())


def absolute(data: str) -> list[list[tuple[int, int]]]:
    """The strokes of plain path data, in hundredths."""
    strokes = []
    for part in data.split("M")[1:]:
        numbers = [round(float(n) * 100) for n in re.findall(r"-?[\d.]+", part)]
        points = list(zip(numbers[::2], numbers[1::2], strict=True))
        if part.endswith("l0 0"):
            points[-1] = points[0]
        strokes.append(points)
    return strokes


def stepped(data: str) -> list[list[tuple[int, int]]]:
    """Read back as the SVG grammar says: numbers, of which a minus sign begins a new one."""
    strokes = []
    for part in data.split("M")[1:]:
        start, _, steps = part.partition("l")
        x, y = (int(n) for n in start.split())
        numbers = [int(n) for n in re.findall(r"-?\d+", steps)]
        moves = zip(numbers[::2], numbers[1::2], strict=True)
        strokes.append(list(accumulate(moves, lambda at, by: (at[0] + by[0], at[1] + by[1]), initial=(x, y))))
    return strokes


def test_no_point_moves() -> None:
    plain = ecg_paper(recording(), words=Words())
    small = compact(plain)
    before, after = _PATH.findall(plain), _PATH.findall(small)
    assert [lead for lead, _ in after] == [lead for lead, _ in before]
    assert len(before) == 13
    for (_, was), (_, now) in zip(before, after, strict=True):
        assert stepped(now) == absolute(was)
    assert small.count('transform="scale(.01)"') == 13
    assert small.count('stroke-width="30"') == 13


def test_it_is_worth_it() -> None:
    plain = ecg_paper(recording(), words=Words())
    assert len(compact(plain)) < 0.6 * len(plain)


def test_what_holds_no_trace_stays_as_it_is() -> None:
    assert compact("<svg><path d='M0 0'/></svg>") == "<svg><path d='M0 0'/></svg>"
