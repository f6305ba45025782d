"""The drawings of a reading, as inline SVG."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zhenbao.model.bp_series import Bp24Recording
    from zhenbao.model.observation import Observation
    from zhenbao.model.recording import Recording
    from zhenbao.model.spirometry import SpirometryAnalysis
    from zhenbao.words import Words


def draw(reading: Observation, recordings: Sequence[Recording], words: Words) -> list[Markup]:
    """Both loops for spirometry, the course of 24 h blood pressure; nothing for what has no such curves, or none that
    arrived (for an ECG: ``ecg_view``).

    An empty drawing stands for a recording that cannot be drawn: one bad recording must not hide a case.
    """
    drawings = []
    if reading.spirometry is not None:
        drawings += _or_empty(partial(_loops, reading, reading.spirometry, recordings, words))
    if reading.bp24 is not None:
        drawings += _or_empty(partial(_course, reading.bp24, words))
    return drawings


def _or_empty(make: Callable[[], list[Markup]]) -> list[Markup]:
    try:
        return make()
    except (ArithmeticError, LookupError, ValueError):
        return [Markup("")]


def _course(recording: Bp24Recording, words: Words) -> list[Markup]:
    from zhenbao.figures.bp_course import bp_course, course_of

    points, nights, limits = course_of(recording)
    return [_svg(bp_course(points, nights, limits, words=words))]


def _loops(
    reading: Observation, test: SpirometryAnalysis, recordings: Sequence[Recording], words: Words
) -> list[Markup]:
    """Each blow beside its own recording; blows whose recording is still on its way are left out."""
    from zhenbao.figures import flow_volume_loop, volume_time

    if len(reading.recordings) != len(test.blows):
        return []
    arrived = {recording.id: recording for recording in recordings if recording.kind == "flow"}
    pairs = [
        (number, blow, arrived[id_])
        for number, (blow, id_) in enumerate(zip(test.blows, reading.recordings, strict=True))
        if id_ in arrived
    ]
    if not pairs:
        return []
    btps = float(reading.context.get("btps_factor", "1"))
    curves = [_curve(recording, btps) for _, _, recording in pairs]
    blows = [blow for _, blow, _ in pairs]
    best = next((place for place, (number, _, _) in enumerate(pairs) if number == test.session.best_blow), None)
    return [
        _svg(flow_volume_loop(curves, blows, words=words, best=best, references=test.references)),
        _svg(volume_time(curves, blows, words=words, best=best, references=test.references)),
    ]


def blow_curves(reading: Observation, recordings: Sequence[Recording]) -> list[tuple[list[float], list[float]]]:
    """Times in s and flow in L/s, BTPS, of each blow in order; none where a blow's recording has not arrived."""
    arrived = {recording.id: recording for recording in recordings if recording.kind == "flow"}
    if any(id_ not in arrived for id_ in reading.recordings):
        return []
    btps = float(reading.context.get("btps_factor", "1"))
    return [_curve(arrived[id_], btps) for id_ in reading.recordings]


def _curve(recording: Recording, btps: float) -> tuple[list[float], list[float]]:
    """Times in s and flow in L/s, BTPS."""
    flow = (recording.values()[0] * btps).tolist()
    return [sample / recording.fs_hz for sample in range(len(flow))], flow


def _svg(text: str) -> Markup:
    # Made by our own drawing functions, which escape every text they are given.
    return Markup(text[text.index("<svg") :])  # noqa: S704
