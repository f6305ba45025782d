"""``zhenbao hub fleet``: the kits in a list, without any patient."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from zhenbao.hub.options import HERE, Database, Directory, open_store
from zhenbao.words import Words

if TYPE_CHECKING:
    from zhenbao.hub.fleet import KitLook
    from zhenbao.hub.web.present import Presenter

_words = Words(os.environ.get("ZHENBAO_LANG", ""))


def fleet(
    directory: Directory = HERE,
    database: Database = "",
    as_json: Annotated[bool, typer.Option("--json", help=_words("hub.cli.as_json"))] = False,
) -> None:
    """Each kit, those with something to do first."""
    from zhenbao.hub.fleet import look, sweep
    from zhenbao.hub.roster import load_roster
    from zhenbao.hub.web.present import Presenter

    store = open_store(directory, database)
    sweep(store)
    kits = look(store)
    if as_json:
        import msgspec

        sys.stdout.write(msgspec.json.format(msgspec.json.encode(kits)).decode() + "\n")
        return
    p = Presenter(_words, load_roster(None), store.clock.now_ms())
    for each in kits:
        typer.echo(_line(p, each))
    if not kits:
        typer.echo(_words("hub.fleet.empty"))


def _line(p: Presenter, each: KitLook) -> str:
    kit, status, unknown = each.facts, each.facts.status, _words("hub.fleet.unknown")
    ahead = kit.clock_ahead_ms
    ago = None if kit.last_contact_ms is None else p.span(p.now_ms - kit.last_contact_ms)
    clock = _words("hub.fleet.clock_right")
    if abs(ahead) >= 60_000:
        span = p.span(ahead)
        clock = _words("hub.fleet.clock_ahead", span=span) if ahead > 0 else _words("hub.fleet.clock_behind", span=span)
    battery = certificate = queue = calibration = unknown
    if status is not None:
        battery = unknown if status.battery_percent is None else f"{status.battery_percent}%"
        queue = _words("hub.fleet.queue_items", count=sum(status.waiting.values()))
        calibration = " ".join(_words(f"syringe_verdict.{s.verdict}") for s in status.sensors) or _words(
            "hub.fleet.calibration_never"
        )
        if status.certificate_until_ms is not None:
            days = (status.certificate_until_ms - p.now_ms) // 86_400_000
            certificate = _words("hub.fleet.days_left", days=days)
    hours = _limit_hours()
    troubles = " ".join(_words(f"hub.fleet.trouble.{kind}", hours=hours.get(kind, "")) for kind in each.troubles)
    return _words(
        "hub.cli.fleet.line",
        kit=kit.kit_id,
        org=kit.org_id,
        contact=_words("hub.fleet.never") if ago is None else _words("hub.fleet.ago", span=ago),
        version=status.version if status is not None else unknown,
        battery=battery,
        queue=queue,
        clock=clock if status is not None else unknown,
        calibration=calibration,
        certificate=certificate,
        troubles=troubles or _words("hub.fleet.all_well"),
    )


def _limit_hours() -> dict[str, float]:
    from zhenbao.hub.fleet import limits

    return {"silent": limits()["silent"]["hours"], "queue": limits()["queue"]["older_hours"]}
