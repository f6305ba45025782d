"""Who may do what to which case: a table (``permissions.toml``) and the one function that reads it. Pure."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal, get_args

Role = Literal[
    "village-doctor",
    "township-doctor",
    "operator",
    "specialist",
    "provincial-expert",
    "health-manager",
    "quality",
    "director",
    "technician",
    "admin",
    "auditor",
    "privacy-officer",
]
Action = Literal[
    "list",
    "open",
    "report",
    "second-read",
    "consult",
    "opine",
    "discuss",
    "assign",
    "claim",
    "handover",
    "search-name",
    "search-number",
    "loop",
    "chest-pain",
    "channel",
    "merge",
    "refer",
    "break-glass",
    "chronic",
    "statistics",
    "fleet",
    "accounts",
    "organisations",
    "audit",
    "share-ask",
    "share-decide",
    "consent",
    "privacy",
    "privacy-approve",
    "rules",
    "score",
]
Reach = Literal["own", "subtree", "assigned", "granted", "all"]
Place = Literal["own", "below", "outside"]
Denial = Literal["denied-role", "denied-outside", "denied-unassigned", "denied-grant", "denied-restricted"]

CLINICAL: tuple[Role, ...] = ("specialist", "township-doctor")
"""Roles that write reports, and therefore have a specialty."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a person stands to a case."""

    place: Place
    """Where the case's organisation lies, seen from the person's: their own, below it, or elsewhere."""
    assigned: bool = False
    """Theirs by specialty, by name, or jointly."""
    granted: bool = False
    """A grant that has not ended opens the patient to them."""
    restricted: bool = False
    """The case is only kept: the person asked for its deletion, and the law wants it kept."""
    emergency: bool = False
    """The grant is an emergency look: saving a life goes before a restriction."""


def reach(role: Role, action: Action) -> Reach | None:
    """How far a role's right to an action goes; None: it has no such right."""
    return _table()[role].get(action)


def denial(role: Role, action: Action, standing: Standing) -> Denial | None:
    """Why a person may not do this to a case; None: they may.

    Args:
        role: the person's.
        action: what they want to do.
        standing: how they stand to the case.
    """
    allowed = reach(role, action)
    if allowed is None:
        return "denied-role"
    if standing.restricted and not (standing.granted and standing.emergency and action == "open"):
        return "denied-restricted" if action != "break-glass" else None
    if allowed == "all":
        return None
    if standing.granted and action in ("list", "open", "opine", "chest-pain"):
        return None
    if allowed == "granted":
        return "denied-grant"
    if standing.place == "outside" or (allowed == "own" and standing.place != "own"):
        return "denied-outside"
    if allowed == "assigned" and not standing.assigned:
        return "denied-unassigned"
    return None


@functools.cache
def _table() -> dict[Role, dict[Action, Reach]]:
    """The table, checked: an unknown word in it would silently close or open something."""
    raw = tomllib.loads(files("zhenbao.hub").joinpath("permissions.toml").read_text(encoding="utf-8"))
    roles, actions, reaches = get_args(Role), get_args(Action), get_args(Reach)
    if set(raw) != set(roles):
        raise ValueError(f"permissions.toml: roles {set(raw) ^ set(roles)}")
    for role, rights in raw.items():
        for action, value in rights.items():
            if action not in actions or value not in reaches:
                raise ValueError(f"permissions.toml: {role}.{action} = {value!r}")
    return raw  # type: ignore[return-value]  # its words were just checked
