"""``zhenbao sim``: simulated devices for training, demonstration and tests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zhenbao.model.errors import InputError, ZhenbaoError
from zhenbao.words import Words

if TYPE_CHECKING:
    from collections.abc import Callable

    from zhenbao.firmware_sim.bench import Bench
    from zhenbao.firmware_sim.console import Button
    from zhenbao.firmware_sim.table import Choice
    from zhenbao.firmware_sim.waveforms.ecg import EcgSource

WORDS = Words(os.environ.get("ZHENBAO_LANG", ""))
DEMO_ECG_S = 600.0

app = typer.Typer(help=WORDS("sim.help"), no_args_is_help=True, rich_markup_mode=None)

EcgFile = Annotated[Path | None, typer.Option("--ecg", help=WORDS("sim.option.ecg"))]
Speed = Annotated[float, typer.Option(min=0.01, max=1000, help=WORDS("sim.option.speed"))]
Link = Annotated[Path | None, typer.Option("--link", help=WORDS("sim.option.link"))]
Fault = Annotated[list[str] | None, typer.Option("--fault", help=WORDS("sim.option.fault"))]
Json = Annotated[bool, typer.Option("--json", help=WORDS("sim.option.json"))]


@app.command(help=WORDS("sim.devices.help"), short_help=WORDS("sim.devices.short"))
def devices(
    ecg: EcgFile = None,
    speed: Speed = 1.0,
    hci_port: Annotated[int, typer.Option(min=0, max=65535, help=WORDS("sim.option.hci_port"))] = 0,
    link: Link = None,
    pairing: Annotated[bool, typer.Option("--pairing", help=WORDS("sim.option.pairing"))] = False,
    passkey: Annotated[
        int | None, typer.Option("--passkey", min=0, max=999_999, help=WORDS("sim.option.passkey"))
    ] = None,
    oximeter: Annotated[str, typer.Option("--oximeter", help=WORDS("sim.option.oximeter"))] = "plx",
    strap: Annotated[bool, typer.Option("--strap", help=WORDS("sim.option.strap"))] = False,
    cable: Annotated[list[str] | None, typer.Option("--cable", help=WORDS("sim.option.cable"))] = None,
    patient: Annotated[str, typer.Option("--patient", help=WORDS("sim.option.patient"))] = "healthy",
    seed: Annotated[int, typer.Option("--seed", help=WORDS("sim.option.seed"))] = 1,
    fault: Fault = None,
    faults: Annotated[bool, typer.Option("--faults", help=WORDS("sim.option.faults"))] = False,
    delay_ms: Annotated[float, typer.Option("--delay-ms", min=0, max=5000, help=WORDS("sim.option.delay_ms"))] = 0.0,
    as_json: Json = False,
) -> None:
    """All devices of a kit; runs until Ctrl-C and takes the devices' buttons on standard input."""
    import logging

    from zhenbao.firmware_sim.fault_options import FAULTS, every_fault, parse_faults

    if faults:
        for device in FAULTS:
            for name in every_fault(device):
                typer.echo(name)
        return
    from zhenbao.firmware_sim.patients import DISEASES, patient_with
    from zhenbao.firmware_sim.table import OXIMETERS, Choice, build, chosen_cables

    if oximeter not in OXIMETERS:
        raise InputError("choice", value=oximeter, choices=", ".join(OXIMETERS))
    if patient not in DISEASES:
        raise InputError("choice", value=patient[:32], choices=", ".join(DISEASES))
    choice = Choice(
        parse_faults(fault or []),
        patient_with(patient, seed),
        oximeter,
        strap,
        chosen_cables(cable or [], oximeter),
        speed,
        hci_port,
        link,
        passkey,
        delay_ms / 1000,
    )
    # bumble warns of every refused pairing and every link that drops: all part of the play here.
    logging.getLogger("bumble").setLevel(logging.CRITICAL)
    with build(choice, None if ecg is None else _source(ecg)) as bench:
        if pairing:
            bench.pairing_mode(True)
        ports = {name: device.port for name, device in bench.cables.items()}
        _announce(as_json, hci=bench.hci, serial=bench.serial_port, **ports)
        _until_interrupted(lambda line: _press(bench, choice, line))


@app.command("front-end", help=WORDS("sim.front_end.help"))
def front_end(
    ecg: EcgFile = None,
    speed: Speed = 1.0,
    start: Annotated[float, typer.Option(min=0, help=WORDS("sim.option.start"))] = 0.0,
    settings: Annotated[Path | None, typer.Option(help=WORDS("sim.option.settings"))] = None,
    link: Link = None,
    as_json: Json = False,
) -> None:
    """The sensor front-end alone; runs until Ctrl-C."""
    from zhenbao.firmware_sim.front_end import FrontEnd
    from zhenbao.firmware_sim.waveforms.spirometry import demo_blows

    with FrontEnd(_source(ecg, start), demo_blows(), speed=speed, settings_dir=settings, link=link) as board:
        _announce(as_json, serial=board.port)
        _until_interrupted(None)


