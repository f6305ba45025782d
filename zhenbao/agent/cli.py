"""The village doctor's commands. Nothing slow is imported before it is needed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zhenbao.agent import chest_pain_cli, chronic_cli, files_cli
from zhenbao.agent.emergency.cli import add_commands as add_emergency_commands
from zhenbao.agent.vault.cli import add_commands as add_vault_commands
from zhenbao.agent.vitals_cli import Confirm, GlucoseUnit, Pulse, Sure, Typed, TypedSeveral, add_commands
from zhenbao.model.errors import InputError
from zhenbao.model.time import SystemClock, age_years, local_text
from zhenbao.words import Words

if TYPE_CHECKING:
    from zhenbao.agent.kit import Kit
    from zhenbao.agent.screen import Screen
    from zhenbao.agent.visit import Visit
    from zhenbao.model.chest_pain import ChannelNews
    from zhenbao.model.observation import Observation
    from zhenbao.model.patient import Patient
    from zhenbao.model.report import Report
    from zhenbao.sync.engine import Event
    from zhenbao.sync.links.several import SeveralRoads

_words = Words(os.environ.get("ZHENBAO_LANG", ""))


@dataclass(frozen=True, slots=True)
class Chosen:
    """What stands before the sub-command."""

    home: Path | None
    json_lines: bool
    time_factor: float
    ble: str = ""
    """Instead of the kit's own setting."""


def _typer(help_key: str) -> typer.Typer:
    return typer.Typer(
        help=_words(help_key), no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
    )


app = typer.Typer(
    help=_words("cli.app"), rich_markup_mode=None, pretty_exceptions_enable=False, invoke_without_command=True
)
patient_app, visit_app, measure_app, inbox_app = (
    _typer(f"cli.{name}") for name in ("patient", "visit", "measure", "inbox")
)
app.add_typer(patient_app, name="patient")
app.add_typer(visit_app, name="visit")
app.add_typer(measure_app, name="measure")
app.add_typer(inbox_app, name="inbox")


@app.callback()
def everywhere(
    context: typer.Context,
    home: Annotated[Path | None, typer.Option("--home", help=_words("cli.home"))] = None,
    as_json: Annotated[bool, typer.Option("--json", help=_words("cli.json"))] = False,
    time_factor: Annotated[float, typer.Option("--time-factor", help=_words("cli.time_factor"))] = 1.0,
    lang: Annotated[str, typer.Option("--lang", help=_words("cli.lang"))] = "",
    ble: Annotated[str, typer.Option("--ble", help=_words("cli.ble"))] = "",
) -> None:
    context.obj = Chosen(home, as_json, time_factor, ble)
    if context.invoked_subcommand is None:
        with _kit(context) as kit:
            _show_visit(kit)
            _show_queue(kit)


@contextmanager
def _kit(context: typer.Context) -> Iterator[Kit]:
    from zhenbao.agent.kit import open_kit
    from zhenbao.agent.screen import Screen
    from zhenbao.agent.settings import kit_home

    chosen: Chosen = context.obj
    screen = Screen(_words, json_lines=chosen.json_lines)
    with open_kit(kit_home(chosen.home), SystemClock(chosen.time_factor), screen) as kit:
        yield replace(kit, settings=replace(kit.settings, bluetooth=chosen.ble)) if chosen.ble else kit


# Patients and visits


@patient_app.command("add", help=_words("cli.patient_add"))
def patient_add(
    context: typer.Context,
    name: Annotated[str, typer.Option("--name", help=_words("cli.name"))],
    number: Annotated[str | None, typer.Option("--number", help=_words("cli.number"))] = None,
    temporary: Annotated[bool, typer.Option("--temporary", help=_words("cli.temporary"))] = False,
    sex: Annotated[str | None, typer.Option("--sex", help=_words("cli.sex"))] = None,
    born: Annotated[datetime | None, typer.Option("--born", formats=["%Y-%m-%d"], help=_words("cli.birth"))] = None,
    height: Annotated[float | None, typer.Option("--height", help=_words("cli.height"))] = None,
    phone: Annotated[str | None, typer.Option("--phone", help=_words("cli.phone"))] = None,
    diabetes: Annotated[str, typer.Option("--diabetes", help=_words("cli.diabetes"))] = "unknown",
) -> None:
    from zhenbao.agent.visit import register_patient

    if (number is None) != temporary:
        raise InputError("number-or-temporary")
    with _kit(context) as kit:
        patient, new = register_patient(
            kit.store,
            kit.clock,
            name=name,
            number=number,
            sex=sex,
            birth_date=born.date() if born else None,
            height_cm=height,
            phone=phone,
            known_diabetes=diabetes,
        )
        _say_patient(kit.screen, "agent.patient_new" if new else "agent.patient_known", patient, kit.clock.now_ms())
        kit.screen.event("patient", patient_id=patient.id, new=new, temporary=patient.temporary)


