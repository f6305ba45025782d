"""The indicators of a period: numerators and denominators, and a rate where there is something to divide by. Pure."""

from __future__ import annotations

import functools
import math
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from uuid import UUID

from zhenbao.hub.care_indicators import Care, counts
from zhenbao.hub.clocks import LOOP_STEPS
from zhenbao.model.finding import Urgency
from zhenbao.model.referral import ReferralState

MINUTE_MS = 60_000
CHEST_PAIN_ECG_MIN = 10
_ARRIVED: tuple[ReferralState, ...] = ("arrived", "treating", "returned", "village-received", "followed-up")
_RETURNED: tuple[ReferralState, ...] = ("returned", "village-received", "followed-up")


@dataclass(frozen=True, slots=True)
class Visit:
    """One encounter. ``person`` is the same for all ids of one person."""

    id: UUID
    person: UUID
    started_ms: int
    chest_pain: bool
    first_ecg_ms: int | None


@dataclass(frozen=True, slots=True)
class Reading:
    """One observation."""

    code: str
    urgency: Urgency
    acceptable: bool | None
    """Of an ECG: its quality; None for others."""
    effective_ms: int
    """By the hub's clock, as far as it knows how wrong the kit's was."""
    received_ms: int


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """One case. Due times are None where its urgency has no clock."""

    urgency: Urgency
    ranked_ms: int
    ack_due_ms: int | None
    report_due_ms: int | None
    acknowledged_ms: int | None
    reported_ms: int | None
    read: bool
    loop: tuple[str, ...]
    judged: Urgency | None
    """The specialist's own urgency in the newest report."""


@dataclass(frozen=True, slots=True)
class ReferralFacts:
    """One referral up."""

    person: UUID
    state: ReferralState
    states: tuple[ReferralState, ...]
    """All it has been in."""


@dataclass(frozen=True, slots=True)
class Indicator:
    """One figure of a period.

    A count has only a numerator; a rate both; times have a median and a 90th percentile, in minutes, of ``numerator``
    cases. What cannot be computed is None, never 0.
    """

    key: str
    unit: str
    numerator: int
    denominator: int | None = None
    median: float | None = None
    p90: float | None = None
    target_percent: float | None = None

    @property
    def percent(self) -> float | None:
        """The rate; None for a count, or where there is nothing to divide by."""
        return 100 * self.numerator / self.denominator if self.denominator else None


@functools.cache
def definitions() -> dict[str, dict[str, object]]:
    """The table, in the order in which it is printed."""
    return tomllib.loads(files("zhenbao.hub").joinpath("indicators.toml").read_text(encoding="utf-8"))


def compute(
    visits: Sequence[Visit],
    readings: Sequence[Reading],
    cases: Sequence[CaseFacts],
    referrals: Sequence[ReferralFacts],
    *,
    kits_active: int,
    kits: int,
    care: Care,
    now_ms: int,
) -> list[Indicator]:
    """All indicators of what is given.

    Args:
        visits: that began in the period.
        readings: that the hub received in the period.
        cases: that were opened in the period.
        referrals: that were sent in the period.
        kits_active: kits that delivered something in the period.
        kits: kits that have a place in the tree.
        care: chronic care, recognised results and second readings of the period.
        now_ms: a clock that still runs and is not yet over its time counts nowhere.
    """
    ecgs = [r for r in readings if r.code == "ecg"]
    sent = [r for r in referrals if "sent" in r.states]
    up = {r.person for r in sent}
    back = {r.person for r in sent if set(r.states) & set(_RETURNED)}
    pain = [v for v in visits if v.chest_pain]
    red = [c for c in cases if c.urgency is Urgency.RED]
    reported = [c for c in cases if c.reported_ms is not None]
    judged = [c for c in reported if c.judged is not None]
    found: dict[str, tuple[int, int | None] | list[float]] = {
        "visits": (len(visits), None),
        "ecg-count": (len(ecgs), None),
        "ecg-acceptable": (sum(r.acceptable is True for r in ecgs), len(ecgs)),
        "ecg-positive": (sum(r.urgency is not Urgency.GREEN for r in ecgs), len(ecgs)),
        "ecg-critical": (sum(r.urgency is Urgency.RED for r in ecgs), None),
        "ack-on-time": _on_time(((c.ack_due_ms, c.acknowledged_ms) for c in cases), now_ms),
        "report-on-time": _on_time(((c.report_due_ms, c.reported_ms) for c in cases), now_ms),
        "ack-minutes": [(c.acknowledged_ms - c.ranked_ms) / MINUTE_MS for c in cases if c.acknowledged_ms is not None],
        "report-minutes": [(c.reported_ms - c.ranked_ms) / MINUTE_MS for c in reported if c.reported_ms is not None],
        "transfer-minutes": [(r.received_ms - r.effective_ms) / MINUTE_MS for r in readings],
        "chest-pain-ecg-on-time": (sum(_ecg_in_time(v) for v in pain), len(pain)),
        "loop-closed": (sum(set(LOOP_STEPS[1:]) <= set(c.loop) for c in red), len(red)),
        "report-read": (sum(c.read for c in reported), len(reported)),
        "referred-up": (len(up), None),
        "returned": (len(back), None),
        "return-rate": (len(back), len(up)),
        "arrival-rate": (sum(bool(set(r.states) & set(_ARRIVED)) for r in sent), len(sent)),
        "referral-rate": (len(sent), len(visits)),
        "hint-agreement": (sum(c.judged is c.urgency for c in judged), len(judged)),
        "hint-sensitivity": _share(judged, lambda c: _acts(c.judged), lambda c: _acts(c.urgency)),
        "hint-specificity": _share(judged, lambda c: not _acts(c.judged), lambda c: not _acts(c.urgency)),
        "kits-active": (kits_active, kits),
        **counts(care),
    }
    return [_indicator(key, definition, found[key]) for key, definition in definitions().items()]


def _indicator(key: str, definition: dict[str, object], found: tuple[int, int | None] | list[float]) -> Indicator:
    target = definition.get("target_percent")
    unit, percent = str(definition["unit"]), float(target) if isinstance(target, int | float) else None
    if isinstance(found, list):
        times = sorted(found)
        return Indicator(key, unit, len(times), None, quantile(times, 0.5), quantile(times, 0.9), percent)
    return Indicator(key, unit, *found, target_percent=percent)


def _on_time(pairs: Iterable[tuple[int | None, int | None]], now_ms: int) -> tuple[int, int]:
    """Met, of those whose outcome is known: what still runs within its time is neither."""
    met = missed = 0
    for due_ms, done_ms in pairs:
        if due_ms is None:
            continue
        if done_ms is not None and done_ms <= due_ms:
            met += 1
        elif done_ms is not None or now_ms > due_ms:
            missed += 1
    return met, met + missed


def _ecg_in_time(visit: Visit) -> bool:
    return (
        visit.first_ecg_ms is not None and 0 <= visit.first_ecg_ms - visit.started_ms <= CHEST_PAIN_ECG_MIN * MINUTE_MS
    )


def _share(
    cases: Sequence[CaseFacts], of: Callable[[CaseFacts], bool], among: Callable[[CaseFacts], bool]
) -> tuple[int, int]:
    wanted = [case for case in cases if of(case)]
    return sum(1 for case in wanted if among(case)), len(wanted)


def _acts(urgency: Urgency | None) -> bool:
    """Whether somebody has to do something soon: YELLOW or more."""
    return urgency is not None and urgency.rank <= Urgency.YELLOW.rank


def quantile(ordered: Sequence[float], q: float) -> float | None:
    """The nearest-rank quantile; None of nothing."""
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)] if ordered else None
