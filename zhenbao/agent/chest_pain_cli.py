"""``zhenbao chest-pain``: the one key, the times that only the village knows, and how the channel stands."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated

import typer

from zhenbao.model.chest_pain import MILESTONES
from zhenbao.model.errors import InputError
from zhenbao.model.report import DeliveryState
from zhenbao.model.time import local_text
from zhenbao.words import Words

if TYPE_CHECKING:
    from zhenbao.agent.kit import Kit
    from zhenbao.agent.screen import Screen
    from zhenbao.agent.store.chest_pain import KeptNews
    from zhenbao.agent.visit import Visit
    from zhenbao.model.chest_pain import ChannelNews

TOLD_HERE = ("onset", "first-contact", "called-120", "ambulance-arrived", "ambulance-left")
"""What the village doctor knows and nobody else."""
_FURTHEST_BACK_MIN = 7 * 24 * 60
_words = Words(os.environ.get("ZHENBAO_LANG", ""))


def add_commands(app: typer.Typer, open_kit: Callable[[typer.Context], AbstractContextManager[Kit]]) -> None:
    """Add the commands.

    Args:
        open_kit: the kit, opened.
    """
    group = typer.Typer(
        help=_words("chest_pain.help"), no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
    )
    app.add_typer(group, name="chest-pain")

    @group.command("start", help=_words("chest_pain.start_help"))
    def start(
        context: typer.Context,
        patient: Annotated[str, typer.Argument(help=_words("chest_pain.patient"))] = "",
        confirm: Annotated[str | None, typer.Option("--confirm", help=_words("cli.confirm"))] = None,
        history: Annotated[str, typer.Option("--history", help=_words("chest_pain.history"))] = "",
        onset: Annotated[int | None, typer.Option("--onset", min=0, help=_words("chest_pain.onset"))] = None,
        sex: Annotated[str, typer.Option("--sex", help=_words("cli.sex"))] = "unknown",
    ) -> None:
        import asyncio

        from zhenbao.agent.measure.ecg import measure_ecg

        if onset is not None:
            _check_minutes(onset)
        with open_kit(context) as kit:
            visit = begin(kit, patient, confirm=confirm, history=history, onset_min=onset, sex=sex)
            try:
                asyncio.run(measure_ecg(kit, visit))
            finally:
                show_channel(kit, visit)

    @group.command("note", help=_words("chest_pain.note_help"))
    def note(
        context: typer.Context,
        step: Annotated[str, typer.Argument(help=_words("chest_pain.step"))],
        minutes_ago: Annotated[int, typer.Option("--minutes-ago", min=0, help=_words("chest_pain.minutes_ago"))] = 0,
    ) -> None:
        from zhenbao.agent.visit import open_visit

        if step not in TOLD_HERE:
            raise InputError("choice", value=step[:32], choices=", ".join(TOLD_HERE))
        _check_minutes(minutes_ago)
        with open_kit(context) as kit:
            visit = open_visit(kit.store)
            at_ms = kit.clock.now_ms() - minutes_ago * 60_000
            noted = kit.store.note_time(visit.encounter.id, step, at_ms=at_ms, told=True)
            kit.screen.say("chest_pain.noted", step=_words(f"milestone.{step}"), time=local_text(noted.at_ms))
            kit.screen.event("case-time", milestone=step, at_ms=noted.at_ms)

    @group.command("show", help=_words("chest_pain.show_help"))
    def show(context: typer.Context) -> None:
        from zhenbao.agent.visit import open_visit, show_identity

        with open_kit(context) as kit:
            visit = open_visit(kit.store)
            show_identity(kit.screen, visit.patient, kit.clock.now_ms())
            show_channel(kit, visit)


def begin(kit: Kit, query: str, *, confirm: str | None, history: str, onset_min: int | None, sex: str) -> Visit:
    """Whom to phone, then a visit with chest pain, from whose begin the clocks count.

    Args:
        query: name, number or tail; empty: nobody known, who gets a temporary identity.

    Raises:
        InputError: as ``find_patient``, ``confirm_identity`` and ``register_patient``; ``measuring``.
    """
    from zhenbao.agent.capture import only_measurement
    from zhenbao.agent.recovery import close_orphans
    from zhenbao.agent.visit import Visit, begin_encounter, confirm_identity, find_patient, register_patient

    screen, settings = kit.screen, kit.settings
    screen.say(
        "chest_pain.phones",
        emergency=settings.emergency_phone,
        centre=settings.chest_pain_phone or settings.hub_phone or "-",
    )
    # The contact began when the key was pressed, whatever is asked after it.
    contact_ms = kit.clock.now_ms()
    if query:
        found = find_patient(kit.store, query)
        confirm_identity(screen, found, contact_ms, confirmed_tail=confirm)
    else:
        name = screen.words("emergency.nobody", time=local_text(contact_ms))
        found, _ = register_patient(kit.store, kit.clock, name=name, number=None, sex=sex)
    with only_measurement(kit.home):
        close_orphans(kit)
        encounter = begin_encounter(kit.store, kit.clock, settings.kit_id, found, reason=history, chest_pain="yes")
    kit.store.note_time(encounter.id, "first-contact", at_ms=contact_ms)
    if onset_min is not None:
        kit.store.note_time(encounter.id, "onset", at_ms=contact_ms - onset_min * 60_000, told=True)
    screen.say("agent.visit_started", name=found.name, time=local_text(contact_ms))
    screen.event("visit", encounter_id=encounter.id)
    return Visit(encounter, found)


def show_channel(kit: Kit, visit: Visit) -> None:
    """How far each step has come, what the hub says of the channel, and the advice; the hub learns that it was seen."""
    screen, words = kit.screen, kit.screen.words
    news = kit.store.channel_news(visit.encounter.id)
    readings = [o for o in kit.store.observations(visit.encounter.id) if o.code == "ecg"]
    reached = kit.store.delivery(readings[-1].id) if readings else {}
    advised = next((each for each in news if each.news.advice), None)
    steps = {
        "sent": reached.get(DeliveryState.RECEIVED),
        "opened": reached.get(DeliveryState.VIEWED),
        "advice": advised.arrived_ms if advised is not None else None,
        "report": reached.get(DeliveryState.REPORTED),
    }
    for name, at_ms in steps.items():
        key = "chest_pain.step_done" if at_ms is not None else "chest_pain.step_open"
        screen.say(key, step=words(f"chest_pain.steps.{name}"), time=local_text(at_ms)[11:] if at_ms else "")
    _say_times(kit, visit)
    if news:
        say_news(screen, news[0].news)
        if not news[0].news.advice and advised is not None:
            say_advice(screen, advised.news)
    else:
        screen.say("chest_pain.no_news", centre=kit.settings.chest_pain_phone or kit.settings.hub_phone or "-")
    kit.store.read_news(visit.encounter.id)
    screen.event(
        "channel",
        state=news[0].news.state if news else None,
        advice=advised.news.advice if advised is not None else "",
        **{f"{name.replace('-', '_')}_ms": at_ms for name, at_ms in steps.items()},
    )


def list_news(kit: Kit, news: Sequence[KeptNews]) -> None:
    """A line for each piece of news, in the inbox."""
    for each in news:
        kit.screen.say(
            "chest_pain.inbox_row",
            time=local_text(each.arrived_ms),
            state=_state(kit.screen.words, each.news.state),
            advice=each.news.advice or "-",
            read=kit.screen.words("agent.unread" if each.read_ms is None else "agent.read"),
        )
        kit.screen.event("channel-row", news_id=each.news.id, state=each.news.state, read_ms=each.read_ms)


def say_news(screen: Screen, news: ChannelNews) -> None:
    """How the channel stands."""
    words = screen.words
    screen.say(
        "chest_pain.channel",
        state=_state(words, news.state),
        practitioner=news.practitioner,
        time=local_text(news.told_ms),
    )
    if news.hospital:
        screen.say("chest_pain.hospital", hospital=news.hospital)
    if news.ambulance:
        screen.say("chest_pain.ambulance", ambulance=news.ambulance)
    if news.advice:
        say_advice(screen, news)


def say_advice(screen: Screen, news: ChannelNews) -> None:
    """What to do, and who says so."""
    screen.say("chest_pain.advice", advice=news.advice, practitioner=news.practitioner, time=local_text(news.told_ms))


def _say_times(kit: Kit, visit: Visit) -> None:
    """The instants that this kit has told the hub; the last of a milestone counts."""
    words = kit.screen.words
    noted = {time.milestone: time for time in kit.store.times(visit.encounter.id) if time.milestone in MILESTONES}
    for name in MILESTONES:
        if (time := noted.get(name)) is not None:
            told = words("chest_pain.told") if time.told else ""
            kit.screen.say(
                "chest_pain.time", step=words(f"milestone.{name}"), time=local_text(time.at_ms, seconds=True), told=told
            )


def _state(words: Words, state: str) -> str:
    return words(f"channel_state.{state}") if f"channel_state.{state}" in words else state


def _check_minutes(minutes: int) -> None:
    if not 0 <= minutes <= _FURTHEST_BACK_MIN:
        raise InputError("chest-pain-minutes", most=_FURTHEST_BACK_MIN)