@patient_app.command("find", help=_words("cli.patient_find"))
def patient_find(
    context: typer.Context, query: Annotated[str, typer.Argument(help=_words("cli.visit_patient"))]
) -> None:
    with _kit(context) as kit:
        found = kit.store.patients(query)
        for patient in found:
            _say_patient(kit.screen, "agent.patient_row", patient, kit.clock.now_ms())
        kit.screen.event("patients", count=len(found))
        if not found:
            raise InputError("patient-unknown")


def _say_patient(screen: Screen, key: str, patient: Patient, now_ms: int) -> None:
    from zhenbao.agent.visit import age_text

    screen.say(
        key,
        name=patient.name,
        sex=screen.words(f"sex.{patient.sex}"),
        age=age_text(screen.words, age_years(patient.birth_date, now_ms) if patient.birth_date else None),
        tail=patient.tail or screen.words("agent.temporary"),
    )


@visit_app.command("start", help=_words("cli.visit_start"))
def visit_start(
    context: typer.Context,
    patient: Annotated[str, typer.Argument(help=_words("cli.visit_patient"))],
    reason: Annotated[str, typer.Option("--reason", help=_words("cli.reason"))] = "",
    chest_pain: Annotated[str, typer.Option("--chest-pain", help=_words("cli.chest_pain"))] = "unknown",
) -> None:
    from zhenbao.agent.capture import only_measurement
    from zhenbao.agent.recovery import close_orphans
    from zhenbao.agent.visit import begin_encounter, find_patient, show_identity

    with _kit(context) as kit, only_measurement(kit.home):
        close_orphans(kit)
        found = find_patient(kit.store, patient)
        encounter = begin_encounter(
            kit.store, kit.clock, kit.settings.kit_id, found, reason=reason, chest_pain=chest_pain
        )
        if chest_pain == "yes":
            kit.store.note_time(encounter.id, "first-contact", at_ms=encounter.started_ms)
        show_identity(kit.screen, found, encounter.started_ms)
        kit.screen.say("agent.visit_started", name=found.name, time=local_text(encounter.started_ms))
        kit.screen.event("visit", encounter_id=encounter.id)


@visit_app.command("show", help=_words("cli.visit_show"))
def visit_show(context: typer.Context) -> None:
    with _kit(context) as kit:
        _show_visit(kit)


@visit_app.command("export", help=_words("cli.visit_export"))
def visit_export(context: typer.Context, file: Annotated[Path, typer.Argument(help=_words("cli.export_file"))]) -> None:
    from zhenbao.agent.export import export_spirometry

    with _kit(context) as kit:
        count = export_spirometry(kit.store, file)
        kit.screen.say("agent.exported", count=count, name=file.name)
        kit.screen.event("exported", count=count)


def _show_visit(kit: Kit) -> None:
    from zhenbao.agent.visit import open_visit, show_identity

    try:
        visit = open_visit(kit.store)
    except InputError:
        kit.screen.say("agent.no_visit")
        return
    show_identity(kit.screen, visit.patient, kit.clock.now_ms())
    for observation in kit.store.observations(visit.encounter.id):
        _show_states(kit, observation)
        files_cli.show_pruned(kit, observation.id)
        kit.screen.findings(observation.findings)
    files_cli.show_files(kit, visit.encounter.id)
    if visit.encounter.chest_pain == "yes" or kit.store.channel_news(visit.encounter.id):
        chest_pain_cli.show_channel(kit, visit)


def _show_states(kit: Kit, observation: Observation) -> None:
    states = kit.store.delivery(observation.id)
    words = kit.screen.words
    told = "  ".join(f"{words(f'state.{state}')} {local_text(at, seconds=True)[11:]}" for state, at in states.items())
    what = words(f"observation.{observation.code}") + (words("agent.typed_mark") if observation.typed else "")
    kit.screen.say("agent.queue_state", time=local_text(observation.effective_ms), what=what, states=told)
    kit.screen.event(
        "states", observation_id=observation.id, code=observation.code, states=states, typed=observation.typed
    )


# Measuring


