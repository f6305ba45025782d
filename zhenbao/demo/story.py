"""The visit that the demo plays, act by act, every part real."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from zhenbao import rules
from zhenbao.agent.keys import CARD_FILE
from zhenbao.agent.vault.file import exists as vault_exists
from zhenbao.agent.vault.unlocked import forget
from zhenbao.demo.devices import BLOOD_MMOL_L, cuff_readings, ecg_source, reading, table
from zhenbao.demo.kit_process import Event, Killed, KitProcesses
from zhenbao.demo.specialist import Specialist
from zhenbao.firmware_sim.uplink import SwitchableUplink
from zhenbao.hub.rows import Row
from zhenbao.hub.server import Hub
from zhenbao.hub.store import records
from zhenbao.hub.store.listing import Shown
from zhenbao.hub.web.drawings import draw
from zhenbao.hub.web.ecg_view import View, tracing
from zhenbao.model.finding import Urgency
from zhenbao.model.report import DeliveryState
from zhenbao.model.time import SystemClock, local_time
from zhenbao.words import Words

KIT_ID = "kit-001"
"""Of the example roster, which knows its village and telephone."""
HUB_PHONE = "0994-0000000"
SHOWN: tuple[Shown, ...] = ("open", "archive")
RESIDENT = "999999195602290019"
"""Synthetic: the area code 999999 is assigned to nobody."""
SECOND_RESIDENT = "999999196001010020"
MISTYPED = "999999195602290018"
PASSPHRASE = "5273 8041 9962 1408"  # noqa: S105 - of a kit that lives as long as the demo
"""Of the demo's kit, long enough for a tablet without a TPM."""
WAIT_FACTOR = 120.0
RECORDING_SPEED = 15.0
UPLINK_BYTES_PER_S = 250_000
"""A weak uplink, so that the broker's restart falls into the middle of the traffic."""
PATIENCE_S = 60.0
FRONT_END_CONFIG = """\
mains_hz = 50
ecg_rate_hz = 500
flow_rate_hz = 100
language = "zh-CN"
village_code = "999999001101"
village_name = "{village}"
"""


class DemoStuck(Exception):
    """Something that had to happen did not happen in time."""


@dataclass(slots=True)
class Story:
    """What was seen, for the summary and for programs."""

    wait_factor: float = WAIT_FACTOR
    recording_speed: float = RECORDING_SPEED
    ecg_source: str = ""
    refused_number: str = ""
    events: list[Event] = field(default_factory=list)
    alarms: list[Event] = field(default_factory=list)
    observations: list[dict[str, Any]] = field(default_factory=list)
    glucose: list[Event] = field(default_factory=list)
    kills: int = 0
    blows_before_kill: int = 0
    blows_resumed: int = 0
    waiting_offline: int = 0
    broker_restarts: int = 0
    accepted_before_broker_restart: int = 0
    cases: list[dict[str, Any]] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    hub_url: str = ""
    account: str = ""
    password: str = ""


