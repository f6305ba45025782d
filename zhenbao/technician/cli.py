"""The field technician's commands: ``zhenbao tech``. They show no patient data; only ``syringe`` opens the store."""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zhenbao.model.errors import InputError
from zhenbao.technician.roads_cli import pin_hub, road_accept, road_request
from zhenbao.words import Words

if TYPE_CHECKING:
    from zhenbao.drivers.frontend.settings import SettingsBlock

_words = Words(os.environ.get("ZHENBAO_LANG", ""))
_MOMENTS = ["%Y-%m-%d", "%Y-%m-%d %H:%M"]
app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command("road-request", help=_words("tech.help.road_request"))(road_request)
app.command("road-accept", help=_words("tech.help.road_accept"))(road_accept)
app.command("pin-hub", help=_words("tech.help.pin_hub"))(pin_hub)


@app.command("flash", help=_words("tech.help.flash"))
def flash(
    config: Annotated[Path, typer.Argument(help=_words("tech.help.config"))],
    port: Annotated[str, typer.Option("--port", help=_words("tech.help.port"))],
) -> None:
    from zhenbao.technician.front_end_config import read_config

    # The document is checked before the port is opened: a mistake in it can never leave a front-end half done.
    asyncio.run(_flash(read_config(config), port))


async def _flash(block: SettingsBlock, port: str) -> None:
    from zhenbao.drivers.frontend.session import FrontEnd
    from zhenbao.drivers.links.serial import open_serial

    async with open_serial(port) as link:
        front_end = FrontEnd(link)
        identity = await front_end.identify()
        typer.echo(
            _words(
                "tech.identity",
                maker=identity.maker,
                model=identity.model,
                serial=identity.serial,
                firmware=identity.firmware,
            )
        )
        before = await front_end.read_settings()
        typer.echo(_words("tech.before", generation=before.generation, settings=_told(before.block)))
        if before.block == block:
            typer.echo(_words("tech.unchanged", generation=before.generation))
            return
        after = await front_end.write_settings(block)
        typer.echo(_words("tech.written", generation=after.generation, settings=_told(after.block)))


def _told(block: SettingsBlock) -> str:
    return _words("tech.settings", **asdict(block))


@app.command("pair", help=_words("tech.help.pair"))
def pair(
    context: typer.Context,
    device: Annotated[str, typer.Argument(help=_words("tech.help.device"))],
    seconds: Annotated[float, typer.Option("--seconds", help=_words("tech.help.seconds"))] = 60.0,
    port: Annotated[str, typer.Option("--port", help=_words("tech.help.meter_port"))] = "",
    passkey: Annotated[
        int | None, typer.Option("--passkey", min=0, max=999_999, help=_words("tech.help.passkey"))
    ] = None,
) -> None:
    from zhenbao.agent.kit import BONDS
    from zhenbao.agent.settings import SERIAL_GLUCOSE_METERS, kit_home, load_settings, save_settings
    from zhenbao.technician.glucose_meters import enrol_by_radio, enrol_on_cable

    home = kit_home(_home(context))
    if device in SERIAL_GLUCOSE_METERS:
        meter = asyncio.run(enrol_on_cable(home, device, port))
        told = {"maker": meter.maker, "model": meter.model, "serial": meter.serial, "firmware": meter.firmware}
        typer.echo(_words("tech.enrolled", port=port, **told))
        return
    settings = load_settings(home)
    address = asyncio.run(_pair(device, _radio(context, settings.bluetooth), home / BONDS, seconds, passkey))
    if device == "glucose":
        enrol_by_radio(home)
    elif device == "polar-h10":
        # Straps advertise to everybody: the kit records from its own one only.
        save_settings(home, replace(settings, ecg_strap=address))
        typer.echo(_words("tech.strap_assigned", address=address))


@app.command("set-clock", help=_words("tech.help.set_clock"))
def set_clock(
    context: typer.Context,
    seconds: Annotated[float, typer.Option("--seconds", help=_words("tech.help.seconds"))] = 60.0,
) -> None:
    from zhenbao.agent.settings import kit_home, load_settings
    from zhenbao.technician import glucose_meters

    home = kit_home(_home(context))
    radio = _radio(context, load_settings(home).bluetooth)
    meter, before_s = asyncio.run(glucose_meters.set_clock(home, radio, seconds))
    if before_s is None:
        typer.echo(_words("tech.clock_set_unread", model=meter.model, serial=meter.serial))
    else:
        typer.echo(_words("tech.clock_set", model=meter.model, serial=meter.serial, minutes=before_s / 60))


