"""``zhenbao measure temperature`` and ``weight``, and the options with which any value is typed by hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated

import typer

from zhenbao.words import Words

if TYPE_CHECKING:
    from zhenbao.agent.kit import Kit
    from zhenbao.agent.visit import Visit

_words = Words(os.environ.get("ZHENBAO_LANG", ""))

Confirm = Annotated[str | None, typer.Option("--confirm", help=_words("cli.confirm"))]
Typed = Annotated[str | None, typer.Option("--typed", help=_words("cli.typed"))]
TypedSeveral = Annotated[list[str] | None, typer.Option("--typed", help=_words("cli.typed_several"))]
Pulse = Annotated[str | None, typer.Option("--pulse", help=_words("cli.pulse"))]
Sure = Annotated[bool, typer.Option("--sure", help=_words("cli.sure"))]
GlucoseUnit = Annotated[str, typer.Option("--unit", help=_words("cli.glucose_unit"))]

Measuring = Callable[[typer.Context, str | None], AbstractContextManager["tuple[Kit, Visit]"]]


def add_commands(app: typer.Typer, measuring: Measuring) -> None:
    """Add the commands to ``zhenbao measure``.

    Args:
        measuring: opens the kit and the visit, once the person in the chair is confirmed.
    """

    @app.command("temperature", help=_words("observation.temperature"))
    def temperature(
        context: typer.Context,
        confirm: Confirm = None,
        typed: Typed = None,
        unit: Annotated[str, typer.Option("--unit", help=_words("cli.temperature_unit"))] = "C",
        site: Annotated[str, typer.Option("--site", help=_words("cli.site"))] = "unknown",
        sure: Sure = False,
    ) -> None:
        import asyncio

        from zhenbao.agent.measure.spot import measure_temperature
        from zhenbao.agent.measure.typed import type_temperature

        with measuring(context, confirm) as (kit, visit):
            if typed is not None:
                type_temperature(kit, visit, typed, unit=unit, site=site, sure=sure)
            else:
                asyncio.run(measure_temperature(kit, visit))

    @app.command("weight", help=_words("observation.weight"))
    def weight(
        context: typer.Context,
        confirm: Confirm = None,
        height: Annotated[float | None, typer.Option("--height", help=_words("cli.height_now"))] = None,
        typed: Typed = None,
        sure: Sure = False,
    ) -> None:
        import asyncio

        from zhenbao.agent.measure.spot import measure_weight
        from zhenbao.agent.measure.typed import type_weight

        with measuring(context, confirm) as (kit, visit):
            if typed is not None:
                type_weight(kit, visit, typed, height_cm=height, sure=sure)
            else:
                asyncio.run(measure_weight(kit, visit, height_cm=height))
