"""``zhenbao hub kit``: which kits the hub believes, by their public cards."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from zhenbao.hub.options import HERE, Database, Directory, open_store
from zhenbao.sync.names import kit_behind
from zhenbao.words import Words

_words = Words(os.environ.get("ZHENBAO_LANG", ""))

kit = typer.Typer(help=_words("hub.cli.kit"), no_args_is_help=True, rich_markup_mode=None)


@kit.command("card", help=_words("hub.cli.kit_card"))
def kit_card(directory: Directory = HERE, database: Database = "") -> None:
    from zhenbao.hub.keys import HubKeyring

    card = HubKeyring(open_store(directory, database), directory).card
    typer.echo(card.text)
    typer.echo(_words("hub.cli.fingerprint", fingerprint=card.fingerprint), err=True)


@kit.command("add", help=_words("hub.cli.kit_add"))
def kit_add(
    card: Annotated[Path, typer.Argument(help=_words("hub.cli.card_file"))],
    directory: Directory = HERE,
    database: Database = "",
) -> None:
    from zhenbao.hub.keys import add_kit, read_card_file

    read = read_card_file(card)
    changed = add_kit(open_store(directory, database), read)
    said = "hub.cli.kit_added" if changed else "hub.cli.kit_unchanged"
    typer.echo(_words(said, kit=read.name, fingerprint=read.fingerprint))


@kit.command("list", help=_words("hub.cli.kit_list"))
def kit_list(directory: Directory = HERE, database: Database = "") -> None:
    from zhenbao.hub.ca_cli import say_ending
    from zhenbao.hub.keys import HubKeyring, kits_behind, registered
    from zhenbao.hub.presence import heard
    from zhenbao.model.time import local_text
    from zhenbao.sync.names import emergency_side

    store = open_store(directory, database)
    seen, behind = heard(store), kits_behind(store, HubKeyring(store, directory).own)
    for row in registered(store):
        state = _words("hub.cli.kit_active" if row.revoked_ms is None else "hub.cli.kit_revoked_state")
        typer.echo(f"{row.kit_id}  {state}  {local_text(row.added_ms)}  {row.card.fingerprint}")
        for name in (row.kit_id, emergency_side(row.kit_id)):
            if (last := seen.get(name)) is not None:
                said = "hub.cli.kit_heard" if name == row.kit_id else "hub.cli.kit_heard_locked"
                here = _words("hub.cli.kit_here" if last.here else "hub.cli.kit_gone")
                road = _words(f"hub.cli.road_{last.road}")
                typer.echo("  " + _words(said, road=road, time=local_text(last.heard_ms), state=here))
        if row.kit_id in behind:
            typer.echo("  " + _words("hub.cli.kit_behind"))
        if row.card.emergency_seal is None:
            typer.echo("  " + _words("hub.cli.kit_no_emergency"))
    say_ending(directory, store.clock.now_ms())


@kit.command("revoke", help=_words("hub.cli.kit_revoke"))
def kit_revoke(
    kit_id: Annotated[str, typer.Argument(help=_words("hub.cli.kit_id"))],
    directory: Directory = HERE,
    database: Database = "",
) -> None:
    from zhenbao.hub import ca
    from zhenbao.hub.issued import FOLDER, read_issued
    from zhenbao.hub.keys import revoke_kit

    store = open_store(directory, database)
    revoke_kit(store, kit_id)
    typer.echo(_words("hub.cli.kit_revoked", kit=kit_id))
    folder = directory / FOLDER
    if any(kit_behind(row.kit_id) == kit_id and not row.revoked_ms for row in read_issued(folder)):
        count = ca.revoke_kit(folder, kit_id, store.clock.now_ms())
        typer.echo(_words("ca.revoked", kit=kit_id, count=count))


def renew_keys(
    anyway: Annotated[bool, typer.Option("--anyway", help=_words("hub.cli.renew_anyway"))] = False,
    directory: Directory = HERE,
    database: Database = "",
) -> None:
    from zhenbao.hub.keys import grace_ms, renew

    card = renew(open_store(directory, database), directory, anyway=anyway)
    typer.echo(_words("hub.cli.keys_renewed", days=grace_ms() // 86_400_000, fingerprint=card.fingerprint))
