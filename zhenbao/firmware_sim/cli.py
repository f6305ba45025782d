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
    from zhenbao.firmware_sim.waveforms.ecg import EcgSource

WORDS = Words(os.environ.get("ZHENBAO_LANG", ""))
DEMO_ECG_S = 600.0
OXIMETERS = ("plx", "nonin", "cms50d-plus")
MG_DL_IN_MMOL_L = 18.0156
"""Glucose is 180.156 g/mol."""

app = typer.Typer(help=WORDS("sim.help"), no_args_is_help=True, rich_markup_mode=None)

EcgFile = Annotated[Path | None, typer.Option("--ecg", help=WORDS("sim.option.ecg"))]
Speed = Annotated[float, typer.Option(min=0.01, max=1000, help=WORDS("sim.option.speed"))]
Link = Annotated[Path | None, typer.Option("--link", help=WORDS("sim.option.link"))]
Json = Annotated[bool, typer.Option("--json", help=WORDS("sim.option.json"))]


@app.command(help=WORDS("sim.devices.help"), short_help=WORDS("sim.devices.short"))
def devices(
    ecg: EcgFile = None,
    speed: Speed = 1.0,
    hci_port: Annotated[int, typer.Option(min=0, max=65535, help=WORDS("sim.option.hci_port"))] = 0,
    link: Link = None,
    pairing: Annotated[bool, typer.Option("--pairing", help=WORDS("sim.option.pairing"))] = False,
    oximeter: Annotated[str, typer.Option("--oximeter", help=WORDS("sim.option.oximeter"))] = "plx",
    strap: Annotated[bool, typer.Option("--strap", help=WORDS("sim.option.strap"))] = False,
    as_json: Json = False,
) -> None:
    """All devices of a kit; runs until Ctrl-C and takes the devices' buttons on standard input."""
    import logging

    from zhenbao.firmware_sim.bench import Bench
    from zhenbao.firmware_sim.front_end import FrontEnd
    from zhenbao.firmware_sim.oximeter import NoninOximeter
    from zhenbao.firmware_sim.serial_oximeter import SerialOximeter
    from zhenbao.firmware_sim.waveforms.spirometry import demo_blows

    if oximeter not in OXIMETERS:
        raise InputError("choice", value=oximeter, choices=", ".join(OXIMETERS))
    nonin = NoninOximeter(speed=speed) if oximeter == "nonin" else None
    serial_oximeter = SerialOximeter(speed=speed) if oximeter == "cms50d-plus" else None
    front_end = FrontEnd(_source(ecg), demo_blows(), speed=speed, link=link)
    # bumble warns of every refused pairing and every link that drops: all part of the play here.
    logging.getLogger("bumble").setLevel(logging.CRITICAL)
    chest = None
    if strap:
        from zhenbao.firmware_sim.chest_strap import RATE_HZ, strap_of
        from zhenbao.firmware_sim.waveforms.ecg import EcgModel, EcgNoise

        noise = EcgNoise(baseline_wander_mv=0.05, muscle_mv=0.01, white_mv=0.003)
        chest = strap_of(EcgModel(noise=noise).render(DEMO_ECG_S, RATE_HZ), speed=speed)
    with Bench(
        front_end=front_end,
        strap=chest,
        speed=speed,
        hci_port=hci_port,
        oximeter=nonin,
        serial_oximeter=serial_oximeter,
    ) as bench:
        if pairing:
            bench.pairing_mode(True)
        more = {} if serial_oximeter is None else {"oximeter": serial_oximeter.port}
        _announce(as_json, hci=bench.hci, serial=bench.serial_port, **more)
        _until_interrupted(lambda line: _press(bench, line))


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
def cuff_cable(link: Link = None, as_json: Json = False) -> None:
    """A Beurer BM65 on its serial cable, with three stored measurements; runs until Ctrl-C."""
    from datetime import datetime

    from zhenbao.firmware_sim.serial_cuff import SerialCuff, StoredReading

    memory = [
        StoredReading(148, 92, 76, datetime(2026, 11, 22, 7, 30)),  # noqa: DTZ001 - the cuff's own time
        StoredReading(142, 88, 72, datetime(2026, 11, 21, 21, 5)),  # noqa: DTZ001
        StoredReading(150, 94, 80, datetime(2026, 11, 21, 7, 20)),  # noqa: DTZ001
    ]
    with SerialCuff(memory, link=link) as cuff:
        _announce(as_json, cuff=cuff.port)
        _until_interrupted(None)


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

    try:
        button = console.parse(line)
        if button is None:
            return
        if not isinstance(button, console.DropOfBlood):
            raise InputError("sim-command")
    except ZhenbaoError as error:
        _complain(error)
        return
    test(button.mmol_l * MG_DL_IN_MMOL_L)
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


def _press(bench: Bench, line: str) -> None:
    from zhenbao.firmware_sim import console
    from zhenbao.firmware_sim.cuff import Reading
    from zhenbao.firmware_sim.oximeter import Finger
    from zhenbao.firmware_sim.waveforms.ecg import EcgModel, inferior_elevation, third_degree_block
    from zhenbao.firmware_sim.waveforms.spirometry import demo_blows
    from zhenbao.firmware_sim.waveforms.syringe import SyringeStrokes

    try:
        button = console.parse(line)
    except ZhenbaoError as error:
        _complain(error)
        return
    match button:
        case console.PressCuff() as cuff:
            bench.press_start(Reading(cuff.systolic, cuff.diastolic, cuff.mean, cuff.pulse, bench.meter.now()))
        case console.DropOfBlood(mmol_l=mmol_l):
            bench.test_blood(mmol_l)
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
            bench.front_end.blows.extend(demo_blows())
        case console.SyringeAtSensor(gain=gain):
            bench.front_end.blows.appendleft(SyringeStrokes(gain=gain))
        case None:
            return
    typer.echo(WORDS("sim.pressed"))


def _complain(error: ZhenbaoError) -> None:
    what, do = WORDS.error(error)
    typer.echo(f"{what} {do}", err=True)
