"""``zhenbao hub roster``: what stands in a duty roster, and where nobody would answer."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zhenbao.hub.options import HERE, Database, Directory, open_store
from zhenbao.words import Words

if TYPE_CHECKING:
    from zhenbao.hub.roster import Roster

_words = Words(os.environ.get("ZHENBAO_LANG", ""))
app = typer.Typer(help=_words("hub.roster.help"), no_args_is_help=True, rich_markup_mode=None)
File = Annotated[Path | None, typer.Argument(metavar="FILE", help=_words("hub.cli.roster"))]


def duty(roster: Annotated[Path | None, typer.Option("--roster", help=_words("hub.cli.roster"))] = None) -> None:
    from zhenbao.hub.roster import load_roster

    if not _covered(load_roster(roster)):
        raise typer.Exit(1)


@app.command("check", help=_words("hub.roster.check"))
def check(file: File = None, directory: Directory = HERE, database: Database = "") -> None:
    from zhenbao.hub.roster import load_roster
    from zhenbao.hub.server import DATABASE

    loaded = load_roster(file)
    whole = _covered(loaded)
    if not database and not (directory / DATABASE).exists():
        typer.echo(_words("hub.roster.no_database", place=directory / DATABASE), err=True)
    elif missing := _without_account(loaded, directory, database):
        names = _words("hub.list_separator").join(missing)
        typer.echo(_words("hub.roster.no_account", logins=names), err=True)
        whole = False
    if not whole:
        raise typer.Exit(1)


@app.command("show", help=_words("hub.roster.show"))
def show(file: File = None) -> None:
    from zhenbao import rules
    from zhenbao.hub.roster import load_roster

    loaded = load_roster(file)
    typer.echo(_words("hub.roster.desk", phone=loaded.desk.phone))
    known = rules.specialties()
    for row in loaded.duty:
        name = known[row.specialty].name(_words.language) if row.specialty in known else row.specialty
        first, second = _call(row.first, row.first_phone), _call(row.second, row.second_phone)
        hours = row.hours or _words("hub.duty.always")
        typer.echo(_words("hub.roster.duty", name=name, hours=hours, first=first, second=second))
    for contact in loaded.contact:
        whom = _words(f"hub.to.{contact.to}")
        place = "  ".join(part for part in (contact.org, contact.specialty) if part)
        typer.echo(
            _words("hub.roster.contact", whom=whom, call=_call(contact.login, contact.phone), place=place).rstrip()
        )
    for kit in loaded.kit:
        typer.echo("  ".join(part for part in (kit.id, kit.village, kit.phone) if part))


def _covered(loaded: Roster) -> bool:
    """Say for each specialty when nobody is on duty; whether the emergency doctors are there day and night."""
    from zhenbao import rules

    asked = [key for key, value in rules.specialties().items() if value.kind == "department"]
    weak = False
    for key in asked:
        name, gaps = rules.specialties()[key].name(_words.language), loaded.gaps(key)
        second = all(row.second for row in loaded.duty if row.specialty == key)
        hours = _words("hub.duty.always") if not gaps else "、".join(f"{a}-{b}" for a, b in gaps)
        told = "hub.duty.line" if not gaps else "hub.duty.gap"
        typer.echo(_words(told, name=name, hours=hours))
        if not gaps and not second:
            typer.echo(_words("hub.duty.no_second", name=name))
        weak = weak or (key == loaded.desk.emergency and bool(gaps))
    if weak:
        typer.echo(_words("hub.duty.emergency_gap"), err=True)
    return not weak


def _without_account(loaded: Roster, directory: Path, database: str) -> list[str]:
    """Logins of the roster that nobody can log in with: their cases would wait for nobody."""
    from zhenbao.hub.store import people

    named = {login for row in loaded.duty for login in (row.first, row.second)} | {c.login for c in loaded.contact}
    with closing(open_store(directory, database)) as store, store.reading() as connection:
        accounts = {person.login for person in people.everyone(connection)}
    return sorted(named - accounts - {""})


def _call(login: str, phone: str) -> str:
    return " ".join(part for part in (login, phone) if part) or "-"
