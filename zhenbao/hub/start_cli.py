"""``zhenbao hub init``: what a hub needs before it can serve: its folder, database, keys and a first administrator."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from zhenbao.hub.accounts_cli import PasswordStdin, ask_password
from zhenbao.hub.options import HERE, Database, Directory, open_store
from zhenbao.words import Words

if TYPE_CHECKING:
    from zhenbao.hub.store import HubStore

_words = Words(os.environ.get("ZHENBAO_LANG", ""))


def init(
    directory: Directory = HERE,
    database: Database = "",
    account: Annotated[str, typer.Option("--account", help=_words("hub.init.account"))] = "admin",
    name: Annotated[str, typer.Option("--name", help=_words("hub.init.name"))] = _words("hub.role.admin"),
    password_stdin: PasswordStdin = False,
) -> None:
    from zhenbao.hub.keys import HubKeyring
    from zhenbao.hub.server import DATABASE
    from zhenbao.sync.keys import FILE

    # Whatever is there stays as it is: a second run, or one after a mistake, only adds what is missing.
    had_database = not database and (directory / DATABASE).exists()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with closing(open_store(directory, database)) as store:
        place = database.rpartition("@")[2] or str(directory / DATABASE)
        typer.echo(_words("hub.init.database_there" if had_database or database else "hub.init.database", place=place))
        had_keys = (directory / FILE).exists()
        HubKeyring(store, directory)
        typer.echo(_words("hub.init.keys_there" if had_keys else "hub.init.keys", place=directory / FILE))
        admins = _administrators(store)
        if admins:
            typer.echo(_words("hub.init.admin_there", logins=_words("hub.list_separator").join(admins)))
        else:
            _add_administrator(store, account, name, password_stdin)
            typer.echo(_words("hub.init.admin", login=account))
    typer.echo(_words("hub.init.next", directory=directory))


def _administrators(store: HubStore) -> list[str]:
    from zhenbao.hub.store import people

    with store.reading() as connection:
        return [person.login for person in people.everyone(connection) if person.role == "admin"]


def _add_administrator(store: HubStore, account: str, name: str, password_stdin: bool) -> None:
    from zhenbao.hub.server import add_practitioner

    password = ask_password(password_stdin)
    add_practitioner(store, account, name=name, role="admin", specialty=None, phone="", password=password)