class Stage:
    """Everything that is up while the demo plays. ``with Stage(...) as stage``."""

    def __init__(self, folder: Path, words: Words, *, ecg: Path | None, narrate: Callable[..., None]) -> None:
        self.clock = SystemClock()
        self.words = words
        self.narrate = narrate
        self.folder = folder
        self.home = folder / "kit"
        self.hub = Hub(folder / "hub", clock=self.clock)
        self.bench = table(
            folder, self.wall_time(), ecg_source(ecg), recording_speed=RECORDING_SPEED, wait_factor=WAIT_FACTOR
        )
        self.presses = cuff_readings()
        self.kit = KitProcesses(self.home, wait_factor=WAIT_FACTOR, language=words.language)
        self.story = Story(ecg_source=ecg.name if ecg else "")

    def __enter__(self) -> Stage:
        self.hub.start()
        self.uplink = SwitchableUplink(self.hub.mqtt_port, bytes_per_s=UPLINK_BYTES_PER_S)
        self.uplink.start()
        self.bench.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.kit.stop_service()
        if vault_exists(self.home):
            forget(self.home)
        self.bench.__exit__(None, None, None)
        self.uplink.stop()
        self.hub.stop()

    def save_pictures(self, folder: Path) -> None:
        """The figures of the case page, as SVG files."""
        folder.mkdir(parents=True, exist_ok=True)
        with self.hub.store.reading() as connection:
            for row in self.hub.worklist.rows(shown="archive"):
                for reading, _ in records.observations_of(connection, row.item.encounter_id):
                    recordings = records.recordings_of(connection, reading.id)
                    ecgs = [tracing(reading, r, View(), self.words).svg for r in recordings if r.unit == "mV"]
                    drawn = [*ecgs, *draw(reading, recordings, self.words)]
                    for number, svg in enumerate(drawn, start=1):
                        (folder / f"{reading.code}-{number}.svg").write_text(svg, encoding="utf-8")

    def wall_time(self) -> datetime:
        """What every clock in the room shows."""
        return local_time(self.clock.now_ms()).replace(tzinfo=None, microsecond=0)

    def wait(self, what: str, happened: Callable[[], bool]) -> None:
        """Until it happened.

        Raises:
            DemoStuck: not within ``PATIENCE_S``.
        """
        deadline = time.monotonic() + PATIENCE_S
        while not happened():
            if time.monotonic() > deadline:
                raise DemoStuck(what)
            time.sleep(0.02)


def play(stage: Stage) -> Story:
    """The whole story, in order."""
    for act in (prepare, register, measure_offline, die_and_return, next_patient, deliver, report_back):
        act(stage)
    return stage.story


def prepare(stage: Stage) -> None:
    """The technician sets the kit up, pairs the meters, and writes the front-end's settings."""
    stage.narrate("demo.act_technician")
    village = stage.words("demo.village")
    config = stage.folder / "front-end.toml"
    config.write_text(FRONT_END_CONFIG.format(village=village), encoding="utf-8")
    hub_card = stage.folder / "hub-card.txt"
    hub_card.write_text(stage.hub.keyring.card.text, encoding="ascii")
    stage.kit.run(
        *("tech", "setup", "--kit-id", KIT_ID, "--village", village, "--hub-phone", HUB_PHONE),
        *("--hub", f"127.0.0.1:{stage.uplink.port}", "--hub-card", str(hub_card)),
        *("--spirometry-equation", "jian2017", "--spirometry-flows", "eccs1993"),
        *("--bluetooth", stage.bench.hci, "--front-end", stage.bench.serial_port),
    )
    stage.kit.run("pin", "set", "--stdin", typed=f"{PASSPHRASE}\n")
    stage.hub.add_kit((stage.home / CARD_FILE).read_text(encoding="ascii"))
    stage.bench.pairing_mode(True)
    stage.kit.run("tech", "pair", "bp")
    stage.kit.run("tech", "pair", "glucose")
    stage.bench.pairing_mode(False)
    stage.kit.run("tech", "flash", str(config), "--port", stage.bench.serial_port)
    stage.narrate("demo.technician_done")


def register(stage: Stage) -> None:
    """The kit starts without a network; a mistyped number is refused, the right one registered, a visit opened."""
    stage.kit.start_service()
    stage.narrate("demo.act_register")
    name = stage.words("demo.patient")
    stage.story.refused_number = stage.kit.refuse("patient", "add", "--name", name, "--number", MISTYPED)
    stage.narrate("demo.refused", said=stage.story.refused_number.splitlines()[0])
    stage.kit.run("patient", "add", "--name", name, "--number", RESIDENT, "--height", "168", "--diabetes", "no")
    stage.kit.run("visit", "start", RESIDENT[-4:], "--reason", stage.words("demo.reason"), "--chest-pain", "no")


