"""Clinical thresholds, routing and codes as data with a source each, and the small code that applies them.

Nothing here diagnoses: a finding is a hint on the device (初筛提示) until a physician has reported.
"""

from zhenbao.model.finding import Finding
from zhenbao.rules.judge import DOMAINS, evaluate, facts, facts_behind
from zhenbao.rules.routes import Route, Trigger, routes
from zhenbao.rules.routing import RouteTable, Routing, program_table, route_for
from zhenbao.rules.table import Bilingual, Clocks, Rule, all_rules, clocks, rule
from zhenbao.rules.terms import Code, Specialty, codes, specialties

__all__ = [
    "DOMAINS",
    "Bilingual",
    "Clocks",
    "Code",
    "Finding",
    "Route",
    "RouteTable",
    "Routing",
    "Rule",
    "Specialty",
    "Trigger",
    "all_rules",
    "clocks",
    "codes",
    "evaluate",
    "facts",
    "facts_behind",
    "program_table",
    "route_for",
    "routes",
    "rule",
    "specialties",
]
