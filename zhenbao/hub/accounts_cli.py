"""``zhenbao hub user`` and ``zhenbao hub org``: who may log in, and the tree of organisations."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from zhenbao.hub.options import HERE, Database, Directory, open_store
from zhenbao.words import Words

_words = Words(os.environ.get("ZHENBAO_LANG", ""))

user = typer.Typer(help=_words("hub.cli.user"), no_args_is_help=True, rich_markup_mode=None)
org = typer.Typer(help=_words("hub.cli.org"), no_args_is_help=True, rich_markup_mode=None)

Account = Annotated[str, typer.Argument(help=_words("hub.cli.account"))]
PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help=_words("hub.cli.password_stdin"))]


@user.command("add", help=_words("hub.cli.user_add"))
def user_add(
    account: Account,
    name: Annotated[str, typer.Option("--name", help=_words("hub.cli.name"))],
    role: Annotated[str, typer.Option("--role", help=_words("hub.cli.role"))] = "specialist",
    specialty: Annotated[str, typer.Option("--specialty", help=_words("hub.cli.specialty"))] = "",
    org_id: Annotated[str, typer.Option("--org", help=_words("hub.cli.user_org"))] = "county",
    phone: Annotated[str, typer.Option("--phone", help=_words("hub.cli.phone"))] = "",
    password_stdin: PasswordStdin = False,
    directory: Directory = HERE,
    database: Database = "",
) -> None:
    from zhenbao.hub.server import add_practitioner
    from zhenbao.hub.store.people import check_role

    checked = check_role(role)
    add_practitioner(
        open_store(directory, database),
        account,
        name=name,
        role=checked,
        specialty=specialty or None,
        phone=phone,
        password=ask_password(password_stdin),
        org_id=org_id,
    )
    typer.echo(_words("hub.cli.added", login=account))


@user.command("list", help=_words("hub.cli.user_list"))
def user_list(directory: Directory = HERE, database: Database = "") -> None:
    from zhenbao.hub.store import people

    with open_store(directory, database).reading() as connection:
        for person in people.everyone(connection):
            role = _words(f"hub.role.{person.role}")
            parts = (person.login, person.name, role, person.org_id, person.specialty, person.phone)
            typer.echo("  ".join(part for part in parts if part))


@user.command("disable", help=_words("hub.cli.user_disable"))
def user_disable(account: Account, directory: Directory = HERE, database: Database = "") -> None:
    from zhenbao.hub.store import audit, people

    store = open_store(directory, database)
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        people.disable(connection, account, now_ms)
        audit.append(connection, now_ms, "admin", "practitioner-disabled", f"practitioner:{account}")
    typer.echo(_words("hub.cli.disabled", login=account))


@user.command("password", help=_words("hub.cli.user_password"))
def user_password(
    account: Account, password_stdin: PasswordStdin = False, directory: Directory = HERE, database: Database = ""
) -> None:
    from zhenbao.hub.store import audit, people

    store = open_store(directory, database)
    password = ask_password(password_stdin)
    with store.writing() as connection:
        people.set_password(connection, account, password)
        audit.append(connection, store.clock.now_ms(), "admin", "password-set", f"practitioner:{account}")
    typer.echo(_words("hub.cli.password_set", login=account))


@user.command("code", help=_words("hub.cli.user_code"))
def user_code(
    account: Account,
    off: Annotated[bool, typer.Option("--off", help=_words("hub.cli.user_code_off"))] = False,
    directory: Directory = HERE,
    database: Database = "",
) -> None:
    from zhenbao.hub import second_factor
    from zhenbao.hub.store import audit, people

    store = open_store(directory, database)
    secret = None if off else second_factor.new_secret()
    with store.writing() as connection:
        people.set_second_factor(connection, account, secret)
        action = "code-off" if secret is None else "code-on"
        audit.append(connection, store.clock.now_ms(), "admin", action, f"practitioner:{account}")
    if secret is None:
        typer.echo(_words("hub.cli.code_off", login=account))
    else:
        typer.echo(_words("hub.cli.code_on", login=account))
        typer.echo(second_factor.uri(secret, account, _words("hub.brand")))


@user.command("identity", help=_words("hub.oidc.identity"))
def user_identity(
    account: Account,
    issuer: Annotated[str, typer.Option("--issuer", help=_words("hub.oidc.issuer"))],
    subject: Annotated[str, typer.Option("--subject", help=_words("hub.oidc.subject"))],
    off: Annotated[bool, typer.Option("--off", help=_words("hub.oidc.off"))] = False,
    directory: Directory = HERE,
    database: Database = "",
) -> None:
    from zhenbao.hub.store import audit, oidc_flows

    store = open_store(directory, database)
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        if off:
            oidc_flows.part(connection, issuer, subject)
        else:
            oidc_flows.join(connection, issuer, subject, account, now_ms)
        action = "identity-parted" if off else "identity-joined"
        audit.append(connection, now_ms, "admin", action, f"practitioner:{account}")
    typer.echo(_words("hub.oidc.parted" if off else "hub.oidc.joined", login=account))


@org.command("add", help=_words("hub.cli.org_add"))
def org_add(
    id_: Annotated[str, typer.Argument(metavar="ID", help=_words("hub.cli.org_id"))],
    name: Annotated[str, typer.Option("--name", help=_words("hub.cli.org_name"))],
    kind: Annotated[str, typer.Option("--kind", help=_words("hub.cli.org_kind"))],
    parent: Annotated[str, typer.Option("--parent", help=_words("hub.cli.org_parent"))] = "",
    consortium: Annotated[str, typer.Option("--consortium", help=_words("hub.cli.org_consortium"))] = "",
    phone: Annotated[str, typer.Option("--phone", help=_words("hub.cli.phone"))] = "",
    directory: Directory = HERE,
    database: Database = "",
) -> None:
    from zhenbao.hub.store import audit, organisations

    store = open_store(directory, database)
    with store.writing() as connection:
        made = organisations.Organisation(id_, name, organisations.check_kind(kind), parent or None, consortium, phone)
        organisations.add(connection, made)
        audit.append(connection, store.clock.now_ms(), "admin", "org-added", f"org:{id_}", kind=kind)
    typer.echo(_words("hub.cli.org_added", name=name))


@org.command("list", help=_words("hub.cli.org_list"))
def org_list(directory: Directory = HERE, database: Database = "") -> None:
    from zhenbao.hub.store import organisations

    with open_store(directory, database).reading() as connection:
        units = organisations.everyone(connection)
    for unit in units:
        indent = "  " * organisations.depth(unit, units)
        parts = (unit.id, unit.name, _words(f"hub.org_kind.{unit.kind}"), unit.consortium, unit.phone)
        typer.echo(indent + "  ".join(part for part in parts if part))


@org.command("kit", help=_words("hub.cli.org_kit"))
def org_kit(
    kit_id: Annotated[str, typer.Argument(metavar="KIT", help=_words("hub.cli.kit_id"))],
    org_id: Annotated[str, typer.Argument(metavar="ORG", help=_words("hub.cli.org_id"))],
    directory: Directory = HERE,
    database: Database = "",
) -> None:
    from zhenbao.hub.store import audit, organisations

    store = open_store(directory, database)
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        organisations.place_kit(connection, kit_id, org_id, now_ms)
        audit.append(connection, now_ms, "admin", "kit-placed", f"kit:{kit_id[:60]}", org=org_id)
    typer.echo(_words("hub.cli.kit_placed", kit=kit_id, org=org_id))


def ask_password(from_stdin: bool) -> str:
    """A new password: typed twice, or the first line of the standard input."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    typed: str = typer.prompt(_words("hub.cli.password_prompt"), hide_input=True, confirmation_prompt=True)
    return typed
