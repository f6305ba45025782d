"""A meter over real Bluetooth protocol: which records are asked for, and what becomes of each."""

import asyncio
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from bumble.pairing import PairingDelegate

from zhenbao.drivers.glucose.codec import GlucoseReading
from zhenbao.drivers.glucose.driver import GlucoseMeter
from zhenbao.drivers.links.ble import Radio, open_radio
from zhenbao.model.errors import DeviceError, FrameError
from zhenbao.model.observation import Device
from zhenbao.model.quantity import Quantity


def record(sequence: int, mg_dl: int, *, context: bool = False, type_location: int = 0x11) -> bytes:
    """Field by field: flags, sequence, base time, concentration in 1e-5 kg/L, type and location."""
    flags = 0x02 | (0x10 if context else 0)
    moment = struct.pack("<HBBBBB", 2026, 11, 22, 8, sequence % 60, 0)
    return bytes([flags]) + struct.pack("<H", sequence) + moment + struct.pack("<HB", 0xB000 | mg_dl, type_location)


def numbered(*sequences: int) -> dict[int, list[tuple[int, bytes]]]:
    return {sequence: [(0x2A18, record(sequence, 90 + sequence % 50))] for sequence in sequences}


@pytest_asyncio.fixture
async def radio(air, meter, keys: Path) -> AsyncIterator[Radio]:
    async with open_radio(air.address, keys) as radio:
        found = await radio.find(GlucoseMeter.service, timeout_s=10)
        await radio.pair(found, GlucoseMeter.protected)
        yield radio


async def read(
    radio: Radio, after_sequence: int | None = None, driver: GlucoseMeter | None = None
) -> tuple[list[GlucoseReading], str | None]:
    """What was yielded, and the code of the error that ended it."""
    readings: list[GlucoseReading] = []
    found = await radio.find(GlucoseMeter.service, timeout_s=10)
    async with radio.connect(found) as link:
        try:
            async for reading in (driver or GlucoseMeter()).read(link, after_sequence=after_sequence):
                readings.append(reading)
        except (DeviceError, FrameError) as error:
            return readings, error.code
    return readings, None


async def test_first_contact_takes_all_records(radio: Radio, meter) -> None:
    meter.records = numbered(*range(1, 201))
    driver = GlucoseMeter()
    readings, error = await read(radio, driver=driver)
    assert error is None
    assert [r.sequence for r in readings] == list(range(1, 201))
    assert readings[0].concentration == Quantity(91, "mg/dL")
    assert readings[0].device == driver.device == Device("glucose-gatt", "Roche", "Accu-Chek Guide Me", "SN-7", "3.0")
    assert len({r.device_key for r in readings}) == 200
    assert meter.requests == [bytes.fromhex("0101")]


async def test_later_only_newer_records(radio: Radio, meter) -> None:
    meter.records = numbered(1, 2, 3, 4)
    readings, error = await read(radio, after_sequence=2)
    assert ([r.sequence for r in readings], error) == ([3, 4], None)
    assert meter.requests == [bytes.fromhex("0103010300")]
    assert sorted(meter.records) == [1, 2, 3, 4]  # nothing is deleted


async def test_nothing_new_is_no_error(radio: Radio, meter) -> None:
    meter.records = numbered(1, 2)
    assert await read(radio, after_sequence=2) == ([], None)
    meter.records = {}
    assert await read(radio) == ([], None)


async def test_a_meter_whose_counter_was_reset_is_read_from_the_start(radio: Radio, meter) -> None:
    meter.records = numbered(1, 2, 3)
    readings, error = await read(radio, after_sequence=900)
    assert ([r.sequence for r in readings], error) == ([1, 2, 3], None)
    assert [r[:2].hex() for r in meter.requests] == ["0103", "0106", "0101"]


async def test_a_counter_that_wrapped_asks_from_zero(radio: Radio, meter) -> None:
    meter.records = numbered(0, 1)
    readings, error = await read(radio, after_sequence=65535)
    assert ([r.sequence for r in readings], error) == ([0, 1], None)
    assert meter.requests == [bytes.fromhex("0103010000")]


async def test_a_meter_that_cannot_search_gives_everything(radio: Radio, meter) -> None:
    meter.records = numbered(1, 2, 3)
    meter.unsupported_operators = {3}
    readings, error = await read(radio, after_sequence=2)
    assert ([r.sequence for r in readings], error) == ([1, 2, 3], None)


async def test_a_meter_that_cannot_report_at_all_is_told(radio: Radio, meter) -> None:
    meter.unsupported_operators = {1}
    assert await read(radio) == ([], "meter-refused")


