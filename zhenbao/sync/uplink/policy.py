"""What may go over which road, at which signal, at which cost: ``policy.toml``, and the function that applies it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import time
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from zhenbao.sync.envelope import Lane
from zhenbao.sync.uplink.state import Kind, Reach, Registration, Signal, Uplink

BYTES_OF_MB = 1_000_000


class Reason(StrEnum):
    """Why something goes or waits; each has words (``uplink.reason``)."""

    CRITICAL = "critical"
    WISH = "wish"
    """The doctor said: now."""
    NIGHT = "night"
    OPEN = "open"
    NO_ROAD = "no-road"
    NOT_ASKED = "not-asked"
    """There is a road, and the hub has not been asked on it yet."""
    NO_ANSWER = "no-answer"
    PORTAL = "portal"
    """Something else answered: a page that wants a login."""
    WEAK_SIGNAL = "weak-signal"
    ABROAD = "abroad"
    METERED = "metered"
    BUDGET = "budget"


@dataclass(frozen=True, slots=True)
class Row:
    """One lane's row of ``policy.toml``."""

    reason: str
    always: bool = False
    unanswered: bool = False
    """May be tried where the hub has not answered a probe."""
    metered: bool = False
    """May go where bytes cost."""
    night: bool = False
    """May go there at night, even so."""
    abroad: bool = False
    weakest_rsrp_dbm: float | None = None
    weakest_sinr_db: float | None = None
    most_of_budget: float | None = None
    """It waits once this share of the month's budget is used; None: it never waits for that."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The whole table."""

    lanes: dict[Lane, Row]
    unknown_is_metered: frozenset[Kind]
    home_mcc: frozenset[str]
    monthly_bytes: int
    night: tuple[time, time]
    strengths: tuple[tuple[str, float], ...]
    """Word and lowest RSRP in dBm, the strongest first."""
    prefer: tuple[Kind, ...]
    answers_to_take_over: int
    settle_s: float
    misses_to_drop: int
    probe_timeout_s: float
    probe_first_retry_s: float
    probe_last_retry_s: float
    probe_answered_s: float
    probe_jitter: float
    look_s: float


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a decision depends on."""

    uplink: Uplink | None
    """The road; None: there is none."""
    answered: bool | None
    """Whether the hub answered the last probe on it; None: it was not asked."""
    budget_used: float = 0.0
    """Share of the month's budget that paid roads have used."""
    local_time: time = time(12)


@dataclass(frozen=True, slots=True)
class Decision:
    allowed: bool
    reason: Reason


@cache
def policy() -> Policy:
    """The table that comes with the program."""
    return parse(files("zhenbao.sync.uplink").joinpath("policy.toml").read_text("utf-8"))


def parse(text: str) -> Policy:
    """A table from its TOML.

    Raises:
        KeyError, TypeError, ValueError: it is not such a table.
    """
    table: dict[str, Any] = tomllib.loads(text)
    choice, probe, signal = table["choice"], table["probe"], table["signal"]
    return Policy(
        lanes={lane: Row(**table["lane"][lane.name.lower()]) for lane in Lane},
        unknown_is_metered=frozenset(Kind(kind) for kind in table["cost"]["unknown_is_metered"]),
        home_mcc=frozenset(table["home"]["mcc"]),
        monthly_bytes=table["budget"]["monthly_mb"] * BYTES_OF_MB,
        night=(time.fromisoformat(table["night"]["from"]), time.fromisoformat(table["night"]["until"])),
        strengths=tuple((word, float(signal[f"{word}_rsrp_dbm"])) for word in ("strong", "fair", "weak")),
        prefer=tuple(Kind(kind) for kind in table["prefer"]["kinds"]),
        answers_to_take_over=choice["answers_to_take_over"],
        settle_s=choice["settle_s"],
        misses_to_drop=choice["misses_to_drop"],
        probe_timeout_s=probe["timeout_s"],
        probe_first_retry_s=probe["first_retry_s"],
        probe_last_retry_s=probe["last_retry_s"],
        probe_answered_s=probe["answered_s"],
        probe_jitter=probe["jitter"],
        look_s=table["look"]["every_s"],
    )


def decide(
    lane: Lane, now: Situation, *, critical_case: bool = False, wish: bool = False, table: Policy | None = None
) -> Decision:
    """Whether something of a lane may go now, and why.

    Args:
        critical_case: it belongs to a critical case, whatever its lane.
        wish: the doctor wants it sent now, whatever it costs.
        table: None: the one that comes with the program.
    """
    table = table or policy()
    return decide_row(table.lanes[lane], now, critical_case=critical_case, wish=wish, table=table)


def decide_row(
    row: Row, now: Situation, *, critical_case: bool = False, wish: bool = False, table: Policy | None = None
) -> Decision:
    """The same for any row of limits (a running trace has one of its own)."""
    table = table or policy()
    uplink = now.uplink
    if uplink is None or uplink.up is False:
        return Decision(False, Reason.NO_ROAD)
    if row.always or critical_case:
        return Decision(True, Reason.CRITICAL)
    if wish:
        return Decision(True, Reason.WISH)
    if now.answered is not True and not row.unanswered:
        portal = uplink.reach is Reach.PORTAL
        return Decision(
            False, Reason.PORTAL if portal else Reason.NOT_ASKED if now.answered is None else Reason.NO_ANSWER
        )
    if _below(uplink.signal, row):
        return Decision(False, Reason.WEAK_SIGNAL)
    if not row.abroad and is_abroad(uplink, table):
        return Decision(False, Reason.ABROAD)
    costs = is_metered(uplink, table)
    at_night = costs and not row.metered
    if at_night and not (row.night and _within(now.local_time, *table.night)):
        return Decision(False, Reason.METERED)
    if costs and row.most_of_budget is not None and now.budget_used >= row.most_of_budget:
        return Decision(False, Reason.BUDGET)
    return Decision(True, Reason.NIGHT if at_night else Reason.OPEN)


def is_metered(uplink: Uplink, table: Policy | None = None) -> bool:
    """Whether bytes cost there, as far as anybody knows; the table says what not knowing means."""
    if uplink.metered is not None:
        return uplink.metered
    return uplink.kind in (table or policy()).unknown_is_metered


def is_abroad(uplink: Uplink, table: Policy | None = None) -> bool:
    """Whether the SIM roams in another country. A network that is not known is taken for the home country's."""
    roams = uplink.registration is Registration.ROAMING
    return roams and uplink.mcc != "" and uplink.mcc not in (table or policy()).home_mcc


def strength(signal: Signal | None, table: Policy | None = None) -> str | None:
    """A signal in a word: ``strong``, ``fair``, ``weak``, ``very-weak``; None while it is not known."""
    if signal is None or signal.rsrp_dbm is None:
        return None
    for word, lowest_dbm in (table or policy()).strengths:
        if signal.rsrp_dbm >= lowest_dbm:
            return word
    return "very-weak"


def _below(signal: Signal | None, row: Row) -> bool:
    """A signal that is not known holds nothing back: the hub answers, or it does not."""
    if signal is None:
        return False
    pairs = ((signal.rsrp_dbm, row.weakest_rsrp_dbm), (signal.sinr_db, row.weakest_sinr_db))
    return any(found is not None and least is not None and found < least for found, least in pairs)


def _within(now: time, begin: time, end: time) -> bool:
    """From ``begin`` until before ``end``, over midnight if need be."""
    return begin <= now < end if begin <= end else now >= begin or now < end
