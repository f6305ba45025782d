"""``zhenbao unlock``, ``lock``, ``pin`` and ``recover``."""

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
Stdin = Annotated[bool, typer.Option("--stdin", help=_words("vault.help.stdin"))]
Place = Callable[[typer.Context], "tuple[Path, Screen]"]


def add_commands(app: typer.Typer, place: Place) -> None:
    """Add the commands.

    Args:
        place: the kit's folder and screen; opens nothing.
    """
    pin, recover = (
        typer.Typer(
            help=_words(f"vault.help.{name}"),
            no_args_is_help=True,
            rich_markup_mode=None,
            pretty_exceptions_enable=False,
        )
        for name in ("pin", "recover")
    )
    _add_lock(app, place)
    _add_pin(pin, place)
    _add_recover(recover, place)
    app.add_typer(pin, name="pin")
    app.add_typer(recover, name="recover")


def _add_lock(app: typer.Typer, place: Place) -> None:
    @app.command("unlock", help=_words("vault.help.unlock"))
    def unlock(context: typer.Context, stdin: Stdin = False) -> None:
        from zhenbao.agent.settings import load_settings
        from zhenbao.agent.vault.ask import read_pin, unlock_with
        from zhenbao.agent.vault.file import load

        home, screen = place(context)
        settings = load_settings(home)
        load(home)  # a kit without a PIN says so before it asks for one
        unlock_with(home, settings, read_pin(_words, "vault.prompt", stdin=stdin), SystemClock(), screen)
        screen.say("vault.unlocked")
        screen.event("unlocked")

    @app.command("lock", help=_words("vault.help.lock"))
    def lock(context: typer.Context) -> None:
        from zhenbao.agent.vault.unlocked import forget

        home, screen = place(context)
        forget(home)
        screen.say("vault.locked")
        screen.event("locked")


def _add_pin(app: typer.Typer, place: Place) -> None:
    @app.command("set", help=_words("vault.help.set"))
    def set_pin(context: typer.Context, stdin: Stdin = False) -> None:
        from zhenbao.agent.settings import load_settings
        from zhenbao.agent.vault.ask import put_keys_inside, read_new_pin
        from zhenbao.agent.vault.unlocked import hold
        from zhenbao.agent.vault.vault import create, refuse_second
        from zhenbao.sync.recovery import public_from

        home, screen = place(context)
        settings = load_settings(home)
        refuse_second(home)
        _say_rule(screen)
        pin = read_new_pin(_words, stdin=stdin)
        hub_key = public_from(settings.recovery_key) if settings.recovery_key else None
        key = create(home, settings.kit_id, pin, hub_key=hub_key)
        hold(home, key, 60.0 * settings.lock_after_min)
        put_keys_inside(home, settings, key, SystemClock(), screen)
        screen.say("vault.set")
        if hub_key is None:
            screen.say("vault.no_recovery")
        screen.event("pin-set", recovery=hub_key is not None)

    @app.command("change", help=_words("vault.help.change"))
    def change(context: typer.Context, stdin: Stdin = False) -> None:
        from zhenbao.agent.vault.ask import read_new_pin, read_pin
        from zhenbao.agent.vault.vault import change_pin

        home, screen = place(context)
        old = read_pin(_words, "vault.prompt", stdin=stdin)
        _say_rule(screen)
        change_pin(home, old, read_new_pin(_words, stdin=stdin), SystemClock())
        screen.say("vault.changed")
        screen.event("pin-changed")

    @app.command("status", help=_words("vault.help.status"))
    def status(context: typer.Context) -> None:
        from zhenbao.agent.vault.file import load
        from zhenbao.agent.vault.tries import wrong_tries
        from zhenbao.agent.vault.unlocked import is_unlocked

        home, screen = place(context)
        vault = load(home)
        facts = {
            "unlocked": is_unlocked(home),
            "tpm": vault.pin.tpm is not None,
            "recovery": vault.recovery is not None,
            "wrong": wrong_tries(home),
        }
        for name in ("unlocked", "tpm", "recovery"):
            screen.say(f"vault.status_{name}_{'yes' if facts[name] else 'no'}")
        screen.say("vault.status_wrong", count=facts["wrong"])
        screen.event("vault", **facts)


def _say_rule(screen: Screen) -> None:
    from zhenbao.agent.vault import tpm
    from zhenbao.agent.vault.rules import rules, suggestion

    with_tpm = tpm.present()
    least = rules()["with_tpm" if with_tpm else "without_tpm"]
    screen.say(
        "vault.rule_tpm" if with_tpm else "vault.rule_no_tpm",
        digits=least["least_digits"],
        characters=least["least_characters"],
        suggestion=suggestion(),
    )


def _add_recover(app: typer.Typer, place: Place) -> None:
    @app.command("request", help=_words("vault.help.request"))
    def request(
        context: typer.Context,
        file: Annotated[Path | None, typer.Option("--file", help=_words("vault.help.file"))] = None,
    ) -> None:
        from zhenbao.agent.vault.recover import make_request

        home, screen = place(context)
        text = make_request(home)
        if file is not None:
            file.write_text(text + "\n", encoding="utf-8")
        screen.say("vault.requested", text=text if file is None else file, time=local_text(SystemClock().now_ms()))
        screen.event("recovery-request", text=text)

    @app.command("finish", help=_words("vault.help.finish"))
    def finish(
        context: typer.Context,
        answer: Annotated[str, typer.Argument(help=_words("vault.help.answer"))],
        stdin: Stdin = False,
    ) -> None:
        from zhenbao.agent.vault.ask import read_new_pin
        from zhenbao.agent.vault.recover import finish_request

        home, screen = place(context)
        as_file = Path(answer) if len(answer) < 200 else None
        text = as_file.read_text(encoding="utf-8") if as_file is not None and as_file.is_file() else answer
        _say_rule(screen)
        finish_request(home, text, read_new_pin(_words, stdin=stdin))
        screen.say("vault.recovered")
        screen.event("recovered-key")