async def test_context_joins_its_measurement(radio: Radio, meter) -> None:
    meter.records = {
        1: [(0x2A18, record(1, 90, context=True)), (0x2A34, bytes.fromhex("02 0100 03"))],
        2: [(0x2A18, record(2, 91, context=True))],  # announced, never sent
        3: [(0x2A18, record(3, 92, context=True)), (0x2A34, bytes.fromhex("02 0900 03"))],  # of another record
        4: [(0x2A18, record(4, 93, context=True)), (0x2A34, bytes.fromhex("02 04"))],  # damaged
    }
    readings, error = await read(radio)
    assert error is None
    assert [(r.sequence, r.context.meal if r.context else None) for r in readings] == [
        (1, "fasting"),
        (2, None),
        (3, None),
        (4, None),
    ]


async def test_duplicates_and_reversed_order_are_kept_apart(radio: Radio, meter) -> None:
    meter.records = {1: [(0x2A18, record(s, 90)) for s in (3, 2, 2, 1)] + [(0x2A18, record(2, 99))]}
    readings, error = await read(radio)
    assert error is None
    assert [(r.sequence, r.concentration) for r in readings] == [
        (3, Quantity(90, "mg/dL")),
        (2, Quantity(90, "mg/dL")),
        (1, Quantity(90, "mg/dL")),
        (2, Quantity(99, "mg/dL")),
    ]


async def test_control_solution_is_quarantined(radio: Radio, meter) -> None:
    meter.records = {1: [(0x2A18, record(1, 120, type_location=0x4A))]}
    ((reading,), error) = await read(radio)
    assert (reading.verdict, reading.reason, error) == ("quarantine", "control-solution", None)


async def test_a_wrong_record_takes_no_other_away(radio: Radio, meter) -> None:
    meter.records = {1: [(0x2A18, record(1, 90)), (0x2A18, b"\x02\x09\x00"), (0x2A18, record(3, 92))]}
    readings, error = await read(radio)
    assert ([r.sequence for r in readings], error) == ([1, 3], "frame")


async def test_a_meter_that_hangs_up_halfway_leaves_what_it_sent(radio: Radio, meter) -> None:
    meter.records = numbered(1, 2, 3)
    meter.records[2] = [(0x2A18, record(2, 90, context=True))]
    meter.hang_up_after = 2
    readings, error = await read(radio)
    assert ([r.sequence for r in readings], error) == ([1, 2], "meter-lost")


async def test_a_mute_meter_is_told(radio: Radio, meter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GlucoseMeter, "PROCEDURE_S", 0.2)
    meter.mute = True
    assert await read(radio) == ([], "meter-silent")


async def test_a_meter_that_serves_another_request_is_busy(radio: Radio, meter) -> None:
    meter.records = numbered(1, 2)
    meter.busy = True
    assert await read(radio) == ([], "meter-busy")
    meter.busy = False
    readings, error = await read(radio)
    assert ([r.sequence for r in readings], error) == ([1, 2], None)


async def test_an_unpaired_meter_is_not_paired_by_reading(air, meter, tmp_path: Path) -> None:
    async with open_radio(air.address, tmp_path / "other.json") as radio:
        assert await read(radio) == ([], "not-paired")
    assert meter.pairings == 0
    assert meter.requests == []


class Display(PairingDelegate):
    """The meter shows six digits."""

    def __init__(self) -> None:
        super().__init__(PairingDelegate.DISPLAY_OUTPUT_ONLY)
        self.shown: asyncio.Queue[int] = asyncio.Queue()

    async def display_number(self, number: int, digits: int) -> None:
        self.shown.put_nowait(number)


@pytest.mark.parametrize("typed_wrong", [False, True])
async def test_a_meter_that_shows_digits(air, meter, keys: Path, typed_wrong: bool) -> None:
    meter.delegate = display = Display()
    meter.records = numbered(1)

    async def passkey() -> int:
        return (await display.shown.get() + typed_wrong) % 1_000_000

    async with open_radio(air.address, keys) as radio:
        found = await radio.find(GlucoseMeter.service, timeout_s=10)
        if typed_wrong:
            with pytest.raises(DeviceError) as error:
                await radio.pair(found, GlucoseMeter.protected, passkey=passkey)
            assert error.value.code == "pairing-failed"
            assert await radio.bonds() == []
        else:
            await radio.pair(found, GlucoseMeter.protected, passkey=passkey)
            readings, _ = await read(radio)
            assert len(readings) == 1
