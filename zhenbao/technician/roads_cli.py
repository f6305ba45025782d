"""``zhenbao tech road-request``, ``road-accept`` and ``pin-hub``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from zhenbao.words import Words

_words = Words(os.environ.get("ZHENBAO_LANG", ""))


def road_request(context: typer.Context) -> None:
    from zhenbao.agent.settings import kit_home, load_settings
    from zhenbao.model.time import SystemClock
    from zhenbao.technician.roads import ask_for_certificates

    home = kit_home(getattr(context.obj, "home", None))
    settings = load_settings(home)
    mailbox, request = ask_for_certificates(home, settings, SystemClock().now_ms())
    typer.echo(_words("tech.road_requested", mailbox=mailbox, path=request, kit=settings.kit_id))


def road_accept(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help=_words("tech.help.road_folder"))],
    mqtt: Annotated[str, typer.Option("--mqtt", help=_words("tech.help.road_mqtt"))] = "",
    https: Annotated[str, typer.Option("--https", help=_words("tech.help.road_https"))] = "",
) -> None:
    from zhenbao.agent.settings import kit_home, load_settings
    from zhenbao.model.errors import InputError
    from zhenbao.model.time import SystemClock, local_text
    from zhenbao.technician.roads import accept_certificate

    broker = None
    if mqtt:
        host, colon, port = mqtt.rpartition(":")
        if not (host and colon and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise InputError("hub-address", address=mqtt[:80])
        broker = host, int(port)
    home, clock = kit_home(getattr(context.obj, "home", None)), SystemClock()
    settings = load_settings(home)
    accept_certificate(home, settings, folder, mqtt=broker, https=https, now_ms=clock.now_ms())
    typer.echo(_words("tech.road_accepted", now=local_text(clock.now_ms())))


def pin_hub(context: typer.Context, card: Annotated[Path, typer.Argument(help=_words("tech.help.hub_card"))]) -> None:
    from zhenbao.agent.keys import pin_hub as pin
    from zhenbao.agent.keys import read_text
    from zhenbao.agent.settings import kit_home

    pinned = pin(kit_home(getattr(context.obj, "home", None)), read_text(card))
    typer.echo(_words("tech.hub_pinned", fingerprint=pinned.fingerprint))
