"""An ECG as its reader wants to see it: gain, speed, filter and where it begins; and what must be said with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from markupsafe import Markup

if TYPE_CHECKING:
    from zhenbao.model.observation import Observation
    from zhenbao.model.recording import Recording
    from zhenbao.words import Words

GAINS_MM_MV = (5, 10, 20)
SPEEDS_MM_S = (25, 50)
FILTERS = ("raw", "lowpass40")
_LOWPASS_HZ = 40.0
_ST_HIGHPASS_HZ = 0.05
"""AHA/ACC/HRS 2007 (doi 10.1161/CIRCULATIONAHA.106.180200): a higher corner distorts the ST segment."""
_PAGE_MM = 250


@dataclass(frozen=True, slots=True)
class View:
    """What was chosen."""

    gain_mm_mv: int = 10
    speed_mm_s: int = 25
    filter: Literal["raw", "lowpass40"] = "raw"
    start_s: int = 0


@dataclass(frozen=True, slots=True)
class Tracing:
    """One recording as it is shown."""

    id: UUID
    view: View
    svg: Markup
    """Empty: it cannot be drawn."""
    starts_s: tuple[int, ...]
    """Where the drawing can begin."""
    can_filter: bool
    cautions: tuple[str, ...]
    """What must be said of ST and of the filter; the first is always how it is shown."""


def view_of(chosen: Mapping[str, str]) -> View:
    """What a request asks for; what cannot be is shown as usual."""
    gain, speed, start = (_whole(chosen.get(name, "")) for name in ("gain", "speed", "start"))
    return View(
        gain_mm_mv=gain if gain in GAINS_MM_MV else 10,
        speed_mm_s=speed if speed in SPEEDS_MM_S else 25,
        filter="lowpass40" if chosen.get("filter") == "lowpass40" else "raw",
        start_s=max(0, min(start, 3600)),
    )


def tracing(reading: Observation, recording: Recording, view: View, words: Words) -> Tracing:
    """Draw a recording in mV; a bad one is said to be bad and hides nothing else."""
    can_filter = recording.fs_hz > 2 * _LOWPASS_HZ
    if view.filter == "lowpass40" and not can_filter:
        view = View(view.gain_mm_mv, view.speed_mm_s, "raw", view.start_s)
    try:
        svg, starts = _drawn(reading, recording, view, words), _starts(recording, view)
    except (ArithmeticError, LookupError, ValueError):
        svg, starts = Markup(""), (0,)
    return Tracing(recording.id, view, svg, starts, can_filter, _cautions(recording, view, words))


def _drawn(reading: Observation, recording: Recording, view: View, words: Words) -> Markup:
    from zhenbao.figures import ecg_paper
    from zhenbao.figures.compact import compact

    known = reading.ecg if reading.ecg is not None and reading.ecg.fs_hz == recording.fs_hz else None
    beats, classes = (known.beats, known.classes) if known else ((), ())
    if view.filter == "lowpass40":
        from zhenbao.signal.ecg.display_filter import lowpass_for_display

        recording = lowpass_for_display(recording, _LOWPASS_HZ)
    text = ecg_paper(
        recording,
        words=words,
        layout="3x4" if recording.kind == "ecg" else "strip",
        speed_mm_s=view.speed_mm_s,
        gain_mm_mv=view.gain_mm_mv,
        start_s=float(min(view.start_s, max(0, int(recording.duration_s) - 1))),
        beats=beats,
        classes=classes,
        spill=view.gain_mm_mv > 10,
    )
    # Made by our own drawing functions, which escape every text they are given.
    return Markup(compact(text[text.index("<svg") :]))  # noqa: S704


def _starts(recording: Recording, view: View) -> tuple[int, ...]:
    page_s = _PAGE_MM / view.speed_mm_s
    step = max(1, int(page_s / 2))
    return tuple(range(0, max(1, int(recording.duration_s - page_s) + step), step))[:60]


def _cautions(recording: Recording, view: View, words: Words) -> tuple[str, ...]:
    said = [words("hub.ecg.filtered") if view.filter == "lowpass40" else words("hub.ecg.as_recorded")]
    if recording.highpass_hz is None:
        said.append(words("hub.ecg.st_unknown"))
    elif recording.highpass_hz > _ST_HIGHPASS_HZ:
        said.append(words("hub.ecg.st_highpass", value=f"{recording.highpass_hz:g}"))
    return tuple(said)


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0
