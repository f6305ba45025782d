"""The two drivers on the session, and the port that they share."""

import asyncio
import os
import struct
from pathlib import Path

import pytest
from scripted_board import (
    IDENTITY,
    Board,
    shape,
)

from zhenbao.drivers.ecg.driver import FrontEndEcg
from zhenbao.drivers.frontend.messages import End, EndReason, Stream, StreamHead
from zhenbao.drivers.links.serial import SerialLink, open_serial
from zhenbao.drivers.spirometer.driver import FrontEndSpirometer
from zhenbao.model.errors import DeviceError
from zhenbao.model.observation import Device


async def test_the_ecg_driver_names_its_device_and_notch(link: SerialLink) -> None:
    driver = FrontEndEcg()
    events = [event async for event in driver.read(link, duration_s=0.2)]
    assert driver.device == Device("ecg-front-end", "Acme", "FE-12", "00017", "1.0")
    assert driver.notch_hz == 50.0
    assert list(shape(list(events)))[-1] == ("end", "FINISHED", 100)


async def test_the_spirometer_driver_says_btps(link: SerialLink) -> None:
    driver = FrontEndSpirometer()
    events = [event async for event in driver.read(link, duration_s=0.2)]
    assert events[0] == StreamHead(Stream.FLOW, 100, 1, 0.001, 0.0, None, True, 37.0, 101325, 100.0)
    assert events[-1] == End(Stream.FLOW, EndReason.FINISHED, 20)
    assert driver.device.serial == "00017"


@pytest.mark.parametrize(
    ("driver", "capabilities", "code"),
    [(FrontEndEcg, 2, "front-end-no-ecg"), (FrontEndSpirometer, 1, "front-end-no-flow")],
)
async def test_a_board_without_the_sensor(
    board: Board, link: SerialLink, driver: type[FrontEndEcg | FrontEndSpirometer], capabilities: int, code: str
) -> None:
    def script(board: Board, command: int, payload: bytes) -> None:
        board.ack(command)
        board.say(1, IDENTITY[:1] + bytes([capabilities]) + IDENTITY[2:])

    board.script = script
    with pytest.raises(DeviceError) as error:
        await anext(driver().read(link))
    assert error.value.code == code


async def test_a_port_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DeviceError) as error:
        async with open_serial(str(tmp_path / "ttyNONE")):
            pass
    assert error.value.code == "serial-absent"


async def test_a_port_in_use(board: Board, link: SerialLink) -> None:
    with pytest.raises(DeviceError) as error:
        async with open_serial(board.port):
            pass
    assert error.value.code == "serial-busy"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open every port")
async def test_a_port_without_permission(board: Board) -> None:
    os.chmod(board.port, 0)
    with pytest.raises(DeviceError) as error:
        async with open_serial(board.port):
            pass
    assert error.value.code == "serial-denied"


async def test_what_came_before_the_cable_was_pulled_is_read(board: Board, link: SerialLink) -> None:
    os.write(board.master, b"last words")
    assert await link.read(5.0) == b"last words"
    board.unplug()
    with pytest.raises(DeviceError) as error:
        await link.read(5.0)
    assert error.value.code == "serial-lost"
    with pytest.raises(DeviceError, match="serial-lost"):
        await link.write(b"anyone?")


async def test_a_reader_that_stopped_does_not_fill_the_memory(
    board: Board, link: SerialLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zhenbao.drivers.links import serial

    monkeypatch.setattr(serial, "_FULL_BYTES", 1000)
    os.set_blocking(board.master, False)
    sent = bytearray()
    blocked = 0
    while blocked < 50 and len(sent) < 1_000_000:  # until the port has refused for a while
        chunk = struct.pack("<I", len(sent)) * 256
        try:
            sent += chunk[: os.write(board.master, chunk)]
            blocked = 0
        except BlockingIOError:
            blocked += 1
        await asyncio.sleep(0)
    assert blocked == 50
    received = bytearray()
    while len(received) < len(sent):
        chunk = await link.read(5.0)
        assert 0 < len(chunk) <= 1000 + 4096
        received += chunk
    assert received == sent
