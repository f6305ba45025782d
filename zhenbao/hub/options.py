"""Options that all of the hub's commands share, and the store that they name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zhenbao.words import Words

if TYPE_CHECKING:
    from zhenbao.hub.store import HubStore

_words = Words(os.environ.get("ZHENBAO_LANG", ""))

Directory = Annotated[Path, typer.Option("--dir", envvar="ZHENBAO_HUB_DIR", help=_words("hub.cli.directory"))]
Database = Annotated[str, typer.Option("--database", envvar="ZHENBAO_HUB_DATABASE", help=_words("hub.cli.database"))]
HERE = Path("zhenbao-hub")


def open_store(directory: Path, database: str, roster: Path | None = None) -> HubStore:
    """The hub's store, beside a running hub or without one."""
    from zhenbao.hub.roster import load_roster
    from zhenbao.hub.server import DATABASE
    from zhenbao.hub.store import HubStore
    from zhenbao.model.time import SystemClock

    if not database:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return HubStore(database or f"sqlite:///{(directory / DATABASE).absolute()}", SystemClock(), load_roster(roster))
