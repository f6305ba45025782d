"""The simulated cuff, exercised by a Bluetooth host of bumble's over TCP."""

from __future__ import annotations

import asyncio
import importlib.util
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from bumble import core

from zhenbao.firmware_sim.bluetooth import SimulatedAir
from zhenbao.firmware_sim.cuff import BloodPressureMeter, CuffFaults, Reading
from zhenbao.firmware_sim.glucose_meter import GlucoseMeter

CUFF = "F0:00:00:00:18:10"
METER = "F0:00:00:00:18:08"
AT = datetime(2026, 11, 22, 10, 30)
# 1e: time 2, pulse 4, user 8, status 10 | 128 | 82 | 97 | 2026-11-22 10:30:00 | 71 | user 1 | status 0
FRAME = bytes.fromhex("1e 8000 5200 6100 ea070b160a1e00 4700 01 0000")
DEADLINE_S = 10.0


async def next_value(queue: asyncio.Queue[bytes]) -> bytes:
    async with asyncio.timeout(DEADLINE_S):
        return bytes(await queue.get())


def cuff_with_a_reading(**options) -> BloodPressureMeter:
    cuff = BloodPressureMeter(**options)
    cuff.measure(128, 82, 97, 71, AT)
    return cuff


async def bond(kit, cuff, hci: str):
    """A technician's run: pair, subscribe, take what is there, clear the subscription, leave."""
    central = await kit.run(hci)
    cuff.pairing_mode = True
    await central.connect(cuff.address)
    await central.pair()
    cuff.pairing_mode = False
    return central


async def test_pairing_is_refused_outside_pairing_mode(kit, att_error) -> None:
    cuff = cuff_with_a_reading()
    async with SimulatedAir([cuff]) as air:
        central = await kit.run(air.hci)
        await central.connect(CUFF)
        with pytest.raises(att_error) as refused:
            await central.subscribe(0x2A35)
        assert refused.value.error_code == 0x0F, "insufficient encryption"
        with pytest.raises(core.ProtocolError, match="PAIRING_NOT_SUPPORTED"):
            await central.pair()
    assert (cuff.bonded_hosts, len(cuff.waiting), cuff.delivered) == (0, 1, [])


async def test_a_bonded_host_gets_the_reading_once(kit, until) -> None:
    cuff = cuff_with_a_reading()
    async with SimulatedAir([cuff]) as air:
        central = await bond(kit, cuff, air.hci)
        assert await central.read(0x2A49) == b"\x0f\x00"
        values = await central.subscribe(0x2A35)
        assert await next_value(values) == FRAME
        await until(lambda: not cuff.waiting)
        assert cuff.delivered == [Reading(128, 82, 97, 71, AT)]
        assert cuff.bonded_hosts == 1
        assert values.empty()


async def test_device_information(kit) -> None:
    cuff = cuff_with_a_reading()
    async with SimulatedAir([cuff]) as air:
        central = await kit.run(air.hci)
        await central.connect(CUFF)
        texts = [await central.read(uuid) for uuid in (0x2A29, 0x2A24, 0x2A25, 0x2A26)]
    assert texts == [b"Zhenbao Simulation", b"BP-SIM", b"BP-0001", b"1.0.0"]


async def test_it_shows_itself_only_with_a_reading_or_in_pairing_mode(kit) -> None:
    cuff, meter = BloodPressureMeter(), GlucoseMeter()
    async with SimulatedAir([cuff, meter]) as air:
        central = await kit.run(air.hci)
        besides: set[str] = set()
        await central.seen(METER, times=6, besides=besides)
        assert besides == set()
        cuff.pairing_mode = True
        await central.seen(CUFF)
        cuff.pairing_mode = False
        cuff.measure(128, 82, 97, 71, AT)
        await central.seen(CUFF)