@app.command("cuff-cable", help=WORDS("sim.cuff_cable.help"))
def cuff_cable(link: Link = None, speed: Speed = 1.0, fault: Fault = None, as_json: Json = False) -> None:
    """A Beurer BM65 on its serial cable, with three stored measurements; runs until Ctrl-C and takes ``bp`` buttons."""
    from datetime import datetime

    from zhenbao.firmware_sim import console
    from zhenbao.firmware_sim.fault_options import faults_of, parse_faults
    from zhenbao.firmware_sim.serial_cuff import SerialCuff, StoredReading
    from zhenbao.model.time import SystemClock, local_time

    memory = [
        StoredReading(148, 92, 76, datetime(2026, 11, 22, 7, 30)),  # noqa: DTZ001 - the cuff's own time
        StoredReading(142, 88, 72, datetime(2026, 11, 21, 21, 5)),  # noqa: DTZ001
        StoredReading(150, 94, 80, datetime(2026, 11, 21, 7, 20)),  # noqa: DTZ001
    ]
    faults = parse_faults(fault or []).get("cuff-cable") or faults_of("cuff-cable")
    with SerialCuff(memory, faults, link, speed=speed) as cuff:

        def press(button: console.Button) -> bool:
            if not isinstance(button, console.PressCuff):
                return False
            now = local_time(SystemClock().now_ms()).replace(tzinfo=None, second=0, microsecond=0)
            cuff.press_start(StoredReading(button.systolic, button.diastolic, button.pulse, now))
            return True

        _announce(as_json, cuff=cuff.port)
        _until_interrupted(lambda line: _pressed(line, press))


@app.command("spirometer", help=WORDS("sim.spirometer.help"))
def spirometer(
    link: Link = None,
    patient: Annotated[str, typer.Option("--patient", help=WORDS("sim.option.patient"))] = "healthy",
    fault: Fault = None,
    as_json: Json = False,
) -> None:
    """A Contec SP10 on its cable; runs until Ctrl-C and takes ``blow`` and ``patient`` on standard input."""
    from zhenbao.firmware_sim import console
    from zhenbao.firmware_sim.contec import ContecSpirometer
    from zhenbao.firmware_sim.fault_options import faults_of, parse_faults
    from zhenbao.firmware_sim.patients import DISEASES, patient_with
    from zhenbao.firmware_sim.table import spirometer_numbers

    if patient not in DISEASES:
        raise InputError("choice", value=patient[:32], choices=", ".join(DISEASES))
    faults = parse_faults(fault or []).get("spirometer") or faults_of("spirometer")
    person = patient_with(patient, 1)
    with ContecSpirometer(faults=faults, link=link) as device:

        def press(button: console.Button) -> bool:
            nonlocal person
            if isinstance(button, console.NextPatient):
                person = patient_with(button.disease, button.seed)
            elif isinstance(button, console.NextPatientBlows):
                device.blow(spirometer_numbers(person), height_cm=person.height_cm)
            else:
                return False
            return True

        _announce(as_json, spirometer=device.port)
        _until_interrupted(lambda line: _pressed(line, press))


@app.command("meter", help=WORDS("sim.meter.help"))
def meter(
    kind: Annotated[str, typer.Argument(help=WORDS("sim.meter.kind"))],
    link: Link = None,
    mmol: Annotated[bool, typer.Option("--mmol", help=WORDS("sim.meter.mmol"))] = False,
    as_json: Json = False,
) -> None:
    """A glucose meter on a cable; runs until Ctrl-C and takes drops of blood on standard input."""
    from zhenbao.firmware_sim.serial_meters.contour import ContourMeter
    from zhenbao.firmware_sim.serial_meters.onetouch import OneTouchUltra2
    from zhenbao.firmware_sim.table import MG_DL_IN_MMOL_L

    if kind == "onetouch":
        with OneTouchUltra2(mmol_display=mmol, link=link) as one_touch:
            _announce(as_json, meter=one_touch.port)
            _until_interrupted(lambda line: _drop(line, lambda mg_dl: one_touch.test_blood(round(mg_dl))))
    elif kind == "contour":
        with ContourMeter(mmol=mmol, link=link) as contour:
            _announce(as_json, meter=contour.port)
            shown = "{:.1f}" if mmol else "{:.0f}"
            per_unit = MG_DL_IN_MMOL_L if mmol else 1.0
            _until_interrupted(
                lambda line: _drop(line, lambda mg_dl: contour.test_blood(shown.format(mg_dl / per_unit)))
            )
    else:
        raise InputError("choice", value=kind, choices="onetouch, contour")


@app.command("modem", help=WORDS("sim.modem.help"))
def modem(
    scenario: Annotated[str, typer.Argument(help=WORDS("sim.modem.scenario"))] = "sa",
    link: Link = None,
    as_json: Json = False,
) -> None:
    """A Quectel RM5xx on its AT port; runs until Ctrl-C and takes other scenarios on standard input."""
    from zhenbao.firmware_sim.modem import SCENARIOS, Modem

    if scenario not in SCENARIOS:
        raise InputError("choice", value=scenario[:32], choices=", ".join(SCENARIOS))
    with Modem(scenario, link=link) as device:

        def change(line: str) -> None:
            if line.strip() not in SCENARIOS:
                _complain(InputError("choice", value=line.strip()[:32], choices=", ".join(SCENARIOS)))
            else:
                device.scenario = line.strip()
                typer.echo(WORDS("sim.pressed"))

        _announce(as_json, modem=device.port)
        _until_interrupted(change)


