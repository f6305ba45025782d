"""From what was found in one visit to who answers, and by when. Values in, a value out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from zhenbao import rules
from zhenbao.hub.roster import Roster
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.observation import Observation
from zhenbao.rules import RouteTable


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a visit goes."""

    urgency: Urgency
    route_id: str
    other_routes: tuple[str, ...]
    lead_rule: str | None
    """The finding to show first; None: no single finding led here, show the route's own words."""
    specialty: str | None
    """None: nobody needs to answer (archive)."""
    second_specialty: str | None
    late: bool
    """Critical, and already old when it came: telephone before reading."""
    owner: str | None
    """Login of the first line on duty; None: the hub's desk finds somebody."""
    owner_phone: str
    fallback: bool
    """Nobody of the specialty is on duty."""
    ack_min: int | None
    report_min: int | None
    joint: tuple[str, ...] = ()
    """Who else is asked for their part."""


def place(
    findings: Sequence[Finding],
    *,
    age_years: int | None,
    chest_pain: str,
    late_min: float,
    roster: Roster,
    at_ms: int,
    table: RouteTable | None = None,
    lowered: Iterable[tuple[str, Urgency]] = (),
) -> Placement:
    """Route the findings of one visit.

    Args:
        findings: of all readings of the visit.
        age_years: completed years; None: unknown.
        chest_pain: ``yes``, ``no`` or ``unknown``.
        late_min: minutes from the taking to the receipt of the reading that is most urgent.
        roster: who is on duty.
        at_ms: the hub's time.
        table: of routes; None: the program's.
        lowered: see ``rules.route_for``.
    """
    table = table or rules.program_table()
    routing = rules.route_for(
        findings, age_years=age_years, chest_pain=chest_pain, now_late_min=late_min, table=table, lowered=lowered
    )
    others = tuple(route.route_id for route in routing.others)
    owner, phone, fallback = _owner(routing.specialty, routing.urgency, roster, at_ms)
    return Placement(
        urgency=routing.urgency,
        route_id=routing.route.route_id,
        other_routes=others,
        lead_rule=routing.findings[0].rule_id if routing.findings else None,
        specialty=routing.specialty,
        second_specialty=routing.second_specialty,
        late=routing.late is not None,
        owner=owner,
        owner_phone=phone,
        fallback=fallback,
        ack_min=routing.clocks.ack_min,
        report_min=routing.clocks.report_min,
        joint=joint_specialties(table, others, routing.specialty, routing.second_specialty),
    )


def joint_specialties(table: RouteTable, other_routes: Sequence[str], *leading: str | None) -> tuple[str, ...]:
    """Who else is asked for their part of a case: the first specialties of the routes that do not lead it."""
    wanted = set(other_routes)
    asked = (route.first_specialty for route in table.routes if route.route_id in wanted)
    return tuple(dict.fromkeys(s for s in asked if s is not None and s not in leading))


def routes_to(specialty: str) -> tuple[str, ...]:
    """The program's routes on which a specialty answers first: for cases that were ranked before versions were kept."""
    return tuple(route.route_id for route in rules.routes() if route.first_specialty == specialty)


def concerns(table: RouteTable, reading: Observation, specialty: str) -> bool:
    """Whether one of a reading's findings is this specialty's to answer."""
    found = {finding.rule_id for finding in reading.findings if finding.status == "present"}
    return any(route.first_specialty == specialty and found & set(route.trigger.rules) for route in table.routes)


def _owner(specialty: str | None, urgency: Urgency, roster: Roster, at_ms: int) -> tuple[str | None, str, bool]:
    """Login, telephone, and whether that is only the fallback."""
    if specialty is None:
        return None, "", False
    duty = roster.on_duty(specialty, at_ms)
    if duty is not None:
        return duty.first, duty.first_phone, False
    # What cannot wait goes to the emergency doctors; what can is for the desk to place, not to wake somebody.
    if urgency.rank <= Urgency.ORANGE.rank:
        emergency = roster.on_duty(roster.desk.emergency, at_ms)
        if emergency is not None:
            return emergency.first, emergency.first_phone, True
    return None, roster.desk.phone, True