async def test_never_advertises(kit) -> None:
    cuff = cuff_with_a_reading(faults=CuffFaults(never_advertises=True))
    cuff.pairing_mode = True
    async with SimulatedAir([cuff, GlucoseMeter()]) as air:
        central = await kit.run(air.hci)
        besides: set[str] = set()
        await central.seen(METER, times=6, besides=besides)
    assert besides == set()


async def test_a_host_that_kept_its_subscription_loses_the_early_reading(kit, until) -> None:
    """Known of real meters: the indication comes as soon as the link is encrypted, and whoever confirms it has it."""
    cuff = cuff_with_a_reading()
    async with SimulatedAir([cuff]) as air:
        central = await bond(kit, cuff, air.hci)
        await next_value(await central.subscribe(0x2A35))
        await until(lambda: not cuff.waiting)
        await central.vanish()
        await until(lambda: cuff.connection is None)
        cuff.measure(141, 90, 107, 80, AT)
        central = await kit.run(air.hci)
        await central.connect(CUFF)
        await central.encrypt()
        await until(lambda: not cuff.waiting)
        values = await central.subscribe(0x2A35)
        await central.read(0x2A49)
        assert values.empty()
    assert len(cuff.delivered) == 2


@pytest.mark.parametrize("forgets", [False, True])
async def test_a_host_without_subscription_gets_its_reading_after_subscribing(kit, until, forgets: bool) -> None:
    """Either the host cleared the CCCD before it left, or the meter forgets it (a fault that harms nobody)."""
    cuff = cuff_with_a_reading(faults=CuffFaults(forgets_subscriptions=forgets))
    async with SimulatedAir([cuff]) as air:
        central = await bond(kit, cuff, air.hci)
        await next_value(await central.subscribe(0x2A35))
        await until(lambda: not cuff.waiting)
        if not forgets:
            await central.unsubscribe(0x2A35)
        await central.vanish()
        await until(lambda: cuff.connection is None)
        cuff.measure(141, 90, 107, 80, AT)
        central = await kit.run(air.hci)
        await central.connect(CUFF)
        await central.encrypt()
        assert len(cuff.waiting) == 1
        values = await central.subscribe(0x2A35)
        assert (await next_value(values))[1:3] == b"\x8d\x00"


async def test_early_indication_ignores_the_cleared_subscription(kit, until) -> None:
    cuff = cuff_with_a_reading(faults=CuffFaults(early_indication=True))
    async with SimulatedAir([cuff]) as air:
        central = await bond(kit, cuff, air.hci)
        await until(lambda: not cuff.waiting)
        values = await central.subscribe(0x2A35)
        await central.read(0x2A49)
        assert values.empty()


async def test_a_silent_cuff_keeps_its_reading(kit) -> None:
    cuff = cuff_with_a_reading(faults=CuffFaults(silent=True))
    async with SimulatedAir([cuff]) as air:
        central = await bond(kit, cuff, air.hci)
        values = await central.subscribe(0x2A35)
        await central.read(0x2A49)
        assert values.empty()
    assert len(cuff.waiting) == 1


async def test_it_hangs_up_after_sending(kit, until) -> None:
    cuff = cuff_with_a_reading(faults=CuffFaults(hangs_up_after_sending=True))
    cuff.measure(130, 84, 99, 70, AT)
    async with SimulatedAir([cuff]) as air:
        central = await bond(kit, cuff, air.hci)
        values = await central.subscribe(0x2A35)
        assert [(await next_value(values))[1] for _ in range(2)] == [128, 130]
        await until(lambda: cuff.connection is None)
    assert not cuff.waiting