async def _pair(device: str, address: str | None, keys: Path, seconds: float, passkey: int | None) -> str:
    """Pair and give the device's address."""
    from zhenbao.agent.settings import SERIAL_GLUCOSE_METERS
    from zhenbao.drivers.bp.driver import BloodPressureCuff
    from zhenbao.drivers.gatt_information import device_information
    from zhenbao.drivers.glucose.driver import GlucoseMeter
    from zhenbao.drivers.links.ble import open_radio
    from zhenbao.drivers.links.gatt import GattLink
    from zhenbao.drivers.oximeter.driver import NoninOximeter, PulseOximeter
    from zhenbao.drivers.polar.driver import PolarH10
    from zhenbao.drivers.quirks import cuff_quirk
    from zhenbao.drivers.scale.driver import WeighingScale
    from zhenbao.drivers.thermometer.driver import Thermometer
    from zhenbao.technician.passkey import ask_passkey

    # What each kind may advertise, and what pairing touches.
    drivers: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
        "bp": ((BloodPressureCuff.service,), (BloodPressureCuff.protected,)),
        "glucose": ((GlucoseMeter.service,), (GlucoseMeter.protected,)),
        "spo2": (
            (NoninOximeter.service, PulseOximeter.service),
            (*NoninOximeter.protected, *PulseOximeter.protected),
        ),
        "temperature": ((Thermometer.service,), (Thermometer.protected,)),
        "weight": ((WeighingScale.service,), (WeighingScale.protected,)),
        "polar-h10": ((PolarH10.service,), (PolarH10.protected,)),
    }
    if device not in drivers:
        raise InputError("choice", value=device, choices=", ".join([*drivers, *SERIAL_GLUCOSE_METERS]))
    services, protected = drivers[device]
    notes: list[str] = []

    async def digits() -> int | None:
        if passkey is not None:
            return passkey
        return await ask_passkey(_words)

    async def learn(link: GattLink) -> None:
        if device == "bp":
            notes.extend(cuff_quirk(await device_information(link, BloodPressureCuff.name)).notes)

    async with open_radio(address, keys) as radio:
        if device == "spo2":
            typer.echo(_words("tech.nonin_pairing"))
        typer.echo(_words("tech.searching"))
        found = await radio.find(*services, timeout_s=seconds)
        await radio.pair(found, *protected, passkey=digits, afterwards=learn)
        typer.echo(_words("tech.paired", name=found.name or found.address))
        for note in notes:
            typer.echo(_words(f"cuff_note.{note}"))
        return found.address


@app.command("scan", help=_words("tech.help.scan"))
def scan(
    context: typer.Context,
    seconds: Annotated[float, typer.Option("--seconds", min=1, max=600, help=_words("tech.help.scan_seconds"))] = 10.0,
    cable_only: Annotated[bool, typer.Option("--cable-only", help=_words("tech.help.cable_only"))] = False,
) -> None:
    from zhenbao.agent.kit import BONDS
    from zhenbao.agent.settings import kit_home, load_settings
    from zhenbao.technician.sessions import near_by_cable, near_by_radio

    near = near_by_cable()
    if not cable_only:
        home = kit_home(_home(context))
        typer.echo(_words("tech.scanning", seconds=seconds))
        near += asyncio.run(near_by_radio(_radio(context, load_settings(home).bluetooth), home / BONDS, seconds))
    for one in near:
        by = " ".join(one.drivers) or _words("tech.no_driver")
        typer.echo(_words("tech.near", place=one.place, name=one.name or "-", drivers=by))
    if not near:
        typer.echo(_words("tech.nothing_near"))


@app.command("capture", help=_words("tech.help.capture"))
def capture(
    context: typer.Context,
    driver: Annotated[str, typer.Argument(help=_words("tech.help.driver"))],
    file: Annotated[Path, typer.Argument(help=_words("tech.help.capture_file"))],
    port: Annotated[str, typer.Option("--port", help=_words("tech.help.capture_port"))] = "",
) -> None:
    from zhenbao.agent.kit import BONDS
    from zhenbao.agent.settings import kit_home, load_settings
    from zhenbao.model.time import SystemClock
    from zhenbao.technician.sessions import capture as take

    home = kit_home(_home(context))
    address = _radio(context, load_settings(home).bluetooth)
    values = asyncio.run(take(driver, file, address=address, keys=home / BONDS, port=port, clock=SystemClock()))
    typer.echo(_words("tech.captured", count=len(values), file=file))


@app.command("replay", help=_words("tech.help.replay"))
def replay(file: Annotated[Path, typer.Argument(help=_words("tech.help.replay_file"))]) -> None:
    from zhenbao.technician.sessions import replay as play

    driver, values, ended = asyncio.run(play(file))
    for value in values:
        typer.echo(str(value))
    typer.echo(_words("tech.replayed", driver=driver, count=len(values), ended=ended or _words("tech.ended_well")))
    if ended:
        raise typer.Exit(1)


