"""Follow-up by rule: the outcome of a form, the next date, and what is due. The same on the kit and at the hub.

A person may decide otherwise and says why; both are kept. Nothing here is a diagnosis.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

from zhenbao.model.chronic import Disease, FollowUp, Outcome, Past, Register, Tier
from zhenbao.model.errors import InputError
from zhenbao.rules.forms import number_in

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
DISEASES: tuple[Disease, ...] = get_args(Disease)
TIERS: tuple[Tier, ...] = get_args(Tier)
MOST_DAYS = 366
"""Nobody is put off for longer than a year."""
SHORTEST_REASON, LONGEST_REASON = 2, 400
Why = Literal["first", "interval", "recheck", "ask-after-referral", "again", "urgent"]


@dataclass(frozen=True, slots=True)
class Judged:
    """What the rule makes of a form."""

    outcome: Outcome | None
    """None: a number is missing; a person must say it, and why."""
    missing: tuple[str, ...]
    """Fields without which it cannot be said."""
    decided_by: tuple[str, ...]
    """Fields that decided against "controlled"."""
    urgent: tuple[str, ...]
    """Fields beyond the limit of an emergency: treat and refer now."""
    target: Mapping[str, float]
    """Every one of these must be undercut; empty where no number decides."""
    profile: str
    source: str


@dataclass(frozen=True, slots=True)
class Next:
    """What follows from an outcome."""

    on: date
    refer: bool
    why: Why


@dataclass(frozen=True, slots=True)
class Due:
    """Something to do for a patient of a register."""

    disease: Disease
    tier: Tier
    form: str
    on: date
    why: Why

    def state(self, today: date) -> Literal["overdue", "due", "later"]:
        """``due`` from the day of the first reminder."""
        if self.on < today:
            return "overdue"
        return "due" if self.on <= today + timedelta(days=remind_days()) else "later"


def remind_days() -> int:
    """How many days before it is due something is reminded of."""
    return int(_table()["remind_days"])


def default_profile() -> str:
    """Whose targets are applied where the county has chosen nothing."""
    return str(_table()["profile"])


def tiers_of(disease: Disease) -> tuple[Tier, ...]:
    """Who sees patients of this disease."""
    return tuple(row["tier"] for row in _table()["interval"] if disease in row["diseases"])


def form_of(disease: Disease, tier: Tier) -> str:
    """The key of the form for this.

    Raises:
        KeyError: this tier does not see this disease.
    """
    return str(_interval(disease, tier)["form"][disease])


def judge(disease: Disease, answers: Mapping[str, str], age_years: int | None, profile: str = "") -> Judged:
    """The outcome of a form (此次随访分类) by rule.

    Args:
        disease: whose register.
        answers: checked ones (``forms.problems`` found nothing).
        age_years: completed; None: not known, and then the younger people's (stricter) target counts.
        profile: whose target; empty: the county's.
    """
    profile = profile or default_profile()
    urgent = tuple(
        dict.fromkeys(row["field"] for row in _table()["urgent"] if row["disease"] == disease and _beyond(row, answers))
    )
    for row in _table()["decides"]:
        if answers.get(row["field"]) == row["code"] and row["outcome"] != "controlled":
            return Judged(row["outcome"], (), (row["field"],), urgent, {}, "", row["source"])
    # A screen or a recall says for itself that all is well; its numbers may contradict it, missing ones do not count.
    well = any(
        answers.get(row["field"]) == row["code"] for row in _table()["decides"] if row["outcome"] == "controlled"
    )
    target = _target(disease, age_years or 0, profile)
    limits: dict[str, float] = {} if target is None else {**target["below"], **target.get("also_below", {})}
    numbers = {key: number_in(answers.get(key, "")) for key in limits}
    above = tuple(key for key, value in numbers.items() if value is not None and value >= limits[key])
    needed = () if target is None or well else tuple(target["below"])
    missing = tuple(key for key in needed if numbers[key] is None)
    decided = tuple(dict.fromkeys((*above, *urgent)))
    unsaid = bool(missing) or (target is None and not well)
    found: Outcome | None = "uncontrolled" if decided else None if unsaid else "controlled"
    source = "" if target is None else str(target["source"])
    return Judged(found, missing, decided, urgent, limits, profile if limits else "", source)


def next_visit(
    disease: Disease, tier: Tier, outcome: Outcome, on: date, past: Sequence[Past], *, urgent: bool = False
) -> Next:
    """When this tier sees the patient again, and whether a referral is suggested.

    Args:
        disease: whose register.
        tier: who saw the patient.
        outcome: of this follow-up.
        on: its day.
        past: earlier ones of any tier, oldest first.
        urgent: a number was beyond the limit of an emergency.
    """
    rule = _table()["after"][outcome]
    # The last before this day in the order of days; what was written down later does not count twice.
    before = [p for p in past if p.tier == tier and p.on < on]
    again = bool(before) and before[-1].outcome != "controlled" and outcome != "controlled"
    refer = bool(rule["again_refer"] if again else rule["refer"]) or urgent
    usual = int(_interval(disease, tier)["days"])
    days = min(usual, int(rule["again_days"] if again else rule.get("days", usual)))
    if urgent:
        return Next(on + timedelta(days=min(days, 14)), True, "urgent")
    why: Why = "ask-after-referral" if refer else "recheck" if outcome != "controlled" else "interval"
    return Next(on + timedelta(days=days), refer, why)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person decides about a follow-up; what is empty is left to the rule."""

    outcome: str = ""
    next_on: str = ""
    """ISO date."""
    because: str = ""


