"""The table of routes: which finding goes to whom, how fast, and what the village does meanwhile."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Literal, get_args

from zhenbao.model.finding import Urgency
from zhenbao.rules.table import Bilingual, read_csv, rules_by_id
from zhenbao.rules.terms import specialties

TriggerKind = Literal[
    "rules", "chest-pain", "late", "elderly", "normal", "undetermined", "unknown-rule", "by-request"
]  # fmt: skip
_KINDS: dict[str, TriggerKind] = {kind: kind for kind in get_args(TriggerKind)}


@dataclass(frozen=True, slots=True)
class Trigger:
    """When a route is taken.

    * ``rules``: one of ``rules`` is present, under the conditions given.
    * ``chest-pain``: the same, or the patient has chest pain.
    * ``late``: a RED case is older than ``late_above_min`` when the hub receives it.
    * ``elderly``: the patient is at least ``age_from_years`` old and at least ``yellow_from`` YELLOW routes match.
    * ``normal``: nothing above GREEN is present or undetermined.
    * ``undetermined``: nothing is present, but something would be, depending on an answer.
    * ``unknown-rule``: a finding of a rule that this version does not know, or that no route takes.
    * ``by-request``: a person asks for it (``request``); findings never do.
    """

    kind: TriggerKind
    rules: tuple[str, ...] = ()
    if_chest_pain: str | None = None
    if_urgency: Urgency | None = None
    """Only for findings of this urgency: a rule may be raised by symptoms."""
    late_above_min: float | None = None
    age_from_years: int | None = None
    yellow_from: int | None = None
    request: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One row of ``routing.csv``."""

    route_id: str
    finding: Bilingual
    urgency: Urgency
    first_specialty: str | None
    """A key of :func:`zhenbao.rules.specialties`; None for the archive."""
    second_specialty: str | None
    start_level: str
    """``village``, ``township`` or ``county``."""
    escalation_chain: Bilingual
    notify: Bilingual
    ack_min: int | None
    report_min: int | None
    channel_online: Bilingual
    channel_offline: Bilingual
    village_action: Bilingual
    """What the village doctor does until somebody answers."""
    referral: Bilingual
    source: str
    confidence: str
    trigger: Trigger


@cache
def routes() -> tuple[Route, ...]:
    """All routes. Among routes of one urgency the one further up goes first."""
    return parse_routes(read_csv("routing.csv"), rules_by_id(), specialties())


def parse_routes(
    rows: Sequence[Mapping[str, str]], known_rules: Collection[str], known_specialties: Collection[str]
) -> tuple[Route, ...]:
    """Routes of a table, checked as a whole.

    Raises:
        ValueError: naming every row that has no source, names an unknown rule or specialty, is incomplete, or is
            taken in the same case as another row.
    """
    parsed = tuple(_route(row) for row in rows)
    if wrong := [*_row_mistakes(parsed, known_rules, known_specialties), *_conflicts(parsed)]:
        raise ValueError("routing.csv: " + "; ".join(wrong))
    return parsed


def _route(row: Mapping[str, str]) -> Route:
    kind = _KINDS.get(row["trigger_kind"])
    if kind is None:
        raise ValueError(f"routing.csv: {row['route_id']}: no trigger {row['trigger_kind']!r}")
    return Route(
        route_id=row["route_id"],
        finding=_both(row, "finding"),
        urgency=Urgency(row["urgency"]),
        first_specialty=row["first_specialty"] or None,
        second_specialty=row["second_specialty"] or None,
        start_level=row["start_level"],
        escalation_chain=_both(row, "escalation"),
        notify=_both(row, "notify"),
        ack_min=_whole(row["ack_min"]),
        report_min=_whole(row["report_min"]),
        channel_online=_both(row, "channel_online"),
        channel_offline=_both(row, "channel_offline"),
        village_action=_both(row, "village_action"),
        referral=_both(row, "referral"),
        source=row["source"],
        confidence=row["confidence"],
        trigger=Trigger(
            kind=kind,
            rules=tuple(filter(None, row["trigger_rules"].split(";"))),
            if_chest_pain=row["if_chest_pain"] or None,
            if_urgency=Urgency(row["if_urgency"]) if row["if_urgency"] else None,
            late_above_min=float(row["late_above_min"]) if row["late_above_min"] else None,
            age_from_years=_whole(row["age_from_years"]),
            yellow_from=_whole(row["yellow_from"]),
            request=row["request"] or None,
        ),
    )


def _both(row: Mapping[str, str], column: str) -> Bilingual:
    return Bilingual(row[f"{column}_zh"], row[f"{column}_en"])


def _whole(cell: str) -> int | None:
    return int(cell) if cell else None


def _row_mistakes(
    parsed: Iterable[Route], known_rules: Collection[str], known_specialties: Collection[str]
) -> Iterator[str]:
    needed = {
        "rules": "rules",
        "chest-pain": "rules",
        "late": "late_above_min",
        "elderly": "yellow_from",
        "by-request": "request",
    }
    for route in parsed:
        trigger = route.trigger
        if not route.source.strip():
            yield f"{route.route_id} has no source"
        for rule_id in trigger.rules:
            if rule_id not in known_rules:
                yield f"{route.route_id} names {rule_id}, which is no rule"
        for key in (route.first_specialty, route.second_specialty):
            if key is not None and key not in known_specialties:
                yield f"{route.route_id} names {key}, which is no specialty"
        if trigger.kind in needed and not getattr(trigger, needed[trigger.kind]):
            yield f"{route.route_id} is {trigger.kind} without {needed[trigger.kind]}"
        if trigger.kind == "elderly" and trigger.age_from_years is None:
            yield f"{route.route_id} is elderly without age_from_years"
        if trigger.if_chest_pain not in (None, "yes", "no"):
            yield f"{route.route_id}: chest pain is yes or no, not {trigger.if_chest_pain}"


def _conflicts(parsed: Iterable[Route]) -> Iterator[str]:
    for first, second in combinations(parsed, 2):
        one, other = first.trigger, second.trigger
        if first.route_id == second.route_id:
            yield f"{first.route_id} stands twice"
        apart = (one.if_chest_pain and other.if_chest_pain and one.if_chest_pain != other.if_chest_pain) or (
            one.if_urgency and other.if_urgency and one.if_urgency != other.if_urgency
        )
        shared = [rule_id for rule_id in one.rules if rule_id in other.rules]
        if shared and not apart:
            yield f"{first.route_id} and {second.route_id} both take {', '.join(shared)} in the same case"
        elif one.kind == other.kind and not one.rules and not other.rules and one.request == other.request:
            yield f"{first.route_id} and {second.route_id} are both {one.kind}"
