"""What the doctor sees and calls out while the patient blows: the flow-volume curve, in characters, and one line."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from zhenbao.drivers.frontend.messages import FlowSamples, StreamHead
from zhenbao.model.spirometry import NO_BLOW

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from zhenbao.agent.kit import Kit
    from zhenbao.agent.measure.front_end import Event
    from zhenbao.model.spirometry import Blow

_EVERY_S = 0.25
_BAR = 20
_CHILD_YEARS = 12
_COLUMNS, _ROWS = 36, 10
_MOST_L, _LEAST_L_S = 5.0, -6.0
_EVEN_L_S = 2.0
"""The flow axis ends at a multiple of this."""


class LiveBlow:
    """Listens to the sensor and keeps the curve and the call up to date.

    Args:
        to_btps: the factor for what the head says of the sensor.
        age_years: children see candles go out instead of a bar.
        predicted_fvc_l: where it is known, the bar is full at it.
    """

    def __init__(
        self,
        kit: Kit,
        to_btps: Callable[[StreamHead], float],
        *,
        age_years: float | None,
        predicted_fvc_l: float | None,
    ) -> None:
        from zhenbao.signal.spirometry.coach import BlowCoach

        self._kit, self._to_btps = kit, to_btps
        self._coach = BlowCoach(age_years=age_years)
        self._child = age_years is not None and age_years < _CHILD_YEARS
        self._predicted_fvc_l = predicted_fvc_l
        self._head: StreamHead | None = None
        self._waiting: list[FlowSamples] = []
        self._waiting_samples = 0
        self._called = ""

    def hear(self, event: Event) -> None:
        """One event of the recording."""
        if isinstance(event, StreamHead):
            self._head = event
        elif isinstance(event, FlowSamples) and self._head is not None:
            self._waiting.append(event)
            self._waiting_samples += event.n_samples
            if self._waiting_samples >= _EVERY_S * self._head.fs_hz:
                self._show(self._head)

    def _show(self, head: StreamHead) -> None:
        scale = head.lsb * self._to_btps(head)
        for piece in self._waiting[:-1]:
            self._coach.add(*_flow(piece, head.fs_hz, scale))
        told = self._coach.push(*_flow(self._waiting[-1], head.fs_hz, scale))
        self._waiting.clear()
        self._waiting_samples = 0
        screen, words = self._kit.screen, self._kit.screen.words
        call = words(f"spirometry_call.{told.call}")
        changed, self._called = told.call != self._called, told.call
        if changed:
            screen.event("coach", call=told.call, seconds=told.seconds, volume_l=told.volume_l, defect=told.defect)
        line = words(
            "agent.blow_live", call=call, seconds=told.seconds, volume=told.volume_l, bar=self._bar(told.volume_l)
        )
        # Drawing would be in vain where nobody sees it.
        curve = self._curve(self._coach.blow) if screen.draws else []
        screen.live([*curve, line], lasting=call if changed else "")

    def _bar(self, volume_l: float) -> str:
        from zhenbao.figures.terminal import bar, candles

        if not self._predicted_fvc_l:
            return ""
        share = volume_l / self._predicted_fvc_l
        return candles(share, 10) if self._child else bar(share, _BAR)

    def finish(self, blow: Blow) -> None:
        """The curve of the finished blow stays on the screen."""
        if NO_BLOW not in blow.defects:
            curve = self._curve(blow)
            self._kit.screen.live(curve, lasting="\n".join(curve))

    def _curve(self, blow: Blow | None) -> list[str]:
        """Flow over volume, line by line; only the axis before there is a blow."""
        from zhenbao.figures.aligned import align
        from zhenbao.figures.terminal import plot

        pef_l_s, fvc_l = (0.0, 0.0) if blow is None else (blow.pef_l_s, blow.fvc_l)
        top = _EVEN_L_S * math.ceil(max(pef_l_s, -_LEAST_L_S) / _EVEN_L_S)
        times, flows = self._coach.curve
        aligned = align((times.tolist(), flows.tolist()), blow).points if blow is not None else ()
        points = [p for p in aligned if p is not None]
        lines = plot(
            [p[1] for p in points],
            [p[2] for p in points],
            columns=_COLUMNS,
            rows=_ROWS,
            x_most=max(_MOST_L, fvc_l),
            y_least=_LEAST_L_S,
            y_most=top,
        )
        zero = round((_ROWS - 1) * top / (top - _LEAST_L_S))
        return [("0 ┼" if i == zero else "  │") + line for i, line in enumerate(lines)]


def _flow(piece: FlowSamples, fs_hz: int, scale: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Time in s and flow in L/s; NaN where the sensor had no value."""
    import numpy as np

    from zhenbao.model.recording import NO_VALUE

    raw = np.frombuffer(piece.samples, "<i2").astype(np.float64)
    times = (piece.first_sample + np.arange(len(raw))) / fs_hz
    return times, np.where(raw == NO_VALUE, np.nan, raw * scale)
