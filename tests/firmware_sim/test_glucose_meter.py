"""The simulated glucose meter, exercised by a Bluetooth host of bumble's over TCP."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from bumble import core

from zhenbao.firmware_sim.bluetooth import SimulatedAir
from zhenbao.firmware_sim.glucose_meter import GlucoseFaults, GlucoseMeter, GlucoseRecord
from zhenbao.firmware_sim.layouts import Meal, SensorStatus

MORNING = datetime(2026, 11, 22, 7, 5)
DEADLINE_S = 10.0


class FixedClock:
    """2026-11-22 10:30:00 in Beijing, always."""

    def now_ms(self) -> int:
        return 1_795_314_600_000

    def monotonic_s(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody waits here")


def history(n: int = 10) -> list[GlucoseRecord]:
    return [GlucoseRecord.mmol_l(i, MORNING + timedelta(days=i), 5.0 + i / 10) for i in range(1, n + 1)]


class Collector:
    """A paired, subscribed host."""

    def __init__(self, central) -> None:
        self.central = central

    async def subscribe(self) -> Collector:
        self.values = await self.central.subscribe(0x2A18)
        self.contexts = await self.central.subscribe(0x2A34)
        self.answers = await self.central.subscribe(0x2A52)
        return self

    async def ask(self, request: str) -> tuple[list[int], bytes]:
        """The sequence numbers that came, and the response."""
        await self.central.write(0x2A52, bytes.fromhex(request))
        async with asyncio.timeout(DEADLINE_S):
            answer = bytes(await self.answers.get())
        return self.sequences(), answer

    def sequences(self) -> list[int]:
        return [struct.unpack_from("<H", self.values.get_nowait(), 1)[0] for _ in range(self.values.qsize())]


@pytest.fixture
async def paired(kit) -> AsyncIterator:
    """Pairs with a meter and gives the host."""
    airs = []

    async def pair(meter: GlucoseMeter) -> Collector:
        air = SimulatedAir([meter])
        await air.__aenter__()
        airs.append(air)
        central = await kit.run(air.hci)
        meter.pairing_mode = True
        await central.connect(meter.address)
        await central.pair()
        meter.pairing_mode = False
        return Collector(central)

    yield pair
    for air in airs:
        await air.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param(GlucoseRecord.mmol_l(5, MORNING, 7.8), "06 0500 ea070b16070500 4ec0 11", id="7.8 mmol/L"),
        pytest.param(GlucoseRecord.mg_dl(6, MORNING, 140), "02 0600 ea070b16070500 8cb0 11", id="140 mg/dL"),
        pytest.param(GlucoseRecord.too_high(7, MORNING), "0e 0700 ea070b16070500 4dc1 11 2000", id="HI: 33.3, bit 5"),
        pytest.param(GlucoseRecord.too_low(8, MORNING), "0e 0800 ea070b16070500 06c0 11 4000", id="LO: 0.6, bit 6"),
        pytest.param(
            GlucoseRecord.control_solution(9, MORNING, 6.1), "06 0900 ea070b16070500 3dc0 4a", id="control solution"
        ),
        pytest.param(
            GlucoseRecord(10, MORNING, None, status=SensorStatus.STRIP_PULLED),
            "0c 0a00 ea070b16070500 0002",
            id="error without a result",
        ),
        pytest.param(
            replace(GlucoseRecord.mmol_l(11, MORNING, 5.5), offset_min=480),
            "07 0b00 ea070b16070500 e001 37c0 11",
            id="offset",
        ),
    ],
)  # fmt: skip
def test_records_as_bytes(record: GlucoseRecord, expected: str) -> None:
    assert GlucoseMeter().frames(record) == (bytes.fromhex(expected), None)


def test_a_meal_follows_in_a_context() -> None:
    measurement, context = GlucoseMeter().frames(replace(GlucoseRecord.mmol_l(5, MORNING, 7.8), meal=Meal.FASTING))
    assert measurement[0] == 0x16
    assert context == bytes.fromhex("02 0500 03")


async def test_transfers(paired) -> None:
    meter = GlucoseMeter(history())
    host = await (await paired(meter)).subscribe()
    assert await host.ask("04 01") == ([], bytes.fromhex("05 00 0a00"))
    assert await host.ask("01 01") == (list(range(1, 11)), bytes.fromhex("06 00 01 01"))
    meter.add_record(GlucoseRecord.mmol_l(11, MORNING, 6.0))
    assert await host.ask("01 03 01 0a00") == ([10, 11], bytes.fromhex("06 00 01 01"))
    assert await host.ask("01 06") == ([11], bytes.fromhex("06 00 01 01"))
    assert await host.ask("01 03 01 6400") == ([], bytes.fromhex("06 00 01 06"))
    assert await host.ask("02 01") == ([], bytes.fromhex("06 00 02 02"))
    assert len(meter.records) == 11
    assert meter.requests[-1] == b"\x02\x01"


async def test_contexts_come_with_their_measurements(paired) -> None:
    meter = GlucoseMeter(clock=FixedClock())
    host = await (await paired(meter)).subscribe()
    record = meter.test_blood(9.4, Meal.AFTER)
    assert record.base_time == datetime(2026, 11, 22, 10, 30)
    assert await host.ask("01 01") == ([1], bytes.fromhex("06 00 01 01"))
    assert bytes(host.contexts.get_nowait()) == bytes.fromhex("02 0100 02")


async def test_requests_before_subscribing_are_refused(paired, att_error) -> None:
    host = await paired(GlucoseMeter(history()))
    with pytest.raises(att_error) as refused:
        await host.central.write(0x2A52, b"\x01\x01")
    assert refused.value.error_code == 0xFD
    host.answers = await host.central.subscribe(0x2A52)
    with pytest.raises(att_error) as refused:
        await host.central.write(0x2A52, b"\x01\x01")
    assert refused.value.error_code == 0xFD, "the measurements have no subscriber yet"
    host.values = await host.central.subscribe(0x2A18)
    assert (await host.ask("01 05"))[0] == [1]


async def test_a_second_request_waits_and_abort_ends_the_first(paired, att_error) -> None:
    meter = GlucoseMeter(history(), faults=GlucoseFaults(hangs_after=3))
    host = await (await paired(meter)).subscribe()
    await host.central.write(0x2A52, b"\x01\x01")
    with pytest.raises(att_error) as refused:
        await host.central.write(0x2A52, b"\x04\x01")
    assert refused.value.error_code == 0xFE
    sent, answer = await host.ask("03 00")
    assert (sent, answer) == ([1, 2, 3], bytes.fromhex("06 00 03 01"))
    assert await host.ask("04 01") == ([], bytes.fromhex("05 00 0a00"))


async def test_the_link_drops_in_the_middle_of_a_transfer(paired, until) -> None:
    meter = GlucoseMeter(history(), faults=GlucoseFaults(drops_link_after=4))
    host = await (await paired(meter)).subscribe()
    await host.central.write(0x2A52, b"\x01\x01")
    await until(lambda: meter.connection is None and not host.central.device.connections)
    assert host.sequences() == [1, 2, 3, 4]
    assert host.answers.empty()


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        (GlucoseFaults(reversed_sequence=True), [4, 3, 2, 1]),
        (GlucoseFaults(duplicate_sequence=True), [1, 1, 2, 2]),
        (GlucoseFaults(sends_twice=True), [1, 1, 2, 2, 3, 3, 4, 4]),
    ],
)
async def test_odd_numbers(paired, faults: GlucoseFaults, expected: list[int]) -> None:
    meter = GlucoseMeter(history(4), faults=faults)
    host = await (await paired(meter)).subscribe()
    assert (await host.ask("01 01"))[0] == expected
    assert [record.sequence for record in meter.records] == [1, 2, 3, 4]


async def test_the_meters_clock(paired, att_error) -> None:
    meter = GlucoseMeter(clock=FixedClock(), clock_offset_s=-3600.0)
    host = await paired(meter)
    # 2026-11-22 09:30:00, Sunday
    assert await host.central.read(0x2A2B) == bytes.fromhex("ea07 0b 16 09 1e 00 07 00 00")
    await host.central.write(0x2A2B, bytes.fromhex("ea07 0b 16 0a 1f 00 07 00 01"))
    assert meter.clock_offset_s == 60.0
    with pytest.raises(att_error):
        await host.central.write(0x2A2B, bytes.fromhex("ea07 0d 16 0a 1f 00 07 00 01"))
    assert meter.clock_offset_s == 60.0


async def test_nothing_is_read_without_a_bond(kit, att_error) -> None:
    meter = GlucoseMeter(history())
    async with SimulatedAir([meter]) as air:
        central = await kit.run(air.hci)
        await central.connect(meter.address)
        for uuid in (0x2A18, 0x2A34, 0x2A52):
            with pytest.raises(att_error) as refused:
                await central.subscribe(uuid)
            assert refused.value.error_code == 0x0F
        with pytest.raises(att_error):
            await central.write(0x2A52, b"\x01\x01")
        with pytest.raises(att_error):
            await central.read(0x2A2B)
        assert await central.read(0x2A51) == b"\xff\x07"
        with pytest.raises(core.ProtocolError):
            await central.pair()
    assert meter.requests == []
