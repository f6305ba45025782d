"""What to call to the patient while the blow runs, by the same analysis that judges it afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from zhenbao.model.spirometry import NO_BLOW
from zhenbao.signal.spirometry.blow import analyse_blow
from zhenbao.signal.spirometry.tables import settings

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from zhenbao.model.spirometry import Blow

Call = Literal["ready", "inhale", "blast", "harder", "keep-going", "stop", "again"]
"""Keys of the ``spirometry_call`` words."""

_BREATH_IN_L_S = 0.2
_BREATHED_IN_L = 0.2
"""So much taken in again after the largest volume: the blow is over."""
_LOOK_S = 0.3
_BLAST_S = 1.0
_SPOILED = ("cough-first-second", "double-effort", "glottic-closure-first-second", "obstructed")
"""Seen while it runs, these spoil the blow: whoever stops now is spared the rest of it."""


@dataclass(frozen=True, slots=True)
class Coaching:
    """The state of a blow that is under way."""

    call: Call
    volume_l: float
    """Exhaled since the fullest lungs."""
    seconds: float
    """Since time zero; 0 before it."""
    pef_l_s: float
    last_second_l: float | None
    """Exhaled in the last second; None in the first."""
    defect: str | None = None
    """What has gone wrong so far, a key of the ``blow_defect`` words."""


class BlowCoach:
    """Takes the flow as it arrives and says what to call out.

    Args:
        age_years: of the patient; up to six years other limits hold.
    """

    def __init__(self, *, age_years: float | None = None) -> None:
        self._age = age_years
        self._time: NDArray[np.float64] = np.empty(0)
        self._flow: NDArray[np.float64] = np.empty(0)
        self.blow: Blow | None = None
        """The blow as far as it has come; None before it."""

    @property
    def curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Time in s and flow in L/s of all that has arrived."""
        return self._time, self._flow

    def add(self, time_s: ArrayLike, flow_l_s: ArrayLike) -> None:
        """Add samples (``[n]`` s, ``[n]`` L/s BTPS, expiration positive, NaN where lost)."""
        self._time = np.concatenate([self._time, np.asarray(time_s, np.float64).ravel()])
        self._flow = np.concatenate([self._flow, np.asarray(flow_l_s, np.float64).ravel()])

    def push(self, time_s: ArrayLike, flow_l_s: ArrayLike) -> Coaching:
        """Add samples, and say what is to be called now."""
        self.add(time_s, flow_l_s)
        known = np.isfinite(self._flow)
        time, flow = self._time[known], self._flow[known]
        if len(time) < 2:
            return Coaching("ready", 0.0, 0.0, 0.0, None)
        now = float(time[-1])
        recent = float(flow[time > now - _LOOK_S].mean())
        blow = analyse_blow(time, flow_l_s=flow, age_years=self._age)
        if NO_BLOW in blow.defects:
            self.blow = None
            return Coaching("inhale" if recent < -_BREATH_IN_L_S else "ready", 0.0, 0.0, 0.0, None)
        self.blow = blow
        seconds = max(0.0, now - blow.t0_s)
        exhaled = np.concatenate([[0.0], np.cumsum(np.diff(time) * (flow[1:] + flow[:-1]) / 2)])
        most = float(exhaled[time >= blow.t0_s].max(initial=exhaled[-1]))
        late = float(most - np.interp(now - 1.0, time, exhaled)) if seconds >= 1.0 else None
        breathed_in = most - float(exhaled[-1]) > _BREATHED_IN_L or recent < -_BREATH_IN_L_S
        spoiled = next((name for name in blow.defects if name in _SPOILED), None)
        wrong = spoiled or ("slow-start" if "slow-start" in blow.defects else None)
        return Coaching(
            self._call(breathed_in, seconds, late, spoiled, wrong), blow.fvc_l, seconds, blow.pef_l_s, late, wrong
        )

    def _call(
        self, breathed_in: bool, seconds: float, late: float | None, spoiled: str | None, wrong: str | None
    ) -> Call:
        rule = settings("quality")["end_of_expiration"]
        if breathed_in:
            return "again" if wrong else "stop"
        if spoiled:
            return "again"
        if late is not None and (late <= rule["plateau_l"] or seconds >= rule["long_enough_s"]):
            return "again" if wrong else "stop"
        if seconds < _BLAST_S:
            return "harder" if wrong else "blast"
        return "keep-going"
