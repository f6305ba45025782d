"""The quality figures of a month's chest-pain cases: what is counted, of what, and what could not be judged. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zhenbao.hub.chest_pain.chain import Chain, between
from zhenbao.hub.chest_pain.table import table
from zhenbao.hub.chest_pain.targets import judge
from zhenbao.hub.indicators import quantile

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class CaseChain:
    """One case of the period."""

    chain: Chain
    opened: bool
    """Its channel was opened."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line, as ``hub.indicators.Indicator`` has it, and beside it how many could not be judged.

    Median and 90th percentile are in minutes, of the judged cases only. What cannot be computed is None, never 0.
    """

    key: str
    """A word of ``hub.cp.figure``, or of ``hub.cp.target``."""
    is_target: bool
    numerator: int
    denominator: int | None = None
    unknown: int | None = None
    """Cases to which it applies, without the times or the clocks to say."""
    median: float | None = None
    p90: float | None = None
    target_percent: float | None = None

    @property
    def percent(self) -> float | None:
        """The rate; None for a count, or where there is nothing to divide by."""
        return 100 * self.numerator / self.denominator if self.denominator else None


def compute(cases: Sequence[CaseChain], now_ms: int) -> list[Figure]:
    """All figures of some cases.

    Args:
        now_ms: by the hub's clock.
    """
    found = [
        Figure("cases", False, len(cases)),
        Figure("opened", False, sum(case.opened for case in cases), len(cases)),
        _transmitted(cases),
        _read(cases),
    ]
    judged = [each for case in cases for each in judge(case.chain, now_ms)]
    for target in table().targets:
        mine = [each for each in judged if each.target.key == target.key]
        known = [each for each in mine if each.known]
        minutes = sorted(each.interval.value_ms / MINUTE_MS for each in known if each.interval is not None)
        found.append(
            Figure(
                target.key,
                True,
                sum(each.verdict == "met" for each in known),
                len(known),
                len(mine) - len(known),
                quantile(minutes, 0.5),
                quantile(minutes, 0.9),
                target.percent,
            )
        )
    return found


def _transmitted(cases: Sequence[CaseChain]) -> Figure:
    """Of those whose arrival at a hospital is known: the ECG was at the hub before."""
    met = known = unknown = 0
    for case in cases:
        doors = [case.chain[name][0] for name in ("door-in", "pci-door-in") if name in case.chain]
        if not doors:
            unknown += 1
            continue
        if (received := case.chain.get("hub-received")) is None:
            known += 1
            continue
        interval = between(received[0], min(doors, key=lambda stamp: stamp.hub_ms))
        if interval.error_ms is None or abs(interval.value_ms) <= interval.error_ms:
            unknown += 1
            continue
        known += 1
        met += interval.value_ms > 0
    return Figure("transmitted", False, met, known, unknown, target_percent=table().transmitted_percent)


def _read(cases: Sequence[CaseChain]) -> Figure:
    """Of those to whom something was delivered."""
    delivered = [case for case in cases if "delivered" in case.chain]
    return Figure("advised-read", False, sum("village-read" in c.chain for c in delivered), len(delivered))
