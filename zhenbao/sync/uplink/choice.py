"""Which of several roads is used: the preferred one on which the hub answers, without flapping."""

from __future__ import annotations

from dataclasses import dataclass, replace

from zhenbao.sync.uplink.policy import Policy, policy
from zhenbao.sync.uplink.state import Miss, Outcome, Uplink


@dataclass(frozen=True, slots=True)
class Road:
    """One road, and how the hub has answered on it."""

    uplink: Uplink
    streak: int = 0
    """Answers in a row; negative: misses in a row; 0: not asked yet."""
    streak_since_s: float = 0.0
    """When the first of them came, by the monotonic clock."""
    round_trip_s: float | None = None
    """Of the last answer."""
    miss: Miss | None = None
    """Why the last question was not answered; None after an answer."""

    @property
    def name(self) -> str:
        """What tells it from the others while they exist."""
        return self.uplink.interface or self.uplink.kind.value

    @property
    def answered(self) -> bool | None:
        return None if self.streak == 0 else self.streak > 0

    @property
    def usable(self) -> bool:
        """May be tried; None, nobody knows, may."""
        return self.uplink.up is not False


@dataclass(frozen=True, slots=True)
class Choice:
    """The road in use, by name; None: none. ``since_s`` by the monotonic clock."""

    name: str | None = None
    since_s: float = 0.0


def asked(road: Road, outcome: Outcome, now_s: float) -> Road:
    """The road after a probe."""
    answered = outcome.round_trip_s is not None
    goes_on = road.streak != 0 and (road.streak > 0) is answered
    step = 1 if answered else -1
    return replace(
        road,
        streak=road.streak + step if goes_on else step,
        streak_since_s=road.streak_since_s if goes_on else now_s,
        round_trip_s=outcome.round_trip_s if answered else road.round_trip_s,
        miss=outcome.miss,
    )


def choose(before: Choice, roads: tuple[Road, ...], now_s: float, table: Policy | None = None) -> Choice:
    """The road to use from now on.

    Where none is in use, the preferred one that has answered; failing that the preferred one that may be tried, so that
    what is critical has a way. One that has worked is left at once when it is gone, after several misses in a row, or
    for a preferred one that has answered several times over a while.
    """
    table = table or policy()
    usable = sorted((road for road in roads if road.usable), key=lambda road: table.prefer.index(road.uplink.kind))
    answered = [road for road in usable if road.answered]
    current = next((road for road in usable if road.name == before.name), None)
    if current is None or not answered:
        stays = current if current is not None and not answered else None
        best = stays or next(iter(answered or usable), None)
    elif current.streak <= -table.misses_to_drop or current.answered is None:
        best = answered[0]
    else:
        best = next((road for road in answered if _takes_over(road, current, now_s, table)), current)
    name = best.name if best else None
    return before if name == before.name else Choice(name, now_s)


def _takes_over(road: Road, current: Road, now_s: float, table: Policy) -> bool:
    better = table.prefer.index(road.uplink.kind) < table.prefer.index(current.uplink.kind)
    proved = road.streak >= table.answers_to_take_over and now_s - road.streak_since_s >= table.settle_s
    return better and proved
