"""Which seconds of a recording stand on the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zhenbao.model.ecg import EcgAnalysis
    from zhenbao.model.recording import Recording

PAGE_S = 10.0


def start_s(recording: Recording, analysis: EcgAnalysis) -> float:
    """Where the ten seconds begin that show most of what was found.

    Whole seconds only. First come beats of the most urgent finding that rests on some of the beats but not on all, then
    beats that are no usual ones, then seconds with usable signal; the earliest of equals.
    """
    last = int(recording.duration_s - PAGE_S + 1e-6)
    if last <= 0:
        return 0.0
    fs_hz = analysis.fs_hz
    telling: frozenset[int] = frozenset()
    for finding in sorted(analysis.findings, key=lambda f: f.urgency.rank):
        if finding.status == "present" and 0 < len(finding.beats) < len(analysis.beats):
            telling = frozenset(finding.beats)
            break
    odd = [beat for beat, kind in zip(analysis.beats, analysis.classes, strict=True) if kind not in ("N", "?")]

    def worth(second: int) -> tuple[int, int, float]:
        begin, end = second * fs_hz, (second + PAGE_S) * fs_hz
        usable = sum(
            max(0.0, min(stop, end) - max(start, begin))
            for stretches in analysis.quality.usable.values()
            for start, stop in stretches
        )
        return sum(begin <= b < end for b in telling), sum(begin <= b < end for b in odd), usable

    return float(max(range(last + 1), key=lambda second: (worth(second), -second)))
