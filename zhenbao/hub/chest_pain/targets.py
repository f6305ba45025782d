"""Whether each target of the chest-pain channel was met, as far as the clocks allow to say. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from zhenbao.hub.chest_pain.chain import Chain, Interval, Stamp, between
from zhenbao.hub.chest_pain.table import Target, table
from zhenbao.model.chest_pain import Milestone

Verdict = Literal["met", "missed", "unsure", "order", "running", "overdue", "unknown"]
"""``unsure``: the clocks may be too far apart to say; ``order``: the end lies before the begin, somebody must look;
``running``: begun, within its time; ``overdue``: begun, its time is over, and no end is known; ``unknown``: nobody
knows when it began."""
_JUDGED: tuple[Verdict, ...] = ("met", "missed")
_ON_THE_WAY: tuple[Milestone, ...] = (
    "transfer-decided",
    "ambulance-arrived",
    "ambulance-left",
    "door-in",
    "door-out",
    "pci-door-in",
    "wire",
)


@dataclass(frozen=True, slots=True)
class Judged:
    """One target of one case."""

    target: Target
    verdict: Verdict
    start: Stamp | None
    end: Stamp | None
    interval: Interval | None

    @property
    def known(self) -> bool:
        """Whether it counts below the line."""
        return self.verdict in _JUDGED


def judge(chain: Chain, now_ms: int, targets: Sequence[Target] | None = None) -> list[Judged]:
    """Every target that applies to a case.

    Args:
        now_ms: by the hub's clock: what still runs is neither met nor missed.
    """
    return [_judge(target, chain, now_ms) for target in targets or table().targets if applies(target, chain)]


def applies(target: Target, chain: Chain) -> bool:
    """Whether a target says anything about a case, by the instants that are known of it."""
    if (target.unless is not None and target.unless in chain) or (
        target.only_with is not None and target.only_with not in chain
    ):
        return False
    begun = any(name in chain for name in target.starts)
    ended = any(name in chain for name in target.ends)
    match target.applies:
        case "all":
            return True
        case "transferred":
            return any(name in chain for name in _ON_THE_WAY)
        case "either":
            return begun or ended
        case "either-end":
            return ended


def _judge(target: Target, chain: Chain, now_ms: int) -> Judged:
    start, end = _first(chain, target.starts), _first(chain, target.ends)
    if start is None or end is None:
        verdict: Verdict = "unknown"
        if start is not None and start.error_ms is not None:
            over_ms = now_ms - start.hub_ms - target.limit_ms
            verdict = "running" if over_ms <= 0 else "overdue"
        return Judged(target, verdict, start, end, None)
    interval = between(start, end)
    return Judged(target, _verdict(target, interval), start, end, interval)


def _verdict(target: Target, interval: Interval) -> Verdict:
    if interval.error_ms is None:
        return "unsure"
    least_ms, most_ms = interval.value_ms - interval.error_ms, interval.value_ms + interval.error_ms
    if most_ms < 0:
        return "order"
    limit_ms = target.limit_ms - 1 if target.strict else target.limit_ms
    if most_ms <= limit_ms:
        return "met"
    return "missed" if least_ms > limit_ms else "unsure"


def _first(chain: Chain, names: Sequence[Milestone]) -> Stamp | None:
    found = [chain[name][0] for name in names if name in chain]
    return min(found, key=lambda stamp: stamp.hub_ms, default=None)
