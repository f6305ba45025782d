"""Checks of ``zhenbao hub``: the audit's chain."""

from __future__ import annotations

import os
from contextlib import closing
from typing import Annotated

import typer

from zhenbao.hub.options import HERE, Database, Directory, open_store
from zhenbao.words import Words

_words = Words(os.environ.get("ZHENBAO_LANG", ""))


def audit_verify(
    directory: Directory = HERE,
    database: Database = "",
    known: Annotated[list[str] | None, typer.Option("--known", help=_words("hub.privacy.audit_known"))] = None,
    as_json: Annotated[bool, typer.Option("--json", help=_words("hub.cli.as_json"))] = False,
) -> None:
    from zhenbao.hub.reports import Reports
    from zhenbao.hub.store import audit

    kept = [audit.parse_known(text) for text in known or ()]
    with closing(open_store(directory, database)) as store:
        with store.reading() as connection:
            chain = audit.verify(connection, known=kept)
        altered = Reports(store).altered()
    if as_json:
        import msgspec

        told = msgspec.json.encode({"chain": chain, "altered_reports": altered})
        typer.echo(msgspec.json.format(told).decode())
    elif chain.broken is None and not altered:
        typer.echo(_words("hub.privacy.audit_whole", rows=chain.rows, redacted=chain.redacted))
        typer.echo(_words("hub.privacy.audit_keep", known=f"{chain.rows}:{chain.last_hash}"))
    if chain.broken is not None:
        typer.echo(_words("hub.cli.audit_broken", number=chain.broken), err=True)
    if altered:
        typer.echo(_words("hub.cli.reports_altered", reports=", ".join(map(str, altered))), err=True)
    if chain.broken is not None or altered:
        raise typer.Exit(1)
