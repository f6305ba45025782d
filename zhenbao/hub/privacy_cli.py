"""``zhenbao hub privacy``: requests of persons for what is kept of them, or for its deletion."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from zhenbao.hub.options import HERE, Database, Directory, open_store
from zhenbao.model.errors import InputError, StorageError
from zhenbao.words import Words

if TYPE_CHECKING:
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner

_words = Words(os.environ.get("ZHENBAO_LANG", ""))

app = typer.Typer(help=_words("hub.privacy.help"), no_args_is_help=True, rich_markup_mode=None)

As = Annotated[str, typer.Option("--as", help=_words("hub.privacy.cli_as"))]
Id = Annotated[UUID, typer.Argument(metavar="ID", help=_words("hub.privacy.cli_id"))]


@app.command("list", help=_words("hub.privacy.cli_list"))
def list_requests(login: As, directory: Directory = HERE, database: Database = "") -> None:
    from zhenbao.hub import privacy
    from zhenbao.model.time import local_text

    with closing(open_store(directory, database)) as store:
        for request in privacy.listed(store, _person(store, login)):
            kind, state = (
                _words(f"hub.privacy.{k}.{v}") for k, v in (("kind", request.kind), ("state", request.state))
            )
            time = local_text(request.recorded_ms)
            typer.echo(_words("hub.privacy.cli_line", id=request.id, time=time, kind=kind, state=state))


@app.command("record", help=_words("hub.privacy.cli_record"))
def record(
    login: As,
    kind: Annotated[str, typer.Option("--kind", help=_words("hub.privacy.cli_kind"))],
    name: Annotated[str, typer.Option("--name", help=_words("hub.privacy.name"))],
    asked_by: Annotated[str, typer.Option("--asked-by", help=_words("hub.privacy.asked_by"))],
    checked: Annotated[str, typer.Option("--checked", help=_words("hub.privacy.cli_checked"))],
    relation: Annotated[str, typer.Option("--relation", help=_words("hub.privacy.cli_relation"))] = "self",
    reason: Annotated[str, typer.Option("--reason", help=_words("hub.privacy.reason"))] = "",
    case_id: Annotated[UUID | None, typer.Option("--case", help=_words("hub.privacy.case"))] = None,
    directory: Directory = HERE,
    database: Database = "",
) -> None:
    from zhenbao.hub import privacy

    # Never an argument: arguments stand in the list of processes and in the shell's history.
    number = "" if case_id is not None else _number()
    with closing(open_store(directory, database)) as store:
        made = privacy.record(
            store,
            _person(store, login),
            kind=kind,
            number=number,
            name=name,
            asked_by=asked_by,
            relation=relation,
            checked=checked,
            reason=reason,
            case_id=case_id,
        )
    typer.echo(_words("hub.privacy.cli_recorded", id=made.id))


@app.command("decide", help=_words("hub.privacy.cli_decide"))
def decide(
    request_id: Id,
    login: As,
    refuse: Annotated[bool, typer.Option("--refuse", help=_words("hub.privacy.cli_refuse"))] = False,
    directory: Directory = HERE,
    database: Database = "",
) -> None:
    from zhenbao.hub import privacy

    with closing(open_store(directory, database)) as store:
        done = privacy.decide(store, request_id, _person(store, login), approve=not refuse)
    typer.echo(_words(f"hub.privacy.state.{done.state}"))


@app.command("access", help=_words("hub.privacy.cli_access"))
def access(
    request_id: Id,
    login: As,
    out: Annotated[Path, typer.Option("--out", help=_words("hub.privacy.cli_out"))],
    directory: Directory = HERE,
    database: Database = "",
) -> None:
    from zhenbao.hub import privacy
    from zhenbao.hub.person_export import export

    with closing(open_store(directory, database)) as store:
        person = _person(store, login)
        try:
            # Made before the request is used up: a folder that cannot be written costs nothing.
            descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise StorageError("privacy-out", file=out.name[:80]) from error
        with open(descriptor, "wb") as file:
            try:
                asked = privacy.begin_access(store, request_id, person)
            except InputError:
                out.unlink()
                raise
            file.write(export(store, asked.patient_id, _words))
    typer.echo(_words("hub.privacy.cli_written", file=out.name))


@app.command("delete", help=_words("hub.privacy.cli_delete"))
def delete(request_id: Id, login: As, directory: Directory = HERE, database: Database = "") -> None:
    from zhenbao.hub import privacy
    from zhenbao.model.time import local_text

    with closing(open_store(directory, database)) as store:
        done = privacy.delete(store, request_id, _person(store, login)).result()
    typer.echo(_words("hub.privacy.deleted", count=done["deleted"]))
    if done["restricted"]:
        until = local_text(int(str(done["kept_until_ms"])))[:10]
        typer.echo(_words("hub.privacy.restricted", count=done["restricted"], time=until))
    if kits := done["kits"]:
        typer.echo(_words("hub.privacy.kits", kits="、".join(map(str, kits if isinstance(kits, list) else []))))


def _number() -> str:
    if sys.stdin.isatty():
        typed: str = typer.prompt(_words("hub.privacy.cli_number_prompt"), hide_input=True)
        return typed
    return sys.stdin.readline().strip()


def _person(store: HubStore, login: str) -> Practitioner:
    """Whose name goes into the audit; whoever may run commands here answers for using it."""
    from zhenbao.hub.store import people

    with store.reading() as connection:
        found = next((p for p in people.everyone(connection) if p.login == login), None)
    if found is None:
        raise InputError("login-unknown", login=login[:40])
    return found
