"""Who is on duty, and which kit stands in which village. A file that the county keeps; see ``roster.toml``."""

import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import msgspec

from zhenbao.model.errors import InputError
from zhenbao.model.time import local_time
from zhenbao.rules.escalation import To


@dataclass(frozen=True, slots=True)
class Duty:
    """A specialty's first and second line, by login."""

    specialty: str
    first: str
    first_phone: str = ""
    second: str = ""
    second_phone: str = ""
    hours: str = ""
    """``08:00-20:00`` in Beijing time; over midnight where the end is not after the start; empty: always."""

    def covers(self, unix_ms: int) -> bool:
        """Whether the row is on duty at this instant."""
        if not self.hours:
            return True
        start, _, end = self.hours.partition("-")
        now = local_time(unix_ms).strftime("%H:%M")
        return start <= now < end if start < end else now >= start or now < end


@dataclass(frozen=True, slots=True)
class Desk:
    """The hub's desk."""

    phone: str
    emergency: str
    """The specialty that takes critical and urgent cases when nobody else is on duty."""


@dataclass(frozen=True, slots=True)
class Kit:
    """A kit's place."""

    id: str
    village: str = ""
    phone: str = ""


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody who is called when others do not answer."""

    to: str
    """``shift-leader``, ``emergency-head``, ``township-head``, ``township-gp`` or ``department-head``."""
    phone: str
    login: str = ""
    org: str = ""
    """The organisation they are called for, with all below it; empty: for the whole county."""
    specialty: str = ""
    """Of a department's head."""


@dataclass(frozen=True, slots=True)
class Roster:
    """The whole file."""

    desk: Desk
    duty: tuple[Duty, ...] = ()
    kit: tuple[Kit, ...] = field(default=())
    contact: tuple[Contact, ...] = ()

    def contact_for(self, to: str, specialty: str | None, above: Collection[str]) -> Contact | None:
        """Who is called: of the organisations in ``above`` first, then for the whole county."""
        fitting = [c for c in self.contact if c.to == to and (not c.specialty or c.specialty == specialty)]
        return next((c for c in fitting if c.org and c.org in above), next((c for c in fitting if not c.org), None))

    def on_duty(self, specialty: str, unix_ms: int) -> Duty | None:
        """The first row of this specialty that is on duty."""
        return next((d for d in self.duty if d.specialty == specialty and d.covers(unix_ms)), None)

    def gaps(self, specialty: str) -> tuple[tuple[str, str], ...]:
        """The hours of a day (Beijing time) in which nobody of a specialty is on duty, as ``("20:00", "08:00")``."""
        minutes = range(24 * 60)
        free = [not any(d.specialty == specialty and d.covers(_at(minute)) for d in self.duty) for minute in minutes]
        if all(free):
            return (("00:00", "24:00"),)
        # A gap over midnight is one: walk from where somebody is on duty.
        start = free.index(False)
        found, begun = [], None
        for step in range(start, start + 24 * 60 + 1):
            minute = step % (24 * 60)
            if free[minute] and begun is None:
                begun = minute
            elif not free[minute] and begun is not None:
                found.append((_clock(begun), _clock(minute)))
                begun = None
        return tuple(found)

    def place_of(self, kit_id: str) -> Kit:
        """The kit's village and telephone; empty where the file does not list it."""
        return next((k for k in self.kit if k.id == kit_id), Kit(kit_id))

    def phone_of(self, login: str) -> str:
        """A practitioner's telephone on duty; empty where unknown."""
        for row in self.duty:
            if row.first == login:
                return row.first_phone
            if row.second == login:
                return row.second_phone
        return ""


def _at(minute: int) -> int:
    """An instant (Unix ms) at this minute of some day in Beijing."""
    return (minute - 8 * 60) % (24 * 60) * 60_000


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def load_roster(file: Path | None = None) -> Roster:
    """Read a roster; without a file the example that comes with the program.

    Raises:
        InputError: ``roster``: the file cannot be read, or something in it is not understood.
    """
    try:
        text = (file or files("zhenbao.hub").joinpath("roster.toml")).read_text(encoding="utf-8")
        roster = msgspec.convert(_strict(tomllib.loads(text)), Roster)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise InputError("roster", reason=str(error)[:200]) from error
    for row in roster.duty:
        if row.hours and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)", row.hours):
            raise InputError("roster", reason=f"hours {row.hours!r}")
    for contact in roster.contact:
        if contact.to not in get_args(To):
            raise InputError("roster", reason=f"contact {contact.to!r}")
    return roster


def _strict(table: dict[str, Any]) -> dict[str, Any]:
    """A misspelt key would silently leave a night without a doctor, so no unknown key is let through."""
    tables = (("desk", Desk), ("duty", Duty), ("kit", Kit), ("contact", Contact))
    known = {name: {f.name for f in fields(type_)} for name, type_ in tables}
    for name, rows in table.items():
        if name not in known:
            raise msgspec.ValidationError(f"unknown table [{name}]")
        for row in rows if isinstance(rows, list) else [rows]:
            if unknown := set(row) - known[name]:
                raise msgspec.ValidationError(f"unknown key {sorted(unknown)[0]!r} in [{name}]")
    return table
