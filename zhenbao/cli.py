"""The ``zhenbao`` command: the doctor's commands at the top, the others' under ``hub``, ``tech`` and ``sim``.

The language is settled before any help text is made. Rooms are mounted, not loaded: what a room needs that is
slow to import, it imports inside its commands.
"""

import os
import sys
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


def build(language: str) -> typer.Typer:
    """The whole command tree in one language."""
    os.environ["ZHENBAO_LANG"] = Words(language).language
    from zhenbao.agent.cli import app as doctor
    from zhenbao.analyse.cli import app as analyse
    from zhenbao.firmware_sim.cli import app as sim
    from zhenbao.hub.cli import app as hub
    from zhenbao.technician.cli import app as technician

    words = Words(language)
    doctor.add_typer(hub, name="hub", help=words("cli.hub"))
    doctor.add_typer(technician, name="tech", help=words("cli.tech"))
    doctor.add_typer(sim, name="sim", help=words("cli.sim"))

    @sim.command("day", help=words("demo.day.help"))
    def day(
        seed: Annotated[int, typer.Option("--seed", help=words("demo.day.seed"))] = 7,
        patients: Annotated[int, typer.Option("--patients", min=1, max=200, help=words("demo.day.patients"))] = 20,
        as_json: Annotated[bool, typer.Option("--json", help=words("demo.day.json"))] = False,
    ) -> None:
        from zhenbao.demo.day import run_day

        raise typer.Exit(run_day(words, seed=seed, patients=patients, as_json=as_json))

    doctor.add_typer(analyse(words), name="analyse", help=words("analyse.app"))

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


def main() -> None:
    """Entry point. Expected errors end with what happened and what to do, and a code; never a traceback."""
    language = _language(sys.argv[1:])
    app = build(language)
    try:
        app()
    except ZhenbaoError as error:
        words = Words(language)
        what, do = words.error(error)
        sys.stderr.write(f"{words('cli.error', what=what, do=do, code=error.code)}\n")
        sys.exit(1 if error.retry else 2)
