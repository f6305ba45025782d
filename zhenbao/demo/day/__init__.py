"""A day of visits in accelerated time, drawn from a number, with the truth beside what the kit said."""

from __future__ import annotations

import json
import logging
import tempfile
from pathlib import Path

import typer

from zhenbao.words import Words


def run_day(words: Words, *, seed: int, patients: int, as_json: bool) -> int:
    """Play the day and tell it. Returns the exit code: 0 only if the kit agreed with every truth and lost nothing."""
    from zhenbao.demo.day.play import play_day

    # What the simulated radio logs of links that break off is part of the play.
    logging.getLogger("bumble").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="zhenbao-day-") as folder:
        account = play_day(seed, patients, Path(folder), told=None if as_json else typer.echo, words=words)
    if as_json:
        typer.echo(json.dumps(account, ensure_ascii=False))
    else:
        typer.echo(words("demo.day.counts", **account["counts"]))
        typer.echo(words("demo.day.agrees" if account["agrees"] else "demo.day.differs"))
    return 0 if account["agrees"] else 1