def measure_offline(stage: Stage) -> None:
    """Blood pressure, glucose and ECG, with the network away: findings and alarms at once."""
    stage.narrate("demo.act_measure")
    confirm = ("--confirm", RESIDENT[-4:])

    _keep(stage, stage.kit.run("measure", "bp", *confirm, on_event=lambda event: _press(stage, event)))
    stage.bench.test_blood(BLOOD_MMOL_L)
    _keep(stage, stage.kit.run("measure", "glucose", *confirm, "--meal", "fasting"))
    _keep(stage, stage.kit.run("measure", "glucose", *confirm, "--meal", "fasting"))
    _keep(stage, stage.kit.run("measure", "ecg", *confirm))


def die_and_return(stage: Stage) -> None:
    """SIGKILL to the service and to a half-done spirometry; both come back and go on."""
    stage.narrate("demo.act_kill")
    confirm = ("--confirm", RESIDENT[-4:])
    blows: list[Event] = []

    def battery_dies(event: Event) -> None:
        if event["event"] == "blow":
            blows.append(event)
        if event["event"] == "blow-start" and event["number"] == 3:
            raise Killed

    try:
        stage.kit.run("measure", "spirometry", *confirm, "--contraindications", "no", on_event=battery_dies)
    except Killed:
        stage.kit.kill_service()
    stage.story.kills = 2
    stage.story.events += blows
    stage.story.blows_before_kill = len(blows)
    stage.kit.start_service()
    events = stage.kit.run("measure", "spirometry", *confirm, "--contraindications", "no")
    stage.story.blows_resumed = next((e["count"] for e in events if e["event"] == "resumed"), 0)
    _keep(stage, events)


def next_patient(stage: Stage) -> None:
    """A healthy neighbour: a normal result, which will go to the archive and wake nobody."""
    stage.narrate("demo.act_next")
    name = stage.words("demo.second_patient")
    stage.kit.run("patient", "add", "--name", name, "--number", SECOND_RESIDENT, "--diabetes", "no")
    stage.kit.run("visit", "start", SECOND_RESIDENT, "--chest-pain", "no")
    confirm = ("--confirm", SECOND_RESIDENT[-4:])
    _keep(stage, stage.kit.run("measure", "bp", *confirm, on_event=lambda event: _press(stage, event)))
    queue = stage.kit.run("queue")
    stage.story.waiting_offline = next(e["waiting"] for e in queue if e["event"] == "queue")
    stage.narrate("demo.offline_done", waiting=stage.story.waiting_offline)


def deliver(stage: Stage) -> None:
    """The network returns, the broker is restarted in the middle, and every item is receipted all the same."""
    stage.narrate("demo.act_deliver")
    stage.uplink.mend()
    stage.wait("first receipt", lambda: stage.hub.counters.accepted > 0)
    stage.story.accepted_before_broker_restart = stage.hub.counters.accepted
    stage.hub.restart_broker()
    stage.story.broker_restarts = 1
    stage.wait("all receipted", lambda: _waiting(stage) == 0)
    stage.narrate("demo.delivered")