@contextmanager
def _measuring(context: typer.Context, confirmed_tail: str | None) -> Iterator[tuple[Kit, Visit]]:
    """The kit and the open visit, once the person in the chair is confirmed."""
    from zhenbao.agent.visit import confirm_identity, open_visit

    with _kit(context) as kit:
        visit = open_visit(kit.store)
        confirm_identity(kit.screen, visit.patient, kit.clock.now_ms(), confirmed_tail=confirmed_tail)
        chronic_cli.say_before(kit, visit, context.info_name or "")
        yield kit, visit


@measure_app.command("bp", help=_words("observation.bp"))
def bp(
    context: typer.Context,
    confirm: Confirm = None,
    arm: Annotated[str, typer.Option("--arm", help=_words("cli.arm"))] = "left",
    skip_rest: Annotated[str | None, typer.Option("--skip-rest", help=_words("cli.skip_rest"))] = None,
    typed: TypedSeveral = None,
    pulse: Pulse = None,
    sure: Sure = False,
) -> None:
    import asyncio

    from zhenbao.agent.measure.bp import measure_bp
    from zhenbao.agent.measure.typed import type_bp

    with _measuring(context, confirm) as (kit, visit):
        if typed:
            type_bp(kit, visit, typed, pulse=pulse, arm=arm, sure=sure)
        else:
            asyncio.run(measure_bp(kit, visit, arm=arm, skip_rest=skip_rest))


@measure_app.command("glucose", help=_words("observation.glucose"))
def glucose(
    context: typer.Context,
    confirm: Confirm = None,
    meal: Annotated[str, typer.Option("--meal", help=_words("cli.meal"))] = "random",
    typed: Typed = None,
    unit: GlucoseUnit = "mmol/L",
    sure: Sure = False,
) -> None:
    import asyncio

    from zhenbao.agent.measure.glucose import measure_glucose
    from zhenbao.agent.measure.typed import type_glucose

    with _measuring(context, confirm) as (kit, visit):
        if typed is not None:
            type_glucose(kit, visit, typed, unit=unit, meal=meal, sure=sure)
        else:
            asyncio.run(measure_glucose(kit, visit, meal=meal))


@measure_app.command("spo2", help=_words("observation.spo2"))
def spo2(
    context: typer.Context,
    confirm: Confirm = None,
    oxygen: Annotated[str, typer.Option("--oxygen", help=_words("cli.oxygen"))] = "unknown",
    dyspnoea: Annotated[str, typer.Option("--dyspnoea", help=_words("cli.dyspnoea"))] = "unknown",
    cyanosis: Annotated[str, typer.Option("--cyanosis", help=_words("cli.cyanosis"))] = "unknown",
    consciousness: Annotated[
        str, typer.Option("--altered-consciousness", help=_words("cli.altered_consciousness"))
    ] = "unknown",
    typed: Typed = None,
    pulse: Pulse = None,
    sure: Sure = False,
) -> None:
    import asyncio

    from zhenbao.agent.measure.spo2 import QUESTIONS, measure_spo2
    from zhenbao.agent.measure.typed import type_spo2

    said = dict(zip(QUESTIONS, (oxygen, dyspnoea, cyanosis, consciousness), strict=True))
    with _measuring(context, confirm) as (kit, visit):
        if typed is not None:
            type_spo2(kit, visit, typed, said=said, pulse=pulse, sure=sure)
        else:
            asyncio.run(measure_spo2(kit, visit, said=said))


@measure_app.command("ecg", help=_words("observation.ecg"))
def ecg(
    context: typer.Context,
    confirm: Confirm = None,
    device: Annotated[str, typer.Option("--device", help=_words("cli.ecg_device"))] = "",
) -> None:
    import asyncio

    from zhenbao.agent.settings import check_ecg_device

    check_ecg_device(device)
    with _measuring(context, confirm) as (kit, visit):
        chosen = device or kit.settings.ecg_device or "front-end"
        if chosen == "front-end":
            from zhenbao.agent.measure.ecg import measure_ecg

            asyncio.run(measure_ecg(kit, visit))
        else:
            from zhenbao.agent.measure.strip import measure_strip

            asyncio.run(measure_strip(kit, visit, chosen))


