"""Oximeters over real Bluetooth protocol and a pseudo-terminal; the devices share no code with the drivers."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from pathlib import Path

import pytest

from zhenbao.drivers.links.ble import Radio, open_radio
from zhenbao.drivers.links.serial import open_serial
from zhenbao.drivers.oximeter.driver import NoninOximeter, PulseOximeter, SerialOximeter
from zhenbao.drivers.oximeter.reading import Oximetry
from zhenbao.firmware_sim import oximeter as simulated
from zhenbao.firmware_sim.bluetooth import SimulatedAir
from zhenbao.firmware_sim.oximeter import Finger, OximeterFaults
from zhenbao.firmware_sim.serial_oximeter import SerialOximeter as SimulatedSerial
from zhenbao.firmware_sim.serial_oximeter import SerialOximeterFaults
from zhenbao.model.errors import DeviceError, FrameError
from zhenbao.model.observation import Device
from zhenbao.model.quantity import Quantity

FINGER = Finger(96, 73)
FAST = 50.0
BOTH = (NoninOximeter.service, PulseOximeter.service)
Simulated = simulated.PulseOximeter | simulated.NoninOximeter


def driver_of(device: Simulated) -> PulseOximeter:
    return NoninOximeter() if isinstance(device, simulated.NoninOximeter) else PulseOximeter()


async def pair(radio: Radio, device: Simulated) -> None:
    device.pairing_mode = True
    await radio.pair(await radio.find(*BOTH, timeout_s=10), *NoninOximeter.protected, *PulseOximeter.protected)
    device.pairing_mode = False


async def first(most: int, stream: AsyncGenerator[Oximetry, None]) -> list[Oximetry]:
    """Up to ``most`` messages; the stream is closed then, in its middle."""
    received: list[Oximetry] = []
    async with aclosing(stream):
        async for message in stream:
            received.append(message)
            if len(received) == most:
                break
    return received


async def messages(
    device: Simulated, keys: Path, most: int, driver: PulseOximeter | None = None, *, silent_s: float = 0.3
) -> list[Oximetry]:
    """Pair, connect anew, and take up to ``most`` messages."""
    driver = driver or driver_of(device)
    driver.SILENT_S = silent_s  # type: ignore[misc]
    async with SimulatedAir([device]) as air, open_radio(air.hci, keys) as radio:
        await pair(radio, device)
        async with radio.connect(await radio.find(*BOTH, timeout_s=10)) as link:
            return await first(most, driver.read(link, timeout_s=1.0))


def plx(**options: object) -> simulated.PulseOximeter:
    device = simulated.PulseOximeter(speed=FAST, **options)  # type: ignore[arg-type]
    device.finger = FINGER
    return device


def nonin(**options: object) -> simulated.NoninOximeter:
    device = simulated.NoninOximeter(speed=FAST, **options)  # type: ignore[arg-type]
    device.finger = FINGER
    return device


async def test_a_stream_and_its_finished_result(keys: Path) -> None:
    driver = PulseOximeter()
    received = await messages(plx(spot_after=8, now=lambda: datetime(2026, 11, 27, 11, 0)), keys, 14, driver)
    early = [m for m in received if m.reason == "early-estimate"]
    (spot,) = (m for m in received if m.spot)
    assert early
    assert (spot.spo2, spot.pulse, spot.perfusion) == (Quantity(96, "%"), Quantity(73, "/min"), Quantity(4.2, "%"))
    assert (spot.reason, spot.device_time) == (None, "2026-11-27T11:00:00")
    assert spot.device == driver.device == Device("oximeter-gatt", "Zhenbao Simulation", "OX-SIM", "OX-0001", "1.0.0")
    assert spot.device_key is not None
    assert received[-1].reason is None
    assert not received[-1].spot


async def test_an_oximeter_with_spot_checks_alone_and_one_that_only_streams(keys: Path, tmp_path: Path) -> None:
    only_spot = await messages(plx(streams=False, spot_after=3), keys, 1)
    assert [m.spot for m in only_spot] == [True]
    streams = await messages(plx(spot_after=None), tmp_path / "others.json", 9)
    assert [m.spot for m in streams] == [False] * 9


async def test_a_nonin_says_itself_when_its_number_is_good(keys: Path) -> None:
    received = await messages(nonin(smart_point_after=4), keys, 6)
    assert [m.spot for m in received][-1] is True
    assert received[0].spot is False
    assert {(m.spo2, m.pulse, m.reason) for m in received} == {(Quantity(96, "%"), Quantity(73, "/min"), None)}
    assert received[0].device.driver == "oximeter-nonin"


@pytest.mark.parametrize("make", [plx, nonin])
async def test_without_a_finger_there_are_messages_and_no_numbers(make, keys: Path) -> None:
    device = make()
    device.finger = None
    received = await messages_in_pairing_mode(device, keys, 3)
    assert [(m.spo2, m.pulse, m.reason, m.finger_out) for m in received] == [(None, None, "sensor-off", True)] * 3


async def messages_in_pairing_mode(device: Simulated, keys: Path, most: int) -> list[Oximetry]:
    """For a device that shows itself to nobody without a finger: a finger goes in to be found, and out again."""
    async with SimulatedAir([device]) as air, open_radio(air.hci, keys) as radio:
        await pair(radio, device)
        device.put_in(FINGER)
        async with radio.connect(await radio.find(*BOTH, timeout_s=10)) as link:
            device.take_out()
            return await first(most, driver_of(device).read(link, timeout_s=1.0))


@pytest.mark.parametrize(
    ("make", "faults", "reason"),
    [
        (plx, OximeterFaults(not_a_number=True), {"early-estimate", "no-saturation"}),
        (nonin, OximeterFaults(not_a_number=True), {"searching"}),
        (plx, OximeterFaults(low_perfusion=True), {"low-perfusion"}),
        (nonin, OximeterFaults(low_perfusion=True), {"poor-signal"}),
        (plx, OximeterFaults(questionable=True), {"questionable"}),
        (plx, OximeterFaults(demo=True), {"demo-data"}),
    ],
)
async def test_what_may_not_be_believed_says_why(make, faults: OximeterFaults, reason: set[str], keys: Path) -> None:
    assert {m.reason for m in await messages(make(faults=faults), keys, 12)} == reason


@pytest.mark.parametrize("make", [plx, nonin])
async def test_a_wrong_message_takes_no_other_away(make, keys: Path) -> None:
    device = make(faults=OximeterFaults(wrong_every=3))
    driver = driver_of(device)
    received = await messages(device, keys, 6, driver)
    assert len(received) == 6
    assert isinstance(driver.refused, FrameError)


async def test_nothing_but_wrong_messages_is_an_error(keys: Path) -> None:
    with pytest.raises(FrameError):
        await messages(nonin(faults=OximeterFaults(wrong_every=1, hangs_up_after=3)), keys, 1)


@pytest.mark.slow
async def test_a_silent_oximeter_says_so_and_one_that_hangs_up_ends(keys: Path, tmp_path: Path) -> None:
    with pytest.raises(DeviceError) as error:
        await messages(plx(faults=OximeterFaults(silent=True)), keys, 1)
    assert error.value.code == "oximeter-silent"
    assert len(await messages(nonin(faults=OximeterFaults(hangs_up_after=4)), tmp_path / "others.json", 99)) == 4


async def test_reading_never_pairs(keys: Path) -> None:
    device = plx()
    async with SimulatedAir([device]) as air, open_radio(air.hci, keys) as radio:
        found = await radio.find(*BOTH, timeout_s=10)
        async with radio.connect(found) as link:
            with pytest.raises(DeviceError) as error:
                await first(1, PulseOximeter().read(link, timeout_s=1.0))
    assert error.value.code == "not-paired"
    assert device.bonded_hosts == 0


async def read_serial(device: SimulatedSerial, most: int) -> tuple[list[Oximetry], SerialOximeter]:
    driver = SerialOximeter()
    driver.SILENT_S = 0.3  # type: ignore[misc]
    with device:
        async with open_serial(device.port, driver.baudrate, driver.parity) as port:
            return await first(most, driver.read(port, timeout_s=1.0)), driver


@pytest.mark.parametrize("pulse", [73, 127, 128, 201])
async def test_a_serial_oximeter_tells_a_reading_a_second(pulse: int) -> None:
    received, driver = await read_serial(SimulatedSerial(Finger(96, pulse), speed=20), 5)
    assert {(m.spo2, m.pulse, m.reason) for m in received} == {(Quantity(96, "%"), Quantity(pulse, "/min"), None)}
    assert received[0].device == driver.device == Device("oximeter-cms50d-plus", "Contec", "CMS50D+")


@pytest.mark.parametrize(
    ("finger", "faults", "reason"),
    [
        (None, SerialOximeterFaults(), "sensor-off"),
        (FINGER, SerialOximeterFaults(searching=True), "searching"),
        (FINGER, SerialOximeterFaults(probe=True), "sensor-malfunction"),
    ],
)
async def test_a_serial_oximeter_without_a_pulse_tells_no_number(
    finger: Finger | None, faults: SerialOximeterFaults, reason: str
) -> None:
    received, _ = await read_serial(SimulatedSerial(finger, faults=faults, speed=20), 3)
    assert {m.reason for m in received} == {reason}


@pytest.mark.parametrize("faults", [SerialOximeterFaults(corrupt_every=97), SerialOximeterFaults(lose_every=53)])
async def test_a_bad_cable_never_bends_a_number(faults: SerialOximeterFaults) -> None:
    received, driver = await read_serial(SimulatedSerial(FINGER, faults=faults, speed=20), 6)
    assert {(m.spo2, m.pulse, m.reason) for m in received} == {(Quantity(96, "%"), Quantity(73, "/min"), None)}
    assert driver.damaged > 0


@pytest.mark.slow
async def test_a_serial_oximeter_that_switches_itself_off_ends_and_a_silent_one_is_an_error() -> None:
    received, _ = await read_serial(SimulatedSerial(FINGER, faults=SerialOximeterFaults(stops_after_s=4), speed=20), 99)
    assert 2 <= len(received) <= 12
    with pytest.raises(DeviceError) as error:
        await read_serial(SimulatedSerial(FINGER, faults=SerialOximeterFaults(silent=True)), 1)
    assert error.value.code == "oximeter-silent"