async def test_it_hangs_up_before_sending(kit, until, att_error) -> None:
    cuff = cuff_with_a_reading(faults=CuffFaults(hangs_up_before_sending=True))
    async with SimulatedAir([cuff]) as air:
        central = await bond(kit, cuff, air.hci)
        values = await central.subscribe(0x2A35)
        await until(lambda: cuff.connection is None)
        assert values.empty()
    assert len(cuff.waiting) == 1


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        pytest.param(CuffFaults(truncated=6), "1e 8000 5200 61", id="truncated"),
        pytest.param(
            # 128 mmHg = 17.1 kPa, 82 = 10.9, 97 = 12.9
            CuffFaults(kilopascal=True), "1f abf0 6df0 81f0 ea070b160a1e00 4700 01 0000", id="kPa"
        ),
        pytest.param(
            # a year and 90 minutes slow
            CuffFaults(clock_offset=timedelta(days=-365, minutes=-90)),
            "1e 8000 5200 6100 e9070b16090000 4700 01 0000",
            id="wrong clock",
        ),
    ],
)  # fmt: skip
def test_faulty_frames(faults: CuffFaults, expected: str) -> None:
    cuff = BloodPressureMeter(faults=faults)
    assert cuff.frame(Reading(128, 82, 97, 71, AT)) == bytes.fromhex(expected)


def test_a_failed_measurement_is_nan() -> None:
    # 14: pulse and status | 3 NaN | pulse NaN | status: body movement
    frame = BloodPressureMeter().frame(Reading(None, None, None, None, None, status=1, user=None))
    assert frame == bytes.fromhex("14 ff07 ff07 ff07 ff07 0100")


async def test_press_start_inflates_and_then_has_the_reading(kit) -> None:
    cuff = BloodPressureMeter(speed=200.0, live_pressure=True)
    async with SimulatedAir([cuff]) as air:
        central = await bond(kit, cuff, air.hci)
        pressures = await central.subscribe(0x2A36)
        values = await central.subscribe(0x2A35)
        cuff.press_start(Reading(150, 92, 111, 66, AT), seconds=30)
        assert (await next_value(values))[1:7] == bytes.fromhex("9600 5c00 6f00")
        seen = [pressures.get_nowait() for _ in range(pressures.qsize())]
    assert len(seen) == 10
    shown = [int.from_bytes(value[1:3], "little") for value in seen]
    assert 150 < max(shown) <= 180
    assert shown[-1] == 0
    assert all(value[0] == 0 and value[3:] == bytes.fromhex("ff07 ff07") for value in seen)


async def test_hosts_come_one_after_another_without_a_goodbye(kit, until) -> None:
    cuff = cuff_with_a_reading()
    async with SimulatedAir([cuff]) as air:
        await (await bond(kit, cuff, air.hci)).vanish()
        for _ in range(5):
            central = await kit.run(air.hci)
            await central.connect(CUFF)
            await central.encrypt()
            await central.vanish()
        await until(lambda: cuff.connection is None and not air.occupied)
        assert len(air.link.controllers) == 1


async def test_a_second_host_waits_until_the_first_lets_go(kit) -> None:
    async with SimulatedAir([cuff_with_a_reading()]) as air:
        first = await kit.run(air.hci)
        second = asyncio.ensure_future(kit.run(air.hci))
        await first.connect(CUFF)
        assert not second.done()
        await first.vanish()
        central = await second
        await central.connect(CUFF)


async def test_bytes_that_are_no_hci_harm_nobody(kit) -> None:
    async with SimulatedAir([cuff_with_a_reading()]) as air:
        reader, writer = await asyncio.open_connection("127.0.0.1", air.port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        async with asyncio.timeout(DEADLINE_S):
            assert await reader.read() == b""
        writer.close()
        central = await kit.run(air.hci)
        await central.connect(CUFF)


def test_the_simulator_imports_no_driver() -> None:
    """A second witness: the same rule as import-linter's, for those who run only the tests."""
    spec = importlib.util.find_spec("zhenbao.firmware_sim")
    assert spec is not None
    assert spec.submodule_search_locations
    for place in spec.submodule_search_locations:
        for file in Path(place).rglob("*.py"):
            text = file.read_text(encoding="utf-8")
            assert "zhenbao.drivers" not in text, file
            assert "zhenbao.signal" not in text, file
