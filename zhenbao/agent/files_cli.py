"""``zhenbao measure ultrasound`` and ``bp24``, which read files, and ``zhenbao space``."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zhenbao.agent.vitals_cli import Confirm, Measuring
from zhenbao.words import Words

if TYPE_CHECKING:
    from uuid import UUID

    from zhenbao.agent.kit import Kit

_words = Words(os.environ.get("ZHENBAO_LANG", ""))

Opened = Callable[[typer.Context], AbstractContextManager["Kit"]]


def add_commands(app: typer.Typer, measure: typer.Typer, opened: Opened, measuring: Measuring) -> None:
    """Add the commands.

    Args:
        opened: opens the kit.
        measuring: opens the kit and the visit, once the person in the chair is confirmed.
    """

    @measure.command("ultrasound", help=_words("cli.ultrasound"))
    def ultrasound(
        context: typer.Context,
        paths: Annotated[list[Path], typer.Argument(help=_words("cli.file_paths"))],
        confirm: Confirm = None,
        title: Annotated[str, typer.Option("--title", help=_words("cli.file_title"))] = "",
        sure: Annotated[bool, typer.Option("--sure", help=_words("cli.file_sure"))] = False,
    ) -> None:
        from zhenbao.agent.measure.ultrasound import take_files

        with measuring(context, confirm) as (kit, visit):
            take_files(kit, visit, paths, title=title, sure=sure)

    @measure.command("bp24", help=_words("bp24.measure"))
    def bp24(
        context: typer.Context,
        file: Annotated[Path, typer.Argument(help=_words("bp24.file"))],
        confirm: Confirm = None,
        rose: Annotated[str | None, typer.Option("--rose", help=_words("bp24.rose"))] = None,
        bed: Annotated[str | None, typer.Option("--bed", help=_words("bp24.bed"))] = None,
        columns: Annotated[str | None, typer.Option("--columns", help=_words("bp24.columns"))] = None,
        unit: Annotated[str | None, typer.Option("--unit", help=_words("bp24.unit"))] = None,
        dates: Annotated[str | None, typer.Option("--dates", help=_words("bp24.dates"))] = None,
        pdf: Annotated[Path | None, typer.Option("--pdf", help=_words("bp24.pdf_of_visit"))] = None,
        sure: Annotated[bool, typer.Option("--sure", help=_words("bp24.sure"))] = False,
    ) -> None:
        from zhenbao.agent.measure.bp24 import Told, take_bp24_file, write_page

        with measuring(context, confirm) as (kit, visit):
            recording = take_bp24_file(kit, visit, file, Told(rose, bed, columns, unit, dates), sure=sure)
            if pdf is not None:
                write_page(kit, visit, recording, pdf)

    @app.command("space", help=_words("cli.space"))
    def space(
        context: typer.Context,
        tidy: Annotated[bool, typer.Option("--tidy", help=_words("cli.space_tidy"))] = False,
    ) -> None:
        with opened(context) as kit:
            if tidy:
                _tidy(kit)
            _show_room(kit)


def show_files(kit: Kit, encounter_id: UUID) -> None:
    """The files of a visit, and what of them was cleared here."""
    for file in kit.store.attachments(encounter_id):
        state = kit.screen.words("agent.file_here" if file.pruned_ms is None else "agent.file_pruned")
        kind = file.media_type.value.partition("/")[2].upper()
        kit.screen.say("agent.file_row", title=file.title, type=kind, mb=file.size_bytes / 1e6, state=state)
        kit.screen.event("file", id=file.id, type=file.media_type, pruned_ms=file.pruned_ms)


def show_pruned(kit: Kit, observation_id: UUID) -> None:
    """That a reading's waveforms are at the hub alone."""
    gone = [each for each in kit.store.pruned_of(observation_id) if each.kind == "recording"]
    if gone:
        kit.screen.say("agent.waveform_pruned", count=len(gone))
        kit.screen.event("pruned", observation_id=observation_id, count=len(gone))


def _tidy(kit: Kit) -> None:
    done = kit.store.tidy()
    if done.clock_refused:
        kit.screen.say("agent.tidied_clock")
    elif done.any:
        kit.screen.say(
            "agent.tidied",
            waveforms=done.waveforms,
            attachments=done.attachments,
            sent=done.sent,
            mb=done.freed_bytes / 1e6,
        )
    else:
        kit.screen.say("agent.tidied_nothing")
    kit.screen.event("tidied", done=done)


def _show_room(kit: Kit) -> None:
    from zhenbao.agent.store.epochs import BACKUP_HOURS
    from zhenbao.agent.store.retention import backup_days

    room, words = kit.store.room(), kit.screen.words
    kit.screen.say("agent.room", free_mb=room.free_bytes >> 20, ecgs=room.ecgs, level=words(f"agent.room_{room.level}"))
    hours = kit.store.setting(BACKUP_HOURS)
    told = words("agent.room_backup_told", hours=hours) if hours else words("agent.room_backup_unknown")
    kit.screen.say("agent.room_backup", told=told, days=backup_days(hours))
    kit.screen.event("room", level=room.level, free_bytes=room.free_bytes, ecgs=room.ecgs)