@app.command("setup", help=_words("tech.help.setup"))
def setup(
    context: typer.Context,
    kit_id: Annotated[str, typer.Option("--kit-id", help=_words("tech.help.kit_id"))],
    hub: Annotated[str, typer.Option("--hub", help=_words("tech.help.hub"))],
    village: Annotated[str, typer.Option("--village", help=_words("tech.help.village"))] = "",
    bluetooth: Annotated[str, typer.Option("--bluetooth", help=_words("tech.help.bluetooth"))] = "",
    front_end: Annotated[str, typer.Option("--front-end", help=_words("tech.help.front_end"))] = "",
    oximeter: Annotated[str, typer.Option("--oximeter", help=_words("tech.help.oximeter"))] = "",
    cuff: Annotated[str, typer.Option("--cuff", help=_words("tech.help.cuff"))] = "",
    spirometer: Annotated[str, typer.Option("--spirometer", help=_words("tech.help.spirometer"))] = "",
    altitude: Annotated[int | None, typer.Option("--altitude", help=_words("tech.help.altitude"))] = None,
    hub_phone: Annotated[str, typer.Option("--hub-phone", help=_words("tech.help.hub_phone"))] = "",
    chest_pain_phone: Annotated[
        str, typer.Option("--chest-pain-phone", help=_words("tech.help.chest_pain_phone"))
    ] = "",
    spirometry_equation: Annotated[
        str, typer.Option("--spirometry-equation", help=_words("tech.help.spirometry_equation"))
    ] = "",
    spirometry_flows: Annotated[
        str, typer.Option("--spirometry-flows", help=_words("tech.help.spirometry_flows"))
    ] = "",
    spirometry_group: Annotated[
        str, typer.Option("--spirometry-group", help=_words("tech.help.spirometry_group"))
    ] = "",
    recovery_key: Annotated[str, typer.Option("--recovery-key", help=_words("tech.help.recovery_key"))] = "",
    lock_after: Annotated[int, typer.Option("--lock-after", help=_words("tech.help.lock_after"))] = 0,
    ecg_device: Annotated[str, typer.Option("--ecg-device", help=_words("tech.help.ecg_device"))] = "",
    hub_card: Annotated[Path | None, typer.Option("--hub-card", help=_words("tech.help.hub_card"))] = None,
    healthypi: Annotated[str, typer.Option("--healthypi", help=_words("tech.help.healthypi"))] = "",
    healthypi_rate: Annotated[
        int, typer.Option("--healthypi-rate", min=0, max=1000, help=_words("tech.help.healthypi_rate"))
    ] = 0,
    healthypi_scale: Annotated[
        int, typer.Option("--healthypi-scale", min=0, max=1_000_000, help=_words("tech.help.healthypi_scale"))
    ] = 0,
    probe_url: Annotated[str, typer.Option("--probe-url", help=_words("tech.help.probe_url"))] = "",
    probe_key: Annotated[str, typer.Option("--probe-key", help=_words("tech.help.probe_key"))] = "",
    modem_port: Annotated[str, typer.Option("--modem-port", help=_words("tech.help.modem_port"))] = "",
) -> None:
    from zhenbao.agent import keys as kit_keys
    from zhenbao.agent.settings import (
        FILE,
        KitSettings,
        check_altitude,
        check_ecg_device,
        check_kit_id,
        check_lock_after,
        check_spirometry,
        checked_recovery_key,
        kit_home,
        load_settings,
        save_settings,
    )
    from zhenbao.agent.uplink import asker
    from zhenbao.agent.vault.file import exists as vault_exists

    host, colon, port = hub.rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise InputError("hub-address", address=hub[:80])
    check_spirometry(spirometry_equation, spirometry_group, spirometry_flows)
    check_altitude(altitude)
    from zhenbao.model.time import SystemClock

    home = kit_home(_home(context))
    settings = KitSettings(
        check_kit_id(kit_id),
        village,
        host,
        int(port),
        bluetooth,
        front_end,
        oximeter,
        altitude,
        hub_phone=hub_phone,
        chest_pain_phone=chest_pain_phone,
        spirometry_equation=spirometry_equation,
        spirometry_group=spirometry_group,
        spirometry_flows=spirometry_flows,
        recovery_key=checked_recovery_key(recovery_key),
        lock_after_min=check_lock_after(lock_after),
        ecg_device=check_ecg_device(ecg_device),
        healthypi_port=healthypi,
        healthypi_rate_hz=healthypi_rate,
        healthypi_nv_per_count=healthypi_scale,
        probe_url=probe_url,
        probe_key=probe_key,
        modem_port=modem_port,
        cuff_port=cuff,
        spirometer_port=spirometer,
    )
    if (home / FILE).exists():  # what pairing assigned stays, and what is not given of the uplink
        before = load_settings(home)
        settings = replace(
            settings,
            ecg_strap=before.ecg_strap,
            glucose_meter=before.glucose_meter,
            glucose_port=before.glucose_port,
            probe_url=probe_url or before.probe_url,
            probe_key=probe_key or before.probe_key,
            modem_port=modem_port or before.modem_port,
            glucose_serial=before.glucose_serial,
            hub_tls=before.hub_tls,
            hub_https=before.hub_https,
        )
    if hub_card is not None:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        pinned_card = kit_keys.pin_hub(home, kit_keys.read_text(hub_card))
        typer.echo(_words("tech.hub_pinned", fingerprint=pinned_card.fingerprint))
    asker(settings, home)
    save_settings(home, settings)
    typer.echo(_words("tech.set_up", kit_id=kit_id, path=home / FILE))
    card = kit_keys.set_up_keys(home, kit_id, SystemClock().now_ms())
    typer.echo(_words("tech.card", path=home / kit_keys.CARD_FILE, fingerprint=card.fingerprint))
    if not (home / kit_keys.PINNED_FILE).exists():
        typer.echo(_words("tech.hub_not_pinned"))
    if altitude is None:
        typer.echo(_words("tech.altitude_not_given"))
    if not recovery_key:
        typer.echo(_words("tech.recovery_key_not_given"))
    if not vault_exists(home):
        typer.echo(_words("tech.pin_not_set"))
    if not spirometry_equation:
        typer.echo(_words("tech.equation_not_chosen"))
    elif spirometry_equation == "gli2012" and not spirometry_group:
        typer.echo(_words("tech.group_not_chosen"))


