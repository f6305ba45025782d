"""What a specialist can tick in a report: ``report_templates.toml``, by specialty."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True)
class Group:
    """Choices that belong together; ``key`` is one of the ``report_group`` words."""

    key: str
    choices: tuple[str, ...]
    """Keys of the code table or of the ``report_choice`` words."""
    one: bool = False
    """At most one of them."""


@dataclass(frozen=True, slots=True)
class _Alone:
    choice: str
    groups: frozenset[str]
    """Whole groups that may stand beside it."""
    choices: frozenset[str]
    """Single choices that may."""


def report_template(specialty: str | None) -> tuple[Group, ...]:
    """The groups of a specialty's report, in their order; none for a specialty that has no template."""
    return _templates()[0].get(specialty or "", ())


def contradiction(specialty: str | None, choices: Sequence[str]) -> tuple[str, str] | None:
    """Two of these choices that cannot both be true; None where there are none.

    Raises:
        KeyError: a choice that the specialty's template does not have.
    """
    groups = report_template(specialty)
    group_of = {choice: group for group in groups for choice in group.choices}
    for choice in choices:
        if choice not in group_of:
            raise KeyError(choice)
    for i, one in enumerate(choices):
        for other in choices[i + 1 :]:
            if group_of[one] is group_of[other] and group_of[one].one:
                return one, other
    for alone in _templates()[1]:
        if alone.choice in choices:
            for other in choices:
                allowed = other in alone.choices or group_of[other].key in alone.groups
                if other != alone.choice and not allowed:
                    return alone.choice, other
    return None


def ordered(specialty: str | None, choices: Sequence[str]) -> tuple[str, ...]:
    """The choices in the order of the template, each once; what it does not offer is left out."""
    wanted = set(choices)
    return tuple(choice for group in report_template(specialty) for choice in group.choices if choice in wanted)


@cache
def _templates() -> tuple[Mapping[str, tuple[Group, ...]], tuple[_Alone, ...]]:
    text = files("zhenbao.rules").joinpath("report_templates.toml").read_text(encoding="utf-8")
    raw: dict[str, Any] = tomllib.loads(text)
    groups = {key: Group(key, tuple(g["choices"]), g.get("one", False)) for key, g in raw["group"].items()}
    alone = []
    for row in raw["alone"]:
        parts = [entry.partition(":") for entry in row["beside"]]
        alone.append(
            _Alone(
                row["choice"],
                frozenset(group for group, _, choice in parts if not choice),
                frozenset(choice for _, _, choice in parts if choice),
            )
        )
    by_specialty = {key: tuple(groups[g] for g in named) for key, named in raw["specialty"].items()}
    return MappingProxyType(by_specialty), tuple(alone)