@measure_app.command("spirometry", help=_words("observation.spirometry"))
def spirometry(
    context: typer.Context,
    confirm: Confirm = None,
    contraindications: Annotated[
        str | None, typer.Option("--contraindications", help=_words("cli.contraindications"))
    ] = None,
    device: Annotated[str, typer.Option("--device", help=_words("cli.spirometry_device"))] = "",
    summary: Annotated[Path | None, typer.Option("--summary", help=_words("cli.spirometry_summary"))] = None,
    typed: Typed = None,
    sure: Sure = False,
) -> None:
    import asyncio

    from zhenbao.agent.measure.spirometry import measure_spirometry
    from zhenbao.agent.measure.spirometry_summary import take_stored_tests, take_summary_file
    from zhenbao.agent.measure.typed import type_spirometry
    from zhenbao.agent.settings import check_spirometer

    check_spirometer(device)
    if sum((typed is not None, summary is not None, bool(device))) > 1:
        raise InputError("spirometry-choice")
    with _measuring(context, confirm) as (kit, visit):
        if typed is not None:
            type_spirometry(kit, visit, typed, sure=sure)
        elif summary is not None:
            take_summary_file(kit, visit, summary, sure=sure)
        elif (device or kit.settings.spirometer) == "contec-sp10":
            asyncio.run(take_stored_tests(kit, visit))
        else:
            asyncio.run(measure_spirometry(kit, visit, contraindications=contraindications))


add_commands(measure_app, _measuring)
files_cli.add_commands(app, measure_app, _kit, _measuring)
chest_pain_cli.add_commands(app, _kit)
chronic_cli.add_commands(app, _kit)


# The vault


def _place(context: typer.Context) -> tuple[Path, Screen]:
    """The kit's folder and screen, without opening its store."""
    from zhenbao.agent.screen import Screen
    from zhenbao.agent.settings import kit_home

    chosen: Chosen = context.obj
    return kit_home(chosen.home), Screen(_words, json_lines=chosen.json_lines)


add_vault_commands(app, _place)
add_emergency_commands(app, _place)


# Queue, inbox, sync


@app.command("queue", help=_words("cli.queue"))
def queue(context: typer.Context) -> None:
    from zhenbao.agent.emergency.cli import show_emergencies
    from zhenbao.agent.emergency.handover import hand_over
    from zhenbao.agent.link_cli import show_waiting
    from zhenbao.agent.queue_cli import show_queue

    with _kit(context) as kit:
        hand_over(kit.home, kit.store, kit.clock)
        _show_queue(kit)
        show_queue(kit)
        show_emergencies(kit.home, kit.screen)
        show_waiting(kit)
        for observation in kit.store.observations(limit=50):
            _show_states(kit, observation)
            files_cli.show_pruned(kit, observation.id)
        for item in kit.store.quarantined():
            kit.screen.say("agent.quarantine_line", what=item.kind, reason=item.reason)


@app.command("link", help=_words("cli.link"))
def link(
    context: typer.Context, quiet: Annotated[bool, typer.Option("--quiet", help=_words("cli.link_quiet"))] = False
) -> None:
    from zhenbao.agent.link_cli import show_link
    from zhenbao.agent.uplink import asker, look_once

    with _kit(context) as kit:
        can_ask = asker(kit.settings, kit.home) is not None
        show_link(kit, look_once(kit.settings, kit.home, kit.clock, ask_hub=not quiet), can_ask=can_ask)


def _show_queue(kit: Kit) -> None:
    status = kit.store.queue()
    waiting = status.total
    if waiting or status.quarantined:
        kit.screen.say("agent.queue_line", waiting=waiting, critical=status.critical, quarantined=status.quarantined)
    else:
        kit.screen.say("agent.queue_empty")
    account = kit.store.account()
    kit.screen.event(
        "queue",
        waiting=waiting,
        critical=status.critical,
        quarantined=status.quarantined,
        posted=account.posted,
        delivered=account.delivered,
    )


@inbox_app.command("list", help=_words("cli.inbox_list"))
def inbox_list(context: typer.Context) -> None:
    with _kit(context) as kit:
        reports, news = kit.store.inbox(), kit.store.channel_news()
        chest_pain_cli.list_news(kit, news)
        if not reports and not news:
            kit.screen.say("agent.inbox_empty")
        for item in reports:
            kit.screen.say(
                "agent.inbox_row",
                id=str(item.report.id)[-8:],
                time=local_text(item.arrived_ms),
                specialty=_specialty(item.report.specialty),
                conclusion=item.report.conclusion,
                read=kit.screen.words("agent.unread" if item.read_ms is None else "agent.read"),
            )
            kit.screen.event("report", report_id=item.report.id, arrived_ms=item.arrived_ms, read_ms=item.read_ms)


