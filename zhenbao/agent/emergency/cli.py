"""``zhenbao emergency``: works while the kit is locked."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zhenbao.model.time import SystemClock, local_text
from zhenbao.words import Words

if TYPE_CHECKING:
    from zhenbao.agent.screen import Screen

_words = Words(os.environ.get("ZHENBAO_LANG", ""))


def add_commands(app: typer.Typer, place: Callable[[typer.Context], tuple[Path, Screen]]) -> None:
    """Add the commands.

    Args:
        place: the kit's folder and screen; opens nothing.
    """
    group = typer.Typer(
        help=_words("emergency.help"), no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
    )
    app.add_typer(group, name="emergency")

    @group.command("ecg", help=_words("emergency.ecg_help"))
    def ecg(
        context: typer.Context,
        device: Annotated[str, typer.Option("--device", help=_words("cli.ecg_device"))] = "",
        sex: Annotated[str, typer.Option("--sex", help=_words("cli.sex"))] = "unknown",
        chest_pain: Annotated[str, typer.Option("--chest-pain", help=_words("cli.chest_pain"))] = "unknown",
        note: Annotated[str, typer.Option("--note", help=_words("emergency.note_help"))] = "",
    ) -> None:
        import asyncio

        from zhenbao.agent.emergency.record import emergency, seal_what_a_kill_left
        from zhenbao.agent.keys import for_emergencies
        from zhenbao.agent.settings import check_ecg_device, load_settings
        from zhenbao.model.errors import ZhenbaoError

        home, screen = place(context)
        settings = load_settings(home)
        chosen = check_ecg_device(device) or settings.ecg_device or "front-end"
        clock = SystemClock(getattr(context.obj, "time_factor", 1.0))
        try:
            for_emergencies(home)
        except ZhenbaoError as error:
            screen.trouble(error)  # recorded and judged all the same
        seal_what_a_kill_left(home, clock, screen)
        screen.say("emergency.begun")
        with emergency(home, clock, screen, sex=sex, chest_pain=chest_pain, note=note) as (kit, visit):
            if chosen == "front-end":
                from zhenbao.agent.measure.ecg import measure_ecg

                asyncio.run(measure_ecg(kit, visit))
            else:
                from zhenbao.agent.measure.strip import measure_strip

                asyncio.run(measure_strip(kit, visit, chosen))

    @group.command("status", help=_words("emergency.status_help"))
    def status(context: typer.Context) -> None:
        home, screen = place(context)
        show_emergencies(home, screen)


def show_emergencies(home: Path, screen: Screen) -> None:
    """What waits, what the hub has, and what it refused. Needs no PIN."""
    from zhenbao.agent.emergency.record import left_over
    from zhenbao.agent.emergency.spool import account

    now, unsealed = account(home), left_over(home)
    screen.say("emergency.status", waiting=now.waiting, received=now.received)
    if now.last_received_ms is not None:
        screen.say("emergency.last_received", time=local_text(now.last_received_ms))
    for reason in now.refused:
        screen.say("emergency.refused", reason=reason)
    if unsealed:
        screen.say("emergency.left_over")
    screen.event("emergency", waiting=now.waiting, received=now.received, refused=list(now.refused), unsealed=unsealed)
