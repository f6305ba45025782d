"""``zhenbao hub rules``: the county's versions of routes, thresholds and critical values."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from zhenbao.hub.options import HERE, Database, Directory, open_store
from zhenbao.model.errors import InputError
from zhenbao.words import Words

_words = Words(os.environ.get("ZHENBAO_LANG", ""))

app = typer.Typer(help=_words("hub.rules.help"), no_args_is_help=True, rich_markup_mode=None)

Number = Annotated[int, typer.Argument(metavar="N", min=0, help=_words("hub.rules.number"))]
Clinician = Annotated[str, typer.Option("--by", help=_words("hub.rules.by"))]
Reason = Annotated[str, typer.Option("--reason", help=_words("hub.rules.reason"))]
_ACTOR = "admin"


@app.command("list", help=_words("hub.rules.list"))
def list_versions(directory: Directory = HERE, database: Database = "") -> None:
    from zhenbao.hub.store import rule_versions
    from zhenbao.model.time import local_text
    from zhenbao.rules.ruleset import program_digest

    with closing(open_store(directory, database)) as store, store.reading() as connection:
        now = rule_versions.active_number(connection)
        kept, done = rule_versions.versions(connection), rule_versions.activations(connection)
    mark = _words("hub.rules.in_force") if now == rule_versions.PROGRAM else ""
    typer.echo(_words("hub.rules.line_program", digest=program_digest(), mark=mark).rstrip())
    for version in kept:
        mark = _words("hub.rules.in_force") if version.number == now else ""
        time = local_text(version.made_ms)
        told = _words("hub.rules.line", number=version.number, time=time, who=version.clinician, why=version.reason)
        typer.echo(f"{told}  {mark}".rstrip())
    for act in done:
        time = local_text(act.at_ms)
        typer.echo(_words("hub.rules.act_line", number=act.version, time=time, who=act.clinician, why=act.reason))


@app.command("show", help=_words("hub.rules.show"))
def show(
    number: Annotated[int | None, typer.Argument(metavar="N", help=_words("hub.rules.number"))] = None,
    directory: Directory = HERE,
    database: Database = "",
) -> None:
    from zhenbao.hub.store import rule_versions

    with closing(open_store(directory, database)) as store, store.reading() as connection:
        wanted = rule_versions.active_number(connection) if number is None else number
        content = rule_versions.content_of(connection, wanted)
    typer.echo(_words("hub.rules.shown", number=wanted))
    typer.echo(content.rstrip() or _words("hub.rules.nothing_changed"))


@app.command("diff", help=_words("hub.rules.diff"))
def diff(one: Number, other: Number, directory: Directory = HERE, database: Database = "") -> None:
    from zhenbao.hub.store import rule_versions

    with closing(open_store(directory, database)) as store, store.reading() as connection:
        lines = rule_versions.difference(connection, one, other)
    for line in lines:
        typer.echo(line)
    if not lines:
        typer.echo(_words("hub.rules.same"))


@app.command("add", help=_words("hub.rules.add"))
def add(
    file: Annotated[Path, typer.Argument(help=_words("hub.rules.file"))],
    by: Clinician,
    reason: Reason,
    directory: Directory = HERE,
    database: Database = "",
) -> None:
    from zhenbao.hub.store import rule_versions

    try:
        content = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("rules-file", reason=type(error).__name__) from error
    with closing(open_store(directory, database)) as store, store.writing() as connection:
        made = rule_versions.add(connection, content, by, reason, _ACTOR, store.clock.now_ms())
    typer.echo(_words("hub.rules.added", number=made.number))


@app.command("profile", help=_words("hub.rules.profile"))
def profile(
    key: Annotated[str, typer.Argument(metavar="PROFILE", help=_words("hub.rules.profile_key"))] = "",
    by: Annotated[str, typer.Option("--by", help=_words("hub.rules.by"))] = "",
    reason: Annotated[str, typer.Option("--reason", help=_words("hub.rules.reason"))] = "",
    directory: Directory = HERE,
    database: Database = "",
) -> None:
    import re

    from zhenbao.hub.store import rule_versions
    from zhenbao.rules.ruleset import profiles

    with closing(open_store(directory, database)) as store:
        if not key:
            with store.reading() as connection:
                chosen = rule_versions.active(connection).profile.key
            for known in profiles().values():
                name = known.name_en if _words.language == "en" else known.name_zh
                mark = _words("hub.rules.in_force") if known.key == chosen else ""
                typer.echo(f"{known.key}  {name}  {known.source}  {mark}".rstrip())
            return
        with store.writing() as connection:
            # The other changes in force stay as they are.
            before = rule_versions.content_of(connection, rule_versions.active_number(connection))
            rest = re.sub(r"(?m)^profile\s*=.*\n?", "", before)
            now_ms = store.clock.now_ms()
            made = rule_versions.add(connection, f'profile = "{key}"\n{rest}', by, reason, _ACTOR, now_ms)
            rule_versions.activate(connection, made.number, by, reason, _ACTOR, now_ms)
    typer.echo(_words("hub.rules.activated", number=made.number))


@app.command("activate", help=_words("hub.rules.activate"))
def activate(
    number: Number, by: Clinician, reason: Reason, directory: Directory = HERE, database: Database = ""
) -> None:
    from zhenbao.hub.store import rule_versions

    with closing(open_store(directory, database)) as store, store.writing() as connection:
        rule_versions.activate(connection, number, by, reason, _ACTOR, store.clock.now_ms())
    typer.echo(_words("hub.rules.activated", number=number))


@app.command("rollback", help=_words("hub.rules.rollback"))
def rollback(by: Clinician, reason: Reason, directory: Directory = HERE, database: Database = "") -> None:
    from zhenbao.hub.store import rule_versions

    with closing(open_store(directory, database)) as store, store.writing() as connection:
        done = rule_versions.roll_back(connection, by, reason, _ACTOR, store.clock.now_ms())
    typer.echo(_words("hub.rules.activated", number=done.version))
