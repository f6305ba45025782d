"""From values and facts to findings. No clock, no file beyond this package's tables, no numpy."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from zhenbao.model.finding import Evidence, Finding, Urgency
from zhenbao.model.quantity import Quantity
from zhenbao.rules.language import (
    UNKNOWN,
    All,
    Any_,
    Comparison,
    Condition,
    ConditionalRule,
    Domain,
    Fact,
    Holds,
    leaves,
    parse_domain,
)
from zhenbao.rules.table import rule, rules_by_id

DOMAINS = ("bp", "glucose", "ecg", "spirometry", "spo2", "resp", "news2", "ultrasound", "emergency")
"""Each has ``conditions/<name>.toml``."""


@cache
def domain_conditions(name: str) -> Domain:
    """The parsed conditions of a domain.

    Raises:
        ValueError: there is no such domain, or its file is wrong.
    """
    if name not in DOMAINS:
        raise ValueError(f"no rules for {name!r}; there are {', '.join(DOMAINS)}")
    return parse_domain(name, condition_table(name), {r.rule_id: r.urgency for r in rules_by_id().values()})


def condition_table(name: str) -> dict[str, Any]:
    """A domain's file as it is written: a fresh copy."""
    return tomllib.loads(files(__package__).joinpath("conditions", f"{name}.toml").read_text(encoding="utf-8"))


def evaluate(
    domain: str, values: Mapping[str, Quantity], context: Mapping[str, str] = MappingProxyType({})
) -> tuple[Finding, ...]:
    """What the rules of a domain say of one reading.

    Numbers are compared in the unit in which they come, rounded to the step in which people read them (a pressure
    of 139.5 mm[Hg] is shown, and judged, as 140), and never converted. A meter's HI (``>``) lies beyond every
    upper bound and its LO (``<``) below every lower one, whatever the end of its range; of other quantities with a
    comparator only what is sure is said (a pause of more than 2 s is no pause of 3 s). A value that is not finite
    counts as absent.

    Args:
        domain: ``bp``, ``glucose``, ``ecg``, ``spirometry``, ``spo2``, ``resp``, ``news2``, ``ultrasound`` or
            ``emergency``.
        values: by key of the code table; keys that the domain does not know are ignored.
        context: facts of the visit (``known_diabetes``, ``meal``, ``pregnant``...; :func:`facts` lists them). A fact
            that is missing, or has a value that is not in its list, is unknown.

    Returns:
        Findings: first those that are present, then those that a question to the doctor would decide (``undetermined``,
        with ``needs``), each by urgency and then in the table's order. Empty where no rule has anything to say.

    Raises:
        ValueError: no such domain, or a value in a unit that its rules do not know (judging it would be guessing).
    """
    return evaluate_in(domain_conditions(domain), values, context)


def evaluate_in(
    domain: Domain, values: Mapping[str, Quantity], context: Mapping[str, str] = MappingProxyType({})
) -> tuple[Finding, ...]:
    """As :func:`evaluate`, with conditions that a county has changed.

    Raises:
        ValueError: a value in a unit that its rules do not know.
    """
    return _Reading(domain, values, context).findings()


def facts(domain: str) -> Mapping[str, tuple[str, ...]]:
    """The facts that a domain's rules look at, and the values of each besides ``unknown``."""
    return domain_conditions(domain).facts


def facts_behind(domain: str, rule_id: str) -> tuple[str, ...]:
    """The facts that a rule looks at, and those that can raise its urgency: whatever a finding of it may rest on."""
    entry = domain_conditions(domain).rules.get(rule_id)
    if entry is None:
        return ()
    conditions = (entry.when, entry.requires, *(r.when for r in entry.raises))
    return tuple(dict.fromkeys(leaf.name for c in conditions for leaf in leaves(c) if isinstance(leaf, Fact)))


