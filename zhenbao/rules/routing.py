"""The one routing of a whole visit: the highest urgency wins, one case, not one for each finding."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache, lru_cache

from zhenbao.model.finding import Finding, Urgency
from zhenbao.rules.routes import Route, TriggerKind, routes
from zhenbao.rules.table import Clocks, clocks


@dataclass(frozen=True, eq=False)
class RouteTable:
    """All routes, ready to be asked. Two tables are the same only if they are one object."""

    routes: tuple[Route, ...]
    order: dict[str, int] = field(init=False)
    _only: dict[str, Route] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", {route.route_id: place for place, route in enumerate(self.routes)})
        # The first of a kind: of kinds that no rule takes the table has one each.
        object.__setattr__(self, "_only", {route.trigger.kind: route for route in reversed(self.routes)})

    def only(self, kind: TriggerKind) -> Route:
        """The route of a kind of which the table has one."""
        return self._only[kind]

    def find(self, route_id: str) -> Route | None:
        """A route by its id."""
        place = self.order.get(route_id)
        return None if place is None else self.routes[place]


@cache
def program_table() -> RouteTable:
    """The table that comes with the program."""
    return RouteTable(routes())


@dataclass(frozen=True, slots=True)
class Routing:
    """Where a visit goes."""

    urgency: Urgency
    """The most urgent of all routes taken and of all findings present."""
    route: Route
    """The one that names the specialty; the archive's where all is normal."""
    others: tuple[Route, ...]
    """All other routes taken, most urgent first: for the same case, not for further cases."""
    findings: tuple[Finding, ...]
    """The findings that took ``route``; empty for routes that no single finding takes."""
    late: Route | None = None
    """Set where a RED case is already old: phone before reading, and never show it as fresh."""
    needs: tuple[str, ...] = ()
    """Facts that nobody has given and that would decide an undetermined finding."""

    @property
    def specialty(self) -> str | None:
        """Who answers first; None for the archive."""
        return self.route.first_specialty

    @property
    def second_specialty(self) -> str | None:
        """Who answers next."""
        return self.route.second_specialty

    @property
    def archive(self) -> bool:
        """Nobody has to look at it."""
        return self.route.trigger.kind == "normal"

    @property
    def clocks(self) -> Clocks:
        """How fast this case must be answered."""
        return clocks(self.urgency)


def route_for(
    findings: Iterable[Finding],
    *,
    age_years: int | None = None,
    chest_pain: str = "unknown",
    now_late_min: float = 0.0,
    table: RouteTable | None = None,
    lowered: Iterable[tuple[str, Urgency]] = (),
) -> Routing:
    """Route a visit by all its findings.

    Undetermined findings take no route of their own, but a visit that has them is not archived. Where it is unknown
    whether the patient has chest pain, a finding that needs to know is routed as if so.

    Args:
        findings: of all readings of the visit.
        age_years: completed years; None: unknown.
        chest_pain: ``yes``, ``no`` or ``unknown``.
        now_late_min: minutes from capture to receipt at the hub.
        table: of routes; None: the program's.
        lowered: rules whose route counts as less urgent here (see ``profiles.toml``), and as how urgent.
    """
    table = table or program_table()
    elderly, late = table.only("elderly").trigger, table.only("late").trigger
    return _routing(
        table,
        tuple(lowered),
        tuple(findings),
        age_years is not None and age_years >= (elderly.age_from_years or 0),
        chest_pain,
        now_late_min > (late.late_above_min or 0),
    )


@lru_cache(maxsize=256)
def _routing(
    table: RouteTable,
    lowered: tuple[tuple[str, Urgency], ...],
    findings: tuple[Finding, ...],
    is_elderly: bool,
    chest_pain: str,
    came_late: bool,
) -> Routing:
    lower = dict(lowered)
    present = [f for f in findings if f.status == "present" and f.urgency is not Urgency.GREEN]
    taken: dict[str, _Taken] = {}
    for finding in present:
        matching = [route for route in table.routes if _takes(route, finding, chest_pain)]
        for route in matching or [table.only("unknown-rule")]:
            taken.setdefault(route.route_id, _Taken(route, lower)).add(finding)
    if chest_pain == "yes":
        pain = table.only("chest-pain")
        taken.setdefault(pain.route_id, _Taken(pain, lower))
    undetermined = [f for f in findings if f.status == "undetermined" and f.urgency is not Urgency.GREEN]
    if not taken:
        route = table.only("undetermined" if undetermined else "normal")
        taken[route.route_id] = _Taken(route, lower)
    ordered = sorted(taken.values(), key=lambda t: (t.urgency.rank, table.order[t.route.route_id]))
    elderly = table.only("elderly")
    yellow = sum(t.urgency is Urgency.YELLOW for t in ordered)
    # The joint request replaces the single ones; beside something more urgent it stands among the others.
    if is_elderly and yellow >= (elderly.trigger.yellow_from or 0):
        place = next(n for n, t in enumerate(ordered) if t.urgency is Urgency.YELLOW)
        ordered.insert(place, _Taken(elderly, lower))
    first = ordered[0]
    late = table.only("late")
    is_late = first.urgency is Urgency.RED and came_late
    return Routing(
        first.urgency,
        first.route,
        tuple(t.route for t in ordered[1:]),
        first.findings,
        late if is_late else None,
        tuple(dict.fromkeys(need for f in undetermined for need in f.needs)),
    )


class _Taken:
    """A route and the findings that take it."""

    def __init__(self, route: Route, lowered: dict[str, Urgency]) -> None:
        self.route, self.lowered = route, lowered
        self.findings: tuple[Finding, ...] = ()

    def add(self, finding: Finding) -> None:
        self.findings += (finding,)

    @property
    def urgency(self) -> Urgency:
        if self.findings and all(f.rule_id in self.lowered for f in self.findings):
            return min((self.lowered[f.rule_id] for f in self.findings), key=lambda u: u.rank)
        return min((self.route.urgency, *(f.urgency for f in self.findings)), key=lambda u: u.rank)


def _takes(route: Route, finding: Finding, chest_pain: str) -> bool:
    trigger = route.trigger
    if finding.rule_id not in trigger.rules:
        return False
    if trigger.if_urgency is not None and finding.urgency is not trigger.if_urgency:
        return False
    return trigger.if_chest_pain is None or trigger.if_chest_pain == ("no" if chest_pain == "no" else "yes")
