"""What becomes of a recording: pieces in their places, gaps, an end, whatever the cable does."""

import asyncio
import os
import struct

import pytest
from scripted_board import (
    ECG_HEAD,
    START,
    STOP,
    Board,
    everything,
    shape,
)

from zhenbao.drivers.frontend.messages import End, EndReason, Stream, StreamHead
from zhenbao.drivers.frontend.session import FrontEnd
from zhenbao.drivers.links.serial import SerialLink
from zhenbao.model.errors import DeviceError


async def test_a_recording_with_nothing_lost(link: SerialLink) -> None:
    events, error = await everything(FrontEnd(link))
    assert error is None
    assert list(shape(events)) == ["head", (0, 25), (25, 25), (50, 25), (75, 25), ("end", "FINISHED", 100)]
    assert events[0] == StreamHead(Stream.ECG, 500, 12, 0.0025, 0.05, 150.0)


async def test_lost_frames_are_gaps_in_their_places(board: Board, link: SerialLink) -> None:
    def script(board: Board, command: int, payload: bytes) -> None:
        board.ack(command)
        board.say(2, ECG_HEAD)
        board.ecg(25)
        damaged = bytearray(board.frame(3, struct.pack("<IBHH", 50, 25, 0, 0) + bytes(600)))
        damaged[100] ^= 1
        os.write(board.master, damaged)
        board.ecg(75)
        board.ecg(75)  # a device never repeats; this one does, and it counts as refused
        board.end(150)

    board.script = script
    front_end = FrontEnd(link)
    events, error = await everything(front_end)
    assert error is None
    assert list(shape(events)) == [
        "head",
        ("gap", 0, 25),
        (25, 25),
        ("gap", 50, 25),
        (75, 25),
        ("gap", 100, 50),
        ("end", "FINISHED", 150),
    ]
    assert front_end.decoder.bad_sums == 1
    assert front_end.refused_payloads == 1


async def test_a_pulled_cable_ends_after_everything_received(board: Board, link: SerialLink) -> None:
    def script(board: Board, command: int, payload: bytes) -> None:
        board.ack(command)
        board.say(2, ECG_HEAD)
        board.ecg(0)
        os.write(board.master, board.frame(3, struct.pack("<IBHH", 25, 25, 0, 0) + bytes(600))[:300])

    board.script = script
    recording = FrontEnd(link).record(Stream.ECG, 1.0)
    events = [await anext(recording), await anext(recording)]
    board.unplug()
    with pytest.raises(DeviceError) as error:
        await anext(recording)
    assert (error.value.code, error.value.facts["reason"]) == ("front-end-lost", "serial-lost")
    assert list(shape(events)) == ["head", (0, 25)]


async def test_an_end_that_was_held_when_the_cable_was_pulled_counts(board: Board, link: SerialLink) -> None:
    def script(board: Board, command: int, payload: bytes) -> None:
        board.ack(command)
        board.say(2, ECG_HEAD)
        damaged = bytearray(board.frame(8, b"\xff\1\0"))
        damaged[3:5] = struct.pack("<H", 1000)  # the decoder waits for what never comes
        os.write(board.master, damaged)
        board.end(0)
        board.ack(STOP)

    board.script = script
    front_end = FrontEnd(link)
    recording = front_end.record(Stream.ECG, 1.0)
    assert isinstance(await anext(recording), StreamHead)
    async with asyncio.timeout(10):
        following = asyncio.ensure_future(anext(recording))
        while not front_end.decoder.held_bytes:  # noqa: ASYNC110 - the decoder tells nobody
            await asyncio.sleep(0.005)
        board.unplug()
        assert await following == End(Stream.ECG, EndReason.FINISHED, 0)


@pytest.mark.usefixtures("short_waits")
async def test_silence_ends_a_recording(board: Board, link: SerialLink) -> None:
    def script(board: Board, command: int, payload: bytes) -> None:
        if command == START:
            board.ack(command)
            board.say(2, ECG_HEAD)
            board.ecg(0)

    board.script = script
    events, error = await everything(FrontEnd(link))
    assert (list(shape(events)), error) == (["head", (0, 25)], "front-end-lost")


@pytest.mark.usefixtures("short_waits")
async def test_an_end_behind_a_damaged_length_is_found(board: Board, link: SerialLink) -> None:
    def script(board: Board, command: int, payload: bytes) -> None:
        board.ack(command)
        board.say(2, ECG_HEAD)
        board.ecg(0)
        damaged = bytearray(board.frame(8, b"\xff\1\0"))
        damaged[3:5] = struct.pack("<H", 1000)
        os.write(board.master, damaged)
        board.end(25)

    board.script = script
    events, error = await everything(FrontEnd(link))
    assert (list(shape(events)), error) == (["head", (0, 25), ("end", "FINISHED", 25)], None)


async def test_an_idle_board_without_an_end_is_lost(board: Board, link: SerialLink) -> None:
    def script(board: Board, command: int, payload: bytes) -> None:
        board.ack(command)
        board.say(2, ECG_HEAD)
        board.ecg(0)
        board.say(8, b"\xff\0\0")

    board.script = script
    events, error = await everything(FrontEnd(link))
    assert (list(shape(events)), error) == (["head", (0, 25)], "front-end-lost")


async def test_a_faulty_board_cannot_fill_the_memory(board: Board, link: SerialLink) -> None:
    def script(board: Board, command: int, payload: bytes) -> None:
        board.ack(command)
        board.say(2, ECG_HEAD)
        board.ecg(0)
        board.ecg(4_000_000_000)
        board.end(4_000_000_000)
        board.end(25)

    board.script = script
    front_end = FrontEnd(link)
    events, error = await everything(front_end)
    assert (list(shape(events)), error) == (["head", (0, 25), ("end", "FINISHED", 25)], None)
    assert front_end.refused_payloads == 2
