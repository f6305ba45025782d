"""``zhenbao hub kit``: which kits the hub believes, by their public cards."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from zhenbao.hub.options import HERE, Database, Directory, open_store
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
    from zhenbao.hub.keys import registered
    from zhenbao.model.time import local_text

    for row in registered(open_store(directory, database)):
        state = _words("hub.cli.kit_active" if row.revoked_ms is None else "hub.cli.kit_revoked_state")
        typer.echo(f"{row.kit_id}  {state}  {local_text(row.added_ms)}  {row.card.fingerprint}")


@kit.command("revoke", help=_words("hub.cli.kit_revoke"))
def kit_revoke(
    kit_id: Annotated[str, typer.Argument(help=_words("hub.cli.kit_id"))],
    directory: Directory = HERE,
    database: Database = "",
) -> None:
    from zhenbao.hub.keys import revoke_kit

    revoke_kit(open_store(directory, database), kit_id)
    typer.echo(_words("hub.cli.kit_revoked", kit=kit_id))
