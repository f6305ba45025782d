"""The pressure in the cuff, shown while it measures; and pressures in mmHg, whatever the cuff sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zhenbao.agent.kit import Kit
    from zhenbao.drivers.bp.codec import CuffPressure
    from zhenbao.model.quantity import Quantity

_MMHG_PER_KPA = 1 / 0.133322  # rule BP36
_BAR = 20
_FULL_MMHG = 300.0
"""The bar is full here; no more than a length on the screen."""


def mmhg(pressure: Quantity | None) -> float | None:
    """A pressure in mmHg; from kPa to a tenth."""
    if pressure is None:
        return None
    return pressure.value if pressure.unit == "mm[Hg]" else round(pressure.value * _MMHG_PER_KPA, 1)


class LivePressure:
    """Keeps one line of the screen up to date while a cuff that tells its pressure inflates. Never a result."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._told = False

    def hear(self, sent: CuffPressure) -> None:
        """One pressure from the cuff; one without a number changes nothing."""
        value = mmhg(sent.pressure)
        if value is None:
            return
        screen = self._kit.screen
        bar = "█" * round(_BAR * min(max(value / _FULL_MMHG, 0.0), 1.0))
        screen.live(screen.words("agent.cuff_live", pressure=value, bar=bar), lasting=self._first())
        screen.event("cuff-pressure", pressure_mmhg=value)

    def _first(self) -> str:
        """Where lines cannot be overwritten, that it measures is said once."""
        if self._told:
            return ""
        self._told = True
        return self._kit.screen.words("agent.cuff_measuring")