@app.command("renew-keys", help=_words("tech.help.renew_keys"))
def renew_keys(context: typer.Context) -> None:
    from zhenbao.agent.keys import renew_keys as renew
    from zhenbao.agent.settings import kit_home, load_settings
    from zhenbao.model.time import SystemClock

    home = kit_home(_home(context))
    card = renew(home, load_settings(home).kit_id, SystemClock().now_ms())
    typer.echo(_words("tech.keys_renewed", fingerprint=card.fingerprint))


@app.command("syringe", help=_words("tech.help.syringe"))
def syringe(
    context: typer.Context,
    volume: Annotated[float, typer.Option("--volume", help=_words("tech.help.syringe_volume"))] = 3.0,
    seconds: Annotated[
        float, typer.Option("--seconds", min=5, max=60, help=_words("tech.help.syringe_seconds"))
    ] = 30.0,
    file: Annotated[Path | None, typer.Option("--file", help=_words("tech.help.syringe_file"))] = None,
    taken: Annotated[
        datetime | None, typer.Option("--taken", formats=_MOMENTS, help=_words("tech.help.syringe_taken"))
    ] = None,
    sensor: Annotated[str, typer.Option("--sensor", help=_words("tech.help.syringe_sensor"))] = "",
    port: Annotated[str, typer.Option("--port", help=_words("tech.help.syringe_port"))] = "",
    show: Annotated[bool, typer.Option("--list", help=_words("tech.help.syringe_list"))] = False,
) -> None:
    from zhenbao.agent.kit import open_kit
    from zhenbao.agent.measure.front_end import front_end_port
    from zhenbao.agent.screen import Screen
    from zhenbao.agent.settings import kit_home
    from zhenbao.model.time import SystemClock
    from zhenbao.technician.syringe import check_volume, show_log, verify_file, verify_front_end

    check_volume(volume)
    screen = Screen(_words, json_lines=bool(getattr(context.obj, "json_lines", False)))
    with open_kit(kit_home(_home(context)), SystemClock(), screen) as kit:
        if show:
            show_log(kit, kit.store.syringe_checks(sensor or None))
            return
        if file is not None:
            record = verify_file(kit, file, sensor, taken, syringe_l=volume)
        else:
            where = port or front_end_port(kit)
            record = asyncio.run(verify_front_end(kit, where, syringe_l=volume, seconds=seconds))
    if record.check.verdict != "passed":
        raise typer.Exit(1)


def _radio(context: typer.Context, set_up: str) -> str | None:
    """Which Bluetooth: as chosen before the command, else as set up; None is the tablet's own."""
    return getattr(context.obj, "ble", "") or set_up or None


def _home(context: typer.Context) -> Path | None:
    """``--home`` from before the sub-command."""
    chosen: Any = context.obj
    home: Path | None = getattr(chosen, "home", None)
    return home