def decide(blank: FollowUp, judged: Judged, past: Sequence[Past], on: date, choice: Choice) -> FollowUp:
    """A follow-up with its outcome and next date: the rule's, or a person's with the reason, both kept.

    Args:
        blank: all but that.
        on: its day.

    Raises:
        InputError: ``follow-up-outcome``, the rule cannot tell and nobody has said it; ``follow-up-date``, not a day
            between tomorrow and a year from now; ``follow-up-reason``, other than the rule without a reason.
    """
    outcome = next((o for o in OUTCOMES if o == (choice.outcome or judged.outcome)), None)
    if outcome is None:
        raise InputError("follow-up-outcome")
    urgent = bool(judged.urgent)
    ruled = next_visit(blank.disease, blank.tier, outcome, on, past, urgent=urgent)
    chosen = ruled.on
    if choice.next_on:
        try:
            chosen = date.fromisoformat(choice.next_on)
        except ValueError:
            raise InputError("follow-up-date", most=MOST_DAYS) from None
    if not on < chosen <= on + timedelta(days=MOST_DAYS):
        raise InputError("follow-up-date", most=MOST_DAYS)
    because = " ".join(choice.because.split())[:LONGEST_REASON]
    if (outcome != judged.outcome or chosen != ruled.on) and len(because) < SHORTEST_REASON:
        raise InputError("follow-up-reason")
    return replace(
        blank,
        outcome=outcome,
        next_on=chosen,
        refer=ruled.refer,
        rule_outcome=judged.outcome,
        rule_next_on=ruled.on,
        changed_because=because if outcome != judged.outcome or chosen != ruled.on else "",
        profile=judged.profile,
    )


def due(register: Register) -> list[Due]:
    """The next thing of each tier for a register, the soonest first."""
    found = []
    for tier in tiers_of(register.disease):
        rule, last = _interval(register.disease, tier), [p for p in register.past if p.tier == tier]
        form = str(rule["form"][register.disease])
        if not last:
            on, why = register.since + timedelta(days=int(rule["first_days"])), "first"
        else:
            newest = max(last, key=lambda p: p.on)
            on = newest.next_on
            why = "ask-after-referral" if newest.refer else "recheck" if newest.outcome != "controlled" else "interval"
        found.append(Due(register.disease, tier, form, on, why))  # type: ignore[arg-type]
    return sorted(found, key=lambda d: (d.on, TIERS.index(d.tier)))


def recent_past(past: Sequence[Past]) -> tuple[Past, ...]:
    """Of each tier the last two, oldest first: what the rules need and a message carries."""
    kept: list[Past] = []
    for tier in TIERS:
        kept += sorted((p for p in past if p.tier == tier), key=lambda p: p.on)[-2:]
    return tuple(sorted(kept, key=lambda p: (p.on, TIERS.index(p.tier))))


def _beyond(row: Mapping[str, Any], answers: Mapping[str, str]) -> bool:
    value = number_in(answers.get(row["field"], ""))
    if value is None:
        return False
    return bool(("from" in row and value >= row["from"]) or ("up_to" in row and value <= row["up_to"]))


def _target(disease: Disease, age_years: int, profile: str) -> Mapping[str, Any] | None:
    rows = [r for r in _table()["target"] if r["disease"] == disease and r["profile"] == profile]
    fitting = [r for r in rows if r["from_years"] <= age_years]
    return max(fitting, key=lambda r: r["from_years"]) if fitting else None


def _interval(disease: Disease, tier: Tier) -> Mapping[str, Any]:
    for row in _table()["interval"]:
        if disease in row["diseases"] and row["tier"] == tier:
            found: Mapping[str, Any] = row
            return found
    raise KeyError(f"{tier} does not see {disease}")


@cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads(files("zhenbao.rules").joinpath("followup.toml").read_text(encoding="utf-8"))
