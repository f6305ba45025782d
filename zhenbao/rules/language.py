"""The small typed language in which ``conditions/*.toml`` says when a rule holds.

A rule has two parts. ``when`` is decided by numbers and by facts of the measurement: unless it holds, the rule is
not a question at all. ``requires`` is what else must be true, mostly something only the doctor knows; while that is
unknown the rule is undetermined. Leaves of both:

* ``{ quantity = "bp_systolic", unit = "mm[Hg]", at_least = 180 }``: with ``at_least``, ``above``, ``below``,
  ``at_most``; ``minus`` or ``over`` names a second quantity of the same unit to subtract, or to divide by. A quantity
  that is absent, or present in another unit, decides nothing (False).
* ``{ flag = "chest_pain", is = "yes" }``: a fact that counts only where it was given; never asked for. ``is`` may be
  a list, and may name ``unknown``, which is what a fact that was not given is.
* ``{ context = "known_diabetes", is = "yes" }``: a fact the doctor can be asked for (only in ``requires``).
* ``{ rule = "SP03" }``: that rule of the same file holds.
* ``{ any = [...] }`` and ``{ all = [...] }`` of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from zhenbao.model.finding import Urgency

UNKNOWN = "unknown"
_BOUNDS = ("at_least", "above", "below", "at_most")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One quantity, or the difference or ratio of two, against bounds in its unit."""

    quantity: str
    unit: str
    at_least: float | None = None
    above: float | None = None
    below: float | None = None
    at_most: float | None = None
    minus: str | None = None
    over: str | None = None

    @property
    def quantities(self) -> tuple[str, ...]:
        """The names of all quantities that take part."""
        return tuple(name for name in (self.quantity, self.minus, self.over) if name)


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact of the visit. ``asked``: the doctor can be asked for it; otherwise it counts only where it was given."""

    name: str
    among: tuple[str, ...]
    asked: bool


@dataclass(frozen=True, slots=True)
class Holds:
    """Another rule of the same domain holds."""

    rule_id: str


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Any_:
    """At least one part holds."""

    parts: tuple[Condition, ...]


Condition: TypeAlias = Comparison | Fact | Holds | All | Any_


@dataclass(frozen=True, slots=True)
class Raise:
    """The same finding, but more urgent. ``by`` is the row that says so."""

    to: Urgency
    when: Condition
    by: str


@dataclass(frozen=True, slots=True)
class ConditionalRule:
    """When a rule holds, and how urgent it then is."""

    rule_id: str
    when: Condition
    urgency: Urgency
    """The table's; stated in the conditions only where the row gives none."""
    requires: Condition | None = None
    raises: tuple[Raise, ...] = ()
    cites: tuple[str, ...] = ()
    """Quantities that belong to the evidence besides those compared."""


@dataclass(frozen=True, slots=True)
class Domain:
    """Everything that is evaluated of one kind of reading."""

    name: str
    quantities: Mapping[str, Mapping[str, float]]
    """By name, by unit: the step in which people read it (0: judged as measured)."""
    facts: Mapping[str, tuple[str, ...]]
    """By name: the values it may have besides ``unknown``."""
    hi_lo: tuple[str, ...]
    """Quantities whose device shows HI or LO at the end of its range: beyond every bound of ours."""
    rules: Mapping[str, ConditionalRule]
    gates: tuple[str, ...] = ()
    """Where one of these holds the reading cannot be trusted, and nothing else is said of it."""
    exclusive: tuple[tuple[str, ...], ...] = field(default=())
    """In each group only the first that is present is reported."""


def leaves(condition: Condition | None) -> Iterator[Comparison | Fact | Holds]:
    """All leaves of a condition."""
    if isinstance(condition, All | Any_):
        for part in condition.parts:
            yield from leaves(part)
    elif condition is not None:
        yield condition


def parse_domain(name: str, table: Mapping[str, Any], known: Mapping[str, Urgency | None]) -> Domain:
    """The domain in a parsed TOML file.

    Args:
        known: the urgency of every rule of ``thresholds.csv``.

    Raises:
        ValueError: naming what is wrong; nothing of a doubtful file is used.
    """
    facts = {fact: tuple(values) for fact, values in table.get("facts", {}).items()}
    rules = {rule_id: _rule(rule_id, body, known) for rule_id, body in table["rule"].items()}
    domain = Domain(
        name,
        {quantity: dict(units) for quantity, units in table.get("quantities", {}).items()},
        facts,
        tuple(table.get("hi_lo", ())),
        rules,
        tuple(table.get("gates", ())),
        tuple(tuple(group) for group in table.get("exclusive", ())),
    )
    if wrong := list(_mistakes(domain, known)):
        raise ValueError(f"conditions/{name}.toml: " + "; ".join(wrong))
    return domain


