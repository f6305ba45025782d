"""The ``zhenbao`` command: the doctor's commands at the top, the others' under ``hub``, ``tech`` and ``sim``.

The language is settled before any help text is made. A room is loaded where the command line names it; what it
needs that is slow to import, it imports inside its commands.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from zhenbao.model.errors import ZhenbaoError
from zhenbao.words import Words


def _language(arguments: list[str]) -> str:
    """``--lang`` before any sub-command, else ZHENBAO_LANG, else Chinese."""
    for position, argument in enumerate(arguments):
        if argument == "--lang" and position + 1 < len(arguments):
            return arguments[position + 1]
        if argument.startswith("--lang="):
            return argument.removeprefix("--lang=")
    return os.environ.get("ZHENBAO_LANG", "")


def build(language: str, arguments: Sequence[str] | None = None) -> typer.Typer:
    """The command tree in one language.

    Args:
        arguments: of the command line: a room that none of them names is listed and not loaded. None: all are.
    """
    os.environ["ZHENBAO_LANG"] = Words(language).language
    from zhenbao.agent.cli import app as doctor

    words = Words(language)
    for name, load, help_ in (
        ("hub", _hub, "cli.hub"),
        ("tech", _technician, "cli.tech"),
        ("sim", _simulators, "cli.sim"),
        ("analyse", _analyse, "analyse.app"),
    ):
        wanted = arguments is None or name in arguments
        doctor.add_typer(load(words) if wanted else typer.Typer(), name=name, help=words(help_))

    @doctor.command("demo", help=words("cli.demo"))
    def demo(
        ecg: Annotated[Path | None, typer.Option("--ecg", help=words("cli.demo_ecg"))] = None,
        as_json: Annotated[bool, typer.Option("--json", help=words("cli.demo_json"))] = False,
        keep: Annotated[bool, typer.Option("--keep", help=words("cli.demo_keep"))] = False,
        pictures: Annotated[Path | None, typer.Option("--pictures", help=words("cli.demo_pictures"))] = None,
    ) -> None:
        from zhenbao.demo import run_demo

        raise typer.Exit(run_demo(words, ecg=ecg, as_json=as_json, keep=keep, pictures=pictures))

    return doctor


def _hub(_words: Words) -> typer.Typer:
    from zhenbao.hub.cli import app

    return app


def _technician(_words: Words) -> typer.Typer:
    from zhenbao.technician.cli import app

    return app


def _analyse(words: Words) -> typer.Typer:
    from zhenbao.analyse.cli import app

    return app(words)


def _simulators(words: Words) -> typer.Typer:
    from zhenbao.firmware_sim.cli import app as sim

    @sim.command("day", help=words("demo.day.help"))
    def day(
        seed: Annotated[int, typer.Option("--seed", help=words("demo.day.seed"))] = 7,
        patients: Annotated[int, typer.Option("--patients", min=1, max=200, help=words("demo.day.patients"))] = 20,
        as_json: Annotated[bool, typer.Option("--json", help=words("demo.day.json"))] = False,
    ) -> None:
        from zhenbao.demo.day import run_day

        raise typer.Exit(run_day(words, seed=seed, patients=patients, as_json=as_json))

    return sim


def main() -> None:
    """Entry point. Expected errors end with what happened and what to do, and a code; never a traceback."""
    language = _language(sys.argv[1:])
    # While the shell completes a word, the words are in its environment.
    app = build(language, None if any(name.endswith("_COMPLETE") for name in os.environ) else sys.argv[1:])
    try:
        app()
    except ZhenbaoError as error:
        words = Words(language)
        what, do = words.error(error)
        sys.stderr.write(f"{words('cli.error', what=what, do=do, code=error.code)}\n")
        sys.exit(1 if error.retry else 2)
