"""The rules as one county applies them at its hub: the program's tables with the county's own changes. Pure.

Changes are a short TOML file that a clinician answers for::

    profile = "zhejiang"

    [[route]]
    id = "R20"
    first_specialty = "cardiology"

    [[threshold]]
    rule = "BP05"
    quantity = "bp_systolic"
    bound = "at_least"
    from = 180
    to = 170

A change must name what it replaces, so that a new version of the program never turns it into something else unseen; and
the changed tables pass every check that the program's own pass.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from zhenbao.model.errors import InputError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.observation import Observation
from zhenbao.model.quantity import Quantity
from zhenbao.rules.judge import DOMAINS, condition_table, domain_conditions, emitted_urgencies, evaluate_in
from zhenbao.rules.language import Domain, parse_domain
from zhenbao.rules.routes import parse_routes
from zhenbao.rules.routing import RouteTable, program_table
from zhenbao.rules.table import clocks, read_csv, rules_by_id
from zhenbao.rules.terms import specialties

_BOUNDS = ("at_least", "above", "below", "at_most")
_ROUTE_COLUMNS = (
    "urgency",
    "first_specialty",
    "second_specialty",
    "trigger_rules",
    "if_chest_pain",
    "if_urgency",
    "late_above_min",
    "age_from_years",
    "yellow_from",
    "village_action_zh",
    "village_action_en",
    "notify_zh",
    "notify_en",
)
"""What a county may change of a route. Its minutes follow its urgency; its words for the finding are the program's."""
_THRESHOLD_KEYS = {"rule", "quantity", "bound", "from", "to"}
_SYMPTOMS = ("chest_pain", "syncope", "hypotension", "altered_consciousness")
LOWERED = Urgency.ORANGE


@dataclass(frozen=True, slots=True)
class Critical:
    """From which value on a finding of a rule counts as critical."""

    rule: str
    quantity: str
    unit: str
    at_least: float | None = None
    above: float | None = None
    below: float | None = None
    at_most: float | None = None
    only_with: str = ""
    """The row holds only where this rule's finding stands in the same reading; empty: always."""

    def reached(self, measured: Quantity) -> bool:
        """Whether a value is as critical as the row says; one in another unit, or beyond a limit, counts as so."""
        if measured.unit != self.unit or measured.comparator is not None:
            return True
        value = measured.value
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
            and (self.at_most is None or value <= self.at_most)
        )


@dataclass(frozen=True, slots=True)
class Profile:
    """The critical values of one province."""

    key: str
    name_zh: str
    name_en: str
    source: str
    critical: tuple[Critical, ...] = ()


@dataclass(frozen=True, eq=False)
class RuleSet:
    """What a hub applies."""

    version: str
    """``0-ab12cd34``: the county's number (0: none), and the program's tables that it stands on."""
    table: RouteTable
    profile: Profile
    domains: Mapping[str, Domain] = field(default_factory=dict)
    """Those with a changed threshold."""
    changed: frozenset[str] = frozenset()
    """The rules whose threshold was changed."""

    def findings(self, reading: Observation) -> tuple[Finding, ...]:
        """What the kit found, and what the county's own thresholds find besides.

        The hub never takes back what a kit has said at the bedside: a looser one waits for the kits' next version.
        """
        known = {finding.rule_id for finding in reading.findings if finding.status == "present"}
        more = []
        for domain in self.domains.values():
            try:
                judged = evaluate_in(domain, reading.values, reading.context)
            except ValueError:
                continue  # a value in a unit that no rule knows is judged by nobody
            more += [f for f in judged if f.rule_id in self.changed - known and f.status == "present"]
        return (*reading.findings, *more)

    def lowered(self, readings: Sequence[Observation]) -> tuple[tuple[str, Urgency], ...]:
        """The rules whose RED findings in these readings are not critical values by the profile."""
        if any(reading.context.get(fact) == "yes" for reading in readings for fact in _SYMPTOMS):
            return ()
        rows = {row.rule: row for row in self.profile.critical}
        found: dict[str, bool] = {}
        for reading in readings:
            present = {finding.rule_id for finding in reading.findings if finding.status == "present"}
            for rule_id in present & set(rows):
                row, measured = rows[rule_id], reading.values.get(rows[rule_id].quantity)
                below = measured is not None and not row.reached(measured)
                below = below and (not row.only_with or row.only_with in present)
                found[rule_id] = found.get(rule_id, True) and below
        return tuple((rule, LOWERED) for rule, below in sorted(found.items()) if below)


@cache
def program_digest() -> str:
    """Names the tables of this program: eight characters."""
    folder = files(__package__)
    names = ["routing.csv", "thresholds.csv", "profiles.toml", *(f"conditions/{name}.toml" for name in DOMAINS)]
    digest = hashlib.sha256()
    for name in names:
        digest.update(folder.joinpath(*name.split("/")).read_bytes())
    return digest.hexdigest()[:8]


@cache
def profiles() -> Mapping[str, Profile]:
    """The profiles by key, in the file's order."""
    raw = tomllib.loads(files(__package__).joinpath("profiles.toml").read_text(encoding="utf-8"))
    return {key: _profile(key, body) for key, body in raw.items()}


def build(number: int, content: str) -> RuleSet:
    """The rules with a county's changes.

    Args:
        number: of the version; 0 with no content is the program as it is.
        content: TOML.

    Raises:
        InputError: ``rules-file``: it is not understood; ``rules-table``: its tables contradict themselves,
            name what does not exist, or lose a finding.
    """
    raw = _parse(content)
    version = f"{number}-{program_digest()}"
    profile = profiles().get(raw.get("profile", "kit"))
    if profile is None:
        raise InputError("rules-file", reason=f"profile {raw['profile']!r}; {', '.join(profiles())}")
    table = _routes(raw.get("route", [])) if raw.get("route") else program_table()
    thresholds = raw.get("threshold", [])
    domains = _domains(thresholds) if thresholds else {}
    return RuleSet(version, table, profile, domains, frozenset(change["rule"] for change in thresholds))