class _Reading:
    """One reading against one domain. True, False, and None for unknown (Kleene's logic)."""

    def __init__(self, domain: Domain, values: Mapping[str, Quantity], context: Mapping[str, str]) -> None:
        self.domain = domain
        self.given = values
        self.values = {
            name: quantity
            for name, quantity in values.items()
            if name in domain.quantities and math.isfinite(quantity.value)
        }
        for name, quantity in self.values.items():
            if quantity.unit not in (units := domain.quantities[name]):
                raise ValueError(
                    f"{name} comes in {quantity.unit}; the rules of {domain.name} compare {', '.join(units)}"
                )
        self.context = context

    def findings(self) -> tuple[Finding, ...]:
        truth = {rule_id: self._rule(entry) for rule_id, entry in self.domain.rules.items()}
        if gates := [rule_id for rule_id in self.domain.gates if truth[rule_id]]:
            truth = dict.fromkeys(gates, True)
        for group in self.domain.exclusive:
            first = next((rule_id for rule_id in group if truth.get(rule_id)), None)
            if first is not None:
                for weaker in group[group.index(first) + 1 :]:
                    truth[weaker] = False
        order = list(rules_by_id())
        found = [
            self._finding(self.domain.rules[rule_id], held) for rule_id, held in truth.items() if held is not False
        ]
        return tuple(sorted(found, key=lambda f: (f.status != "present", f.urgency.rank, order.index(f.rule_id))))

    def _rule(self, entry: ConditionalRule) -> bool | None:
        if not self._holds(entry.when):
            return False
        return True if entry.requires is None else self._holds(entry.requires)

    def _finding(self, entry: ConditionalRule, held: bool | None) -> Finding:
        row = rule(entry.rule_id)
        urgency, source = entry.urgency, row.source
        decided = self._decided(entry.when) + (self._decided(entry.requires) if entry.requires else ())
        for raised in entry.raises:
            if raised.to.rank < urgency.rank and self._holds(raised.when):
                urgency = raised.to
                decided += self._decided(raised.when)
                if raised.by != entry.rule_id:
                    source = f"{row.source}; {raised.by}: {rule(raised.by).source}"
        names = dict.fromkeys((*decided, *entry.cites))
        return Finding(
            entry.rule_id,
            urgency,
            tuple(Evidence(name, self.given[name]) for name in names if name in self.values),
            source,
            "present" if held else "undetermined",
            () if held else self._needs(entry),
        )

    def _holds(self, condition: Condition) -> bool | None:
        match condition:
            case All():
                parts = [self._holds(part) for part in condition.parts]
                return False if False in parts else None if None in parts else True
            case Any_():
                parts = [self._holds(part) for part in condition.parts]
                return True if True in parts else None if None in parts else False
            case Fact():
                known = self._fact(condition.name)
                if known == UNKNOWN and UNKNOWN not in condition.among:
                    return None if condition.asked else False
                return known in condition.among
            case Holds():
                return self._rule(self.domain.rules[condition.rule_id]) is True
            case Comparison():
                return self._compare(condition)

    def _fact(self, name: str) -> str:
        given = self.context.get(name, UNKNOWN)
        return given if given in self.domain.facts[name] else UNKNOWN

    def _compare(self, condition: Comparison) -> bool:
        parts = [self.values.get(name) for name in condition.quantities]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts) or (condition.over is None and any(part.unit != condition.unit for part in known)):
            return False
        number = self._as_read(condition.quantity, known[0])
        if condition.minus:
            number = round(number - self._as_read(condition.minus, known[1]), 9)
        elif condition.over:
            if known[0].unit != known[1].unit or known[1].value <= 0:
                return False
            number = round(number / known[1].value, 9)
        elif known[0].comparator is not None:
            above = known[0].comparator == ">"
            if condition.quantity in self.domain.hi_lo:
                number = math.inf if above else -math.inf
            return _beyond(condition, number, above=above)
        return (
            (condition.at_least is None or number >= condition.at_least)
            and (condition.above is None or number > condition.above)
            and (condition.below is None or number < condition.below)
            and (condition.at_most is None or number <= condition.at_most)
        )

    def _as_read(self, name: str, quantity: Quantity) -> float:
        step = self.domain.quantities[name][quantity.unit]
        # round() first: 16.65 / 0.1 is 166.49999999999997, and no reader of the screen sees that.
        steps = quantity.value / step if step else math.inf
        # A number so large that its steps overflow has no step to be rounded to.
        return round(math.floor(round(steps, 6) + 0.5) * step if math.isfinite(steps) else quantity.value, 9)

    def _decided(self, condition: Condition) -> tuple[str, ...]:
        """The quantities whose comparisons hold."""
        match condition:
            case All() | Any_():
                return tuple(name for part in condition.parts if self._holds(part) for name in self._decided(part))
            case Comparison():
                return condition.quantities if self._compare(condition) else ()
            case Holds():
                return self._decided(self.domain.rules[condition.rule_id].when)
            case Fact():
                return ()

    def _needs(self, entry: ConditionalRule) -> tuple[str, ...]:
        asked = (leaf.name for leaf in leaves(entry.requires) if isinstance(leaf, Fact) and self._holds(leaf) is None)
        return tuple(dict.fromkeys(asked))


def _beyond(condition: Comparison, limit: float, *, above: bool) -> bool:
    """Whether bounds surely hold of a value of which only a limit is known."""
    if above:
        lower = [bound for bound in (condition.at_least, condition.above) if bound is not None]
        return condition.below is None and condition.at_most is None and all(limit >= bound for bound in lower)
    upper = [bound for bound in (condition.below, condition.at_most) if bound is not None]
    return condition.at_least is None and condition.above is None and all(limit <= bound for bound in upper)


def emitted_urgencies(entry: ConditionalRule) -> frozenset[Urgency]:
    """Every urgency with which a rule can be reported."""
    return frozenset((entry.urgency, *(r.to for r in entry.raises)))
