"""The table ``live.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from zhenbao.sync.uplink.policy import Decision, Row, Situation, decide_row


@dataclass(frozen=True, slots=True)
class LiveRules:
    """The whole table."""

    road: Row
    chunk_s: float
    rate_hz: int
    leads: tuple[str, ...]
    answered_s: float
    """So soon a chunk must be acknowledged by the road."""
    rest_s: float
    most_s: float
    silent_s: float
    look_again_s: float
    most_watchers: int


@cache
def live_rules() -> LiveRules:
    """The table that comes with the program.

    Raises:
        KeyError, TypeError: it is not such a table.
    """
    raw: dict[str, Any] = tomllib.loads(files("zhenbao.sync.live").joinpath("live.toml").read_text("utf-8"))
    pace, hold, watch = raw["pace"], raw["hold"], raw["watch"]
    return LiveRules(
        Row(**raw["road"]),
        pace["chunk_s"],
        pace["rate_hz"],
        tuple(pace["leads"]),
        hold["answered_s"],
        hold["rest_s"],
        watch["most_s"],
        watch["silent_s"],
        watch["look_again_s"],
        watch["most_watchers"],
    )


def may_run(now: Situation) -> Decision:
    """Whether a trace may go over the road that there is now. A doctor's wish does not make a bad road good."""
    return decide_row(live_rules().road, now)