def _parse(content: str) -> dict[str, Any]:
    try:
        raw = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise InputError("rules-file", reason=str(error)[:200]) from None
    if unknown := set(raw) - {"profile", "route", "threshold"}:
        raise InputError("rules-file", reason=", ".join(sorted(unknown)))
    if not isinstance(raw.get("profile", "kit"), str):
        raise InputError("rules-file", reason="profile")
    for name in ("route", "threshold"):
        rows = raw.get(name, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise InputError("rules-file", reason=f"[[{name}]]")
    return raw


def _profile(key: str, body: dict[str, Any]) -> Profile:
    rows = tuple(Critical(**row) for row in body.get("critical", ()))
    for row in rows:
        if row.rule not in rules_by_id() or (row.only_with or row.rule) not in rules_by_id():
            raise ValueError(f"profiles.toml: {key} names {row.rule}, which is no rule")
    if not body["source"]:
        raise ValueError(f"profiles.toml: {key} has no source")
    return Profile(key, body["name_zh"], body["name_en"], body["source"], rows)


def _routes(changes: Sequence[dict[str, Any]]) -> RouteTable:
    rows = {row["route_id"]: row for row in read_csv("routing.csv")}
    for change in changes:
        route_id = change.get("id")
        if route_id not in rows:
            raise InputError("rules-table", reason=f"{route_id}: no such route")
        row = rows[route_id]
        for column, value in change.items():
            if column == "id":
                continue
            if column not in _ROUTE_COLUMNS or not isinstance(value, str | int | float):
                raise InputError("rules-file", reason=f"{route_id}: {column}")
            row[column] = str(value)
        if "urgency" in change:
            try:
                due = clocks(Urgency(row["urgency"]))
            except ValueError:
                raise InputError("rules-file", reason=f"{route_id}: urgency {row['urgency']!r}") from None
            row["ack_min"], row["report_min"] = (str(n) if n is not None else "" for n in (due.ack_min, due.report_min))
    try:
        table = RouteTable(parse_routes(list(rows.values()), rules_by_id(), specialties()))
    except ValueError as error:
        raise InputError("rules-table", reason=str(error)[:600]) from None
    if lost := sorted(_emitted() - {rule for route in table.routes for rule in route.trigger.rules}):
        raise InputError("rules-table", reason=f"{', '.join(lost)}: no route")
    if missing := [k for k in ("elderly", "late", "normal", "undetermined", "unknown-rule", "chest-pain")
                   if not any(r.trigger.kind == k for r in table.routes)]:  # fmt: skip
        raise InputError("rules-table", reason=f"{', '.join(missing)}: no route")
    return table


def _emitted() -> set[str]:
    """Every rule with which a kit can find something that a person must see."""
    return {
        entry.rule_id
        for name in DOMAINS
        for entry in domain_conditions(name).rules.values()
        if any(urgency is not Urgency.GREEN for urgency in emitted_urgencies(entry))
    }


def _domains(changes: Sequence[dict[str, Any]]) -> dict[str, Domain]:
    tables: dict[str, dict[str, Any]] = {}
    for change in changes:
        if set(change) != _THRESHOLD_KEYS or change["bound"] not in _BOUNDS:
            raise InputError("rules-file", reason=f"threshold {change.get('rule')}: {', '.join(sorted(change))}")
        if any(isinstance(change[k], bool) or not isinstance(change[k], int | float) for k in ("from", "to")):
            raise InputError("rules-file", reason=f"threshold {change['rule']}: from, to")
        name = next((n for n in DOMAINS if change["rule"] in domain_conditions(n).rules), None)
        if name is None:
            raise InputError("rules-table", reason=f"{change['rule']}: no such rule")
        table = tables.setdefault(name, condition_table(name))
        leaves = [
            leaf
            for leaf in _leaves(table["rule"][change["rule"]])
            if leaf.get("quantity") == change["quantity"] and leaf.get(change["bound"]) == change["from"]
        ]
        if not leaves:
            told = f"{change['rule']}: {change['quantity']} {change['bound']} {change['from']}"
            raise InputError("rules-table", reason=f"{told}: not in the table")
        for leaf in leaves:
            leaf[change["bound"]] = change["to"]
    known = {r.rule_id: r.urgency for r in rules_by_id().values()}
    domains = {}
    for name, table in tables.items():
        try:
            domain = parse_domain(name, table, known)
        except ValueError as error:
            raise InputError("rules-table", reason=str(error)[:600]) from None
        if empty := [rule_id for rule_id, body in table["rule"].items() if any(map(_empty, _leaves(body)))]:
            raise InputError("rules-table", reason=f"{', '.join(empty)}: never true")
        domains[name] = domain
    return domains


def _leaves(body: object) -> Iterator[dict[str, Any]]:
    """Every comparison below a rule's body, to be changed in place."""
    if isinstance(body, dict):
        if "quantity" in body:
            yield body
        for part in body.values():
            yield from _leaves(part)
    elif isinstance(body, list):
        for part in body:
            yield from _leaves(part)


def _empty(leaf: dict[str, Any]) -> bool:
    low = max((leaf[b] for b in ("at_least", "above") if b in leaf), default=None)
    high = min((leaf[b] for b in ("at_most", "below") if b in leaf), default=None)
    return low is not None and high is not None and low > high
