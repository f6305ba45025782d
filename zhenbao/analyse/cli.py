"""The commands under ``zhenbao analyse``."""

import typer

from zhenbao.analyse import bp24, ecg, spirometry, summary
from zhenbao.words import Words


def app(words: Words) -> typer.Typer:
    """The sub-commands in one language."""
    commands = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

    @commands.callback()
    def group() -> None:
        """Keeps each command a sub-command."""

    ecg.add(commands, words)
    spirometry.add(commands, words)
    summary.add(commands, words)
    bp24.add(commands, words)
    return commands