@inbox_app.command("open", help=_words("cli.inbox_open"))
def inbox_open(context: typer.Context, report_id: Annotated[str, typer.Argument(help=_words("cli.report_id"))]) -> None:
    with _kit(context) as kit:
        wanted = report_id.strip().lower()
        found = [
            i
            for i in kit.store.inbox()
            if wanted and (str(i.report.id).startswith(wanted) or str(i.report.id).endswith(wanted))
        ]
        if len(found) != 1:
            raise InputError("report-unknown", prefix=report_id[:36])
        report = found[0].report
        patient = kit.store.patient(report.patient_id)
        if patient:
            _say_patient(kit.screen, "agent.patient_row", patient, kit.clock.now_ms())
        kit.screen.say(
            "agent.report",
            specialty=_specialty(report.specialty),
            practitioner=report.practitioner,
            time=local_text(report.signed_ms),
            conclusion=report.conclusion,
            advice=report.advice,
        )
        kit.store.read_report(report.id, kit.clock.now_ms())
        kit.screen.event("read", report_id=report.id)


@app.command("sync", help=_words("cli.sync"))
def sync(
    context: typer.Context,
    timeout: Annotated[float, typer.Option("--timeout", help=_words("cli.sync_timeout"))] = 60.0,
    watch: Annotated[bool, typer.Option("--watch", help=_words("cli.sync_watch"))] = False,
) -> None:
    from zhenbao.agent.queue_cli import synchronise

    with _kit(context) as kit:
        synchronise(kit, timeout_s=timeout, watch=watch)


@app.command("service", help=_words("cli.service"))
def service(context: typer.Context) -> None:
    import signal
    import threading

    from zhenbao.agent.emergency.record import seal_what_a_kill_left
    from zhenbao.agent.road_status import running
    from zhenbao.agent.roads import certificate_troubles, open_emergency_roads, open_roads
    from zhenbao.agent.screen import Screen
    from zhenbao.agent.service import run_service
    from zhenbao.agent.settings import kit_home, load_settings
    from zhenbao.agent.uplink import follow, gate, live_gate, watching

    chosen: Chosen = context.obj
    home = kit_home(chosen.home)
    settings = load_settings(home)
    screen = Screen(_words, json_lines=chosen.json_lines)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    seal_what_a_kill_left(home, SystemClock(), screen)
    screen.say("agent.service_started")
    screen.event("service-started")

    def report_arrived(report: Report) -> None:
        screen.bell()
        specialty = _specialty(report.specialty)
        screen.say("agent.report_arrived", specialty=specialty, conclusion=report.conclusion)
        screen.event("report-arrived", report_id=report.id)

    def news_arrived(news: ChannelNews) -> None:
        screen.bell()
        chest_pain_cli.say_news(screen, news)
        screen.event("channel-news", state=news.state, encounter_id=news.encounter_id)

    def road(event: Event) -> None:
        if event.name in ("up", "down"):
            screen.say("agent.service_online" if event.name == "up" else "agent.service_offline")
        screen.event("road", name=event.name, kind=event.kind, subject_id=event.subject_id, reason=event.reason)

    def unlocked() -> None:
        screen.say("agent.service_started")
        screen.event("service-unlocked")

    clock = SystemClock()
    for trouble in certificate_troubles(home, settings, clock.now_ms()):
        screen.trouble(trouble)
    with running(home) as alone, watching(settings, home, clock) as watch:
        if not alone:
            raise InputError("service-runs")

        def turned(event: Event) -> None:
            road(event)
            if watch is not None and event.name == "down":
                watch.wake()

        def led(roads: SeveralRoads) -> SeveralRoads:
            return follow(watch, roads) if watch is not None else roads

        run_service(
            home,
            settings.kit_id,
            make_roads=lambda key: led(open_roads(home, settings, key)),
            make_emergency_roads=lambda: led(open_emergency_roads(home, settings)),
            clock=clock,
            stop=stop,
            on_report=report_arrived,
            on_news=news_arrived,
            on_event=turned,
            on_store=screen.trouble,
            on_unlocked=unlocked,
            on_trouble=screen.trouble,
            may_go=gate(watch, clock) if watch is not None else lambda item: True,
            # Where nobody watches the uplink, the trace itself notices a road that does not keep up.
            may_run_live=live_gate(watch, clock) if watch is not None else lambda: True,
        )


def _specialty(key: str) -> str:
    from zhenbao.rules import specialties

    known = specialties()
    return known[key].name(_words.language) if key in known else key
