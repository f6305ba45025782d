"""``zhenbao hub recovery-key`` and ``zhenbao hub recover``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zhenbao.words import Words

if TYPE_CHECKING:
    from zhenbao.hub.store import HubStore

_words = Words(os.environ.get("ZHENBAO_LANG", ""))
Directory = Annotated[Path, typer.Option("--dir", envvar="ZHENBAO_HUB_DIR", help=_words("hub.cli.directory"))]
Database = Annotated[str, typer.Option("--database", envvar="ZHENBAO_HUB_DATABASE", help=_words("hub.cli.database"))]
_HERE = Path("zhenbao-hub")


def add_commands(app: typer.Typer, store: Callable[[Path, str], HubStore]) -> None:
    """Add the commands to ``zhenbao hub``.

    Args:
        store: opens the hub's store.
    """

    @app.command("recovery-key", help=_words("hub.recovery.key_help"))
    def recovery_key(directory: Directory = _HERE) -> None:
        from zhenbao.hub.recovery import FILE, public_key

        typer.echo(public_key(directory))
        typer.echo(_words("hub.recovery.guard", file=directory / FILE), err=True)

    @app.command("recover", help=_words("hub.recovery.help"))
    def recover(
        request: Annotated[str, typer.Argument(help=_words("hub.recovery.request"))],
        technician: Annotated[str, typer.Option("--technician", help=_words("hub.recovery.technician"))],
        reason: Annotated[str, typer.Option("--reason", help=_words("hub.recovery.reason"))],
        key: Annotated[Path | None, typer.Option("--key", help=_words("hub.recovery.key_file"))] = None,
        directory: Directory = _HERE,
        database: Database = "",
    ) -> None:
        from zhenbao.hub.recovery import FILE
        from zhenbao.hub.recovery import recover as answer

        as_file = Path(request) if len(request) < 200 else None
        text = as_file.read_text(encoding="utf-8") if as_file is not None and as_file.is_file() else request
        opened = store(directory, database)
        typer.echo(answer(opened, key or directory / FILE, text, technician=technician, reason=reason))
        typer.echo(_words("hub.recovery.done", technician=technician), err=True)
