"""The numbers of ``list.toml``: how the worklist behaves while people look at it."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class ClaimSettings:
    idle_minutes: float


@dataclass(frozen=True, slots=True)
class LiveSettings:
    poll_s: float
    beat_s: float
    late_s: float
    most: int
    most_per_session: int


@dataclass(frozen=True, slots=True)
class PushSettings:
    hosts: tuple[str, ...]
    timeout_s: float
    most_devices: int
    most_failures: int
    arrival_minutes: float
    keep_days: float


@dataclass(frozen=True, slots=True)
class ListSettings:
    claims: ClaimSettings
    live: LiveSettings
    push: PushSettings


@functools.cache
def list_settings() -> ListSettings:
    """The file that comes with the program."""
    raw = tomllib.loads(files("zhenbao.hub").joinpath("list.toml").read_text(encoding="utf-8"))
    push = raw["push"] | {"hosts": tuple(raw["push"]["hosts"])}
    return ListSettings(ClaimSettings(**raw["claims"]), LiveSettings(**raw["live"]), PushSettings(**push))
