"""The second count of the indicators: of each unit and period, from the log alone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from county.rules import LOOP
from county.story import MINUTE_MS, START_MS

if TYPE_CHECKING:
    from county.count import Case, Count

_BEIJING = timezone(timedelta(hours=8))
Figure = tuple[int, int | None, float | None, float | None]


def figures(count: Count) -> dict[tuple[str, str], dict[str, Figure]]:
    """By unit and period."""
    end_ms = count.story.end_ms
    periods = {"2026-11": (_first(2026, 11), _first(2026, 12)), "2026-12": (_first(2026, 12), _first(2027, 1))}
    periods["all"] = (START_MS, end_ms)
    townships = [org for org, kind, _, _ in count.story.orgs if kind == "township"]
    return {
        (org, name): _of(count, org, start_ms, stop_ms, end_ms)
        for org in ("county", *townships)
        for name, (start_ms, stop_ms) in periods.items()
    }


def _of(count: Count, unit: str, start_ms: int, stop_ms: int, now_ms: int) -> dict[str, Figure]:
    within = lambda at_ms: start_ms <= at_ms < stop_ms  # noqa: E731
    below = lambda org: unit == "county" or org.partition("-")[0] == unit  # noqa: E731
    mine = [case for case in count.cases.values() if case.status and below(case.org)]
    visits = [case for case in mine if case.started_ms is not None and within(case.started_ms)]
    readings = [r for case in mine for r in case.readings if within(r.came_ms)]
    ecgs = [r for r in readings if r.code == "ecg"]
    cases = [case for case in mine if within(case.opened_ms)]
    reported = [case for case in cases if case.reported_ms is not None]
    judged = [(case.reports[-1].urgency, case.routed.urgency) for case in reported if case.reports]
    sent = [r for r in count.care.referrals.values() if below(r.sender) and within(r.sent_ms)]
    reached = lambda r, *states: any(state in states for state, _ in r.states)  # noqa: E731
    back = [r for r in sent if reached(r, "returned")]
    who = lambda rows: len({count.persons[r.patient][0] for r in rows})  # noqa: E731
    red = [case for case in cases if case.routed.urgency == "RED"]
    pain = [case for case in visits if case.pain == "yes"]
    kits = [kit for kit, org in count.places.items() if below(org)]
    active = [kit for kit in kits if any(within(at_ms) for at_ms in count.came.get(kit, ()))]
    acts = ("RED", "ORANGE", "YELLOW")
    ill = [pair for pair in judged if pair[0] in acts]
    well = [pair for pair in judged if pair[0] not in acts]
    return {
        "visits": _n(len(visits)),
        "ecg-count": _n(len(ecgs)),
        "ecg-acceptable": _n(sum(r.acceptable is True for r in ecgs), len(ecgs)),
        "ecg-positive": _n(sum(r.urgency != "GREEN" for r in ecgs), len(ecgs)),
        "ecg-critical": _n(sum(r.urgency == "RED" for r in ecgs)),
        "ack-on-time": _on_time([(c.ack_due_ms, c.ack_ms) for c in cases], now_ms),
        "report-on-time": _on_time([(c.report_due_ms, c.reported_ms) for c in cases], now_ms),
        "ack-minutes": _times(c.ack_ms - c.ranked_ms for c in cases if c.ack_ms is not None),
        "report-minutes": _times(c.reported_ms - c.ranked_ms for c in reported if c.reported_ms is not None),
        # From the taking to the hub: what the kit's clock said, less what it is known to have been wrong by.
        "transfer-minutes": _times(r.came_ms - (r.taken_ms - r.ahead_ms) for r in readings),
        "chest-pain-ecg-on-time": _n(sum(_ecg_soon(case) for case in pain), len(pain)),
        "loop-closed": _n(sum(all(step in c.done() for step in LOOP) for c in red), len(red)),
        "report-read": _n(sum(any(r.read_ms is not None for r in c.reports) for c in reported), len(reported)),
        "referred-up": _n(who(sent)),
        "returned": _n(who(back)),
        "return-rate": _n(who(back), who(sent)),
        "arrival-rate": _n(sum(reached(r, "arrived") for r in sent), len(sent)),
        "referral-rate": _n(len(sent), len(visits)),
        "hint-agreement": _n(sum(said == hint for said, hint in judged), len(judged)),
        "hint-sensitivity": _n(sum(hint in acts for _, hint in ill), len(ill)),
        "hint-specificity": _n(sum(hint not in acts for _, hint in well), len(well)),
        "kits-active": _n(len(active), len(kits)),
    }


def _n(numerator: int, denominator: int | None = None) -> Figure:
    return numerator, denominator, None, None


def _on_time(pairs: list[tuple[int | None, int | None]], now_ms: int) -> Figure:
    """Of those whose outcome is known: done in time; what still has time counts nowhere."""
    met = [1 for due, done in pairs if due is not None and done is not None and done <= due]
    known = [1 for due, done in pairs if due is not None and (done is not None or due < now_ms)]
    return _n(len(met), len(known))


def _times(spans_ms: Iterable[int]) -> Figure:
    minutes = sorted(ms / MINUTE_MS for ms in spans_ms)
    return len(minutes), None, _rank(minutes, 50), _rank(minutes, 90)


def _rank(ordered: list[float], percent: int) -> float | None:
    """The smallest value that so many percent do not exceed."""
    if not ordered:
        return None
    need = -(-percent * len(ordered) // 100)
    return round(ordered[max(1, need) - 1], 6)


def _ecg_soon(case: Case) -> bool:
    """The first ECG within ten minutes of the first contact, both by the kit's clock."""
    taken = min((r.taken_ms for r in case.readings if r.code == "ecg"), default=None)
    return taken is not None and case.started_ms is not None and 0 <= taken - case.started_ms <= 10 * MINUTE_MS


def _first(year: int, month: int) -> int:
    return round(datetime(year, month, 1, tzinfo=_BEIJING).timestamp() * 1000)


def name(place: tuple[str, str], key: str, figure: Any) -> str:
    """One figure in words, for a list of differences."""
    return f"{place[0]} {place[1]} {key} = {figure}"