def report_back(stage: Stage) -> None:
    """The specialist opens the most pressing case on the hub's page, reports and signs; the village reads it."""
    stage.narrate("demo.act_report")
    story, words = stage.story, stage.words
    row = stage.hub.worklist.rows()[0]
    story.hub_url, story.account = stage.hub.web_url, row.item.owner or "specialist-demo"
    story.password = secrets.token_urlsafe(12)
    stage.hub.add_practitioner(
        story.account,
        name=words("demo.specialist"),
        role="specialist",
        specialty=row.item.specialty or "general-practice",
        password=story.password,
    )
    specialist = Specialist(stage.hub.web_url, story.account, story.password)
    critical = row.item.urgency is Urgency.RED
    report = {
        "conclusion": words("demo.conclusion" if critical else "demo.conclusion_plain"),
        "advice": words("demo.advice" if critical else "demo.advice_plain"),
    }
    try:
        case = specialist.worklist()[0]
        specialist.open_case(case)
        mine = {o["id"] for o in story.observations if o["encounter_id"] == str(row.item.encounter_id)}
        stage.wait(
            "viewed",
            lambda: all(DeliveryState.VIEWED in s["states"] for s in _states(stage) if s["observation_id"] in mine),
        )
        specialist.sign_report(case, urgency=row.item.urgency, **report)
    finally:
        specialist.close()
    stage.wait("report", lambda: any(e["event"] == "report-arrived" for e in stage.kit.service_events))
    inbox = next(e for e in stage.kit.run("inbox", "list") if e["event"] == "report")
    stage.kit.run("inbox", "open", inbox["report_id"])
    stage.wait("read", lambda: _village_read_ms(stage) is not None)
    story.states = _states(stage)
    story.cases = [_case(stage, row) for shown in SHOWN for row in stage.hub.worklist.rows(shown=shown)]
    story.report = {"practitioner": words("demo.specialist"), **report, "village_read_ms": _village_read_ms(stage)}
    story.counts = _account(stage)


def _village_read_ms(stage: Stage) -> int | None:
    return next((row.read_ms for shown in SHOWN for row in stage.hub.worklist.rows(shown=shown) if row.read_ms), None)


def _case(stage: Stage, row: Row) -> dict[str, Any]:
    item, language = row.item, stage.words.language
    specialty = rules.specialties()[item.specialty].name(language) if item.specialty else ""
    finding = rules.rule(item.lead_rule).label(language) if item.lead_rule else ""
    return {
        "urgency": item.urgency,
        "specialty": item.specialty,
        "specialty_name": specialty,
        "joint_specialties": item.joint_specialties,
        "joint_names": [rules.specialties()[s].name(language) for s in item.joint_specialties],
        "route": item.route_id,
        "lead_rule": item.lead_rule,
        "finding_name": finding,
    }


def _account(stage: Stage) -> dict[str, int]:
    """What the kit posted against what the hub holds, item by item."""
    sent = next(e for e in stage.kit.run("queue") if e["event"] == "queue")
    held = stage.hub.store.received_from(KIT_ID)
    with stage.hub.store.reading() as connection:
        # By content and not by id: a reading that came under two ids would be stored twice all the same.
        readings = [
            (reading.encounter_id, reading.code, reading.effective_ms, reading.device_key)
            for shown in SHOWN
            for row in stage.hub.worklist.rows(shown=shown)
            for reading, _ in records.observations_of(connection, row.item.encounter_id)
        ]
    kept = {(o["encounter_id"], o["code"], o["effective_ms"]) for o in stage.story.observations}
    there = {(str(encounter_id), code, effective_ms) for encounter_id, code, effective_ms, _ in readings}
    return {
        "sent": sent["posted"],
        "receipted": sent["delivered"],
        "lost": sent["posted"] - len(set(held)) + len(kept - there),
        "duplicated": len(held) - len(set(held)) + len(readings) - len(set(readings)),
        "retransmitted": stage.hub.counters.duplicates,
    }


def _press(stage: Stage, event: Event) -> None:
    """The doctor presses the cuff's button when the kit asks for it."""
    if event["event"] == "press-start":
        stage.bench.press_start(reading(next(stage.presses), stage.wall_time()))


def _keep(stage: Stage, events: list[Event]) -> None:
    story = stage.story
    story.events += events
    story.alarms += [e for e in events if e["event"] == "alarm"]
    story.glucose += [e for e in events if e["event"] == "glucose"]
    for event in events:
        if event["event"] == "observation":
            story.observations.append(event["observation"] | {"urgency": event["urgency"]})


def _waiting(stage: Stage) -> int:
    return int(next(e["waiting"] for e in stage.kit.run("queue") if e["event"] == "queue"))


def _states(stage: Stage) -> list[dict[str, Any]]:
    return [e for e in stage.kit.run("queue") if e["event"] == "states"]