def _drop(line: str, test: Callable[[float], object]) -> None:
    from zhenbao.firmware_sim import console
    from zhenbao.firmware_sim.table import MG_DL_IN_MMOL_L

    def press(button: console.Button) -> bool:
        if not isinstance(button, console.DropOfBlood):
            return False
        test(button.mmol_l * MG_DL_IN_MMOL_L)
        return True

    _pressed(line, press)


def _pressed(line: str, press: Callable[[Button], bool]) -> None:
    """Press one button; ``press`` says False for one that this device has not."""
    from zhenbao.firmware_sim import console

    try:
        button = console.parse(line)
        if button is None:
            return
        if not press(button):
            raise InputError("sim-command")
    except ZhenbaoError as error:
        _complain(error)
        return
    typer.echo(WORDS("sim.pressed"))


def _source(file: Path | None, start_s: float = 0.0) -> EcgSource:
    from zhenbao.firmware_sim.waveforms.ecg import EcgModel

    if file is None:
        return EcgModel().render(DEMO_ECG_S)
    from zhenbao.firmware_sim.waveforms.replay import replay

    source = replay(file, start_s=start_s)
    if source.absent:
        typer.echo(WORDS("sim.absent", leads=" ".join(source.absent)), err=True)
    return source


def _announce(as_json: bool, **where: str) -> None:
    if as_json:
        import json

        typer.echo(json.dumps(where))
    else:
        for name, value in where.items():
            typer.echo(WORDS(f"sim.ready.{name}", value=value))
        typer.echo(WORDS("sim.ready.stop"))


def _until_interrupted(press: Callable[[str], None] | None) -> None:
    """Press what is typed until Ctrl-C or SIGTERM; the end of the input does not end the devices."""
    import signal
    import sys

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if press is not None:
            for line in sys.stdin:
                press(line)
        while True:
            signal.pause()
    except KeyboardInterrupt:
        return


def _press(bench: Bench, choice: Choice, line: str) -> None:
    from zhenbao.firmware_sim import console
    from zhenbao.firmware_sim.cuff import Reading
    from zhenbao.firmware_sim.oximeter import Finger
    from zhenbao.firmware_sim.patients import patient_with
    from zhenbao.firmware_sim.table import ECG_S, blow_into_cables, press_cables
    from zhenbao.firmware_sim.waveforms.ecg import EcgModel, inferior_elevation, third_degree_block
    from zhenbao.firmware_sim.waveforms.syringe import SyringeStrokes

    try:
        button = console.parse(line)
    except ZhenbaoError as error:
        _complain(error)
        return
    match button:
        case console.PressCuff() as cuff:
            bench.press_start(Reading(cuff.systolic, cuff.diastolic, cuff.mean, cuff.pulse, bench.meter.now()))
            press_cables(bench, pressure=(cuff.systolic, cuff.diastolic, cuff.pulse))
        case console.DropOfBlood(mmol_l=mmol_l):
            bench.test_blood(mmol_l)
            press_cables(bench, mmol_l=mmol_l)
        case console.PutFinger(saturation=saturation, pulse=pulse):
            bench.put_in(None if saturation is None else Finger(saturation, pulse))
        case console.TakeTemperature(celsius=celsius):
            bench.took_temperature(celsius)
        case console.StandOnScale(kilograms=kilograms):
            bench.weighed(kilograms)
        case console.Pairing(on=on):
            bench.pairing_mode(on)
        case console.PutElectrodes(kind=kind):
            model = {
                "sinus": EcgModel(),
                "block": third_degree_block(),
                "af": EcgModel(rate_bpm=110, rhythm="atrial-fibrillation"),
                "st": inferior_elevation(),
            }[kind]
            bench.front_end.ecg = model.render(DEMO_ECG_S)
        case console.NextPatientBlows():
            bench.front_end.blows.extend(choice.patient.blows())
            blow_into_cables(bench, choice.patient)
        case console.NextPatient(disease=disease, seed=seed):
            choice.patient = patient_with(disease, seed)
            bench.front_end.ecg = choice.patient.ecg(choice.faults.get("ecg")).render(ECG_S)
            bench.front_end.blows.clear()
            bench.front_end.blows.extend(choice.patient.blows())
            bench.put_in(choice.patient.finger)
        case console.SyringeAtSensor(gain=gain):
            bench.front_end.blows.appendleft(SyringeStrokes(gain=gain))
        case None:
            return
    typer.echo(WORDS("sim.pressed"))


def _complain(error: ZhenbaoError) -> None:
    what, do = WORDS.error(error)
    typer.echo(f"{what} {do}", err=True)