def _rule(rule_id: str, body: Mapping[str, Any], known: Mapping[str, Urgency | None]) -> ConditionalRule:
    if rule_id not in known:
        raise ValueError(f"{rule_id} is no row of thresholds.csv")
    stated = Urgency(body["urgency"]) if "urgency" in body else None
    given = known[rule_id] or stated
    if given is None or (known[rule_id] and stated):
        raise ValueError(f"{rule_id} needs its urgency from the table or from its condition, not from both or neither")
    if extra := set(body) - {"when", "requires", "raise", "urgency", "cites"}:
        raise ValueError(f"{rule_id}: unknown keys {sorted(extra)}")
    return ConditionalRule(
        rule_id,
        _condition(rule_id, body["when"]),
        given,
        _condition(rule_id, body["requires"]) if "requires" in body else None,
        tuple(Raise(Urgency(r["to"]), _condition(rule_id, r["when"]), r["by"]) for r in body.get("raise", ())),
        tuple(body.get("cites", ())),
    )


def _condition(rule_id: str, body: Mapping[str, Any]) -> Condition:
    match body:
        case {"any": [*parts], **rest} if parts and not rest:
            return Any_(tuple(_condition(rule_id, part) for part in parts))
        case {"all": [*parts], **rest} if parts and not rest:
            return All(tuple(_condition(rule_id, part) for part in parts))
        case {"rule": str(other), **rest} if not rest:
            return Holds(other)
        case {"flag": str(fact), **rest} if set(rest) <= {"is"}:
            return Fact(fact, _values(rest.get("is", "yes")), asked=False)
        case {"context": str(fact), **rest} if set(rest) <= {"is"}:
            return Fact(fact, _values(rest.get("is", "yes")), asked=True)
        case {"quantity": str(quantity), "unit": str(unit), **rest} if set(rest) <= {*_BOUNDS, "minus", "over"}:
            bounds = {bound: float(rest[bound]) for bound in _BOUNDS if bound in rest}
            if bounds and not {"minus", "over"} <= set(rest):
                return Comparison(quantity, unit, **bounds, minus=rest.get("minus"), over=rest.get("over"))
    raise ValueError(f"{rule_id}: no condition: {body}")


def _values(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _mistakes(domain: Domain, known: Mapping[str, Urgency | None]) -> Iterator[str]:
    for rule_id, entry in domain.rules.items():
        for raised in entry.raises:
            if raised.by not in known:
                yield f"{rule_id} is raised by {raised.by}, which is no row of thresholds.csv"
        if any(isinstance(leaf, Fact) and leaf.asked for leaf in leaves(entry.when)):
            yield f"{rule_id} asks in `when`; questions belong to `requires`"
        for condition in (entry.when, entry.requires, *(r.when for r in entry.raises)):
            for leaf in leaves(condition):
                yield from _leaf_mistakes(domain, rule_id, leaf)
        for quantity in entry.cites:
            if quantity not in domain.quantities:
                yield f"{rule_id} cites {quantity}, which is not declared"
    for quantity in domain.hi_lo:
        if quantity not in domain.quantities:
            yield f"{quantity} shows HI and LO but is not declared"
    for rule_id in (*domain.gates, *(member for group in domain.exclusive for member in group)):
        if rule_id not in domain.rules:
            yield f"{rule_id} stands in a group but has no condition"


def _leaf_mistakes(domain: Domain, rule_id: str, leaf: Comparison | Fact | Holds) -> Iterator[str]:
    match leaf:
        case Comparison():
            for quantity in leaf.quantities:
                units = domain.quantities.get(quantity)
                if units is None or (leaf.unit not in units and leaf.over is None):
                    yield f"{rule_id} compares {quantity} in {leaf.unit}, which is not declared"
        case Fact():
            if leaf.name not in domain.facts:
                yield f"{rule_id} uses {leaf.name}, which is not declared"
            elif extra := set(leaf.among) - {*domain.facts[leaf.name], UNKNOWN}:
                yield f"{rule_id}: {leaf.name} is never {sorted(extra)}"
        case Holds():
            # Only rules further up: no circles.
            order = list(domain.rules)
            if leaf.rule_id not in order or order.index(leaf.rule_id) >= order.index(rule_id):
                yield f"{rule_id} builds on {leaf.rule_id}, which does not stand above it"
