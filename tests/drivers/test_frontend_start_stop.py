"""How a recording begins and is brought to an end, over answers that are lost."""

import asyncio

import pytest
from scripted_board import (
    ECG_HEAD,
    START,
    STOP,
    Board,
    everything,
    obey,
    shape,
)

from zhenbao.drivers.frontend.messages import End, Stream
from zhenbao.drivers.frontend.session import FrontEnd
from zhenbao.drivers.links.serial import SerialLink


async def test_a_recording_that_still_runs_is_stopped_first(board: Board, link: SerialLink) -> None:
    def script(board: Board, command: int, payload: bytes) -> None:
        if command == START and board.received.count(STOP) == 0:
            board.ecg(4000)  # of the old recording
            board.ack(command, 3)
        elif command == STOP:
            board.ack(command)
            board.end(4025, reason=1)
        else:
            obey(board, command, payload)

    board.script = script
    events, error = await everything(FrontEnd(link))
    assert board.received == [START, STOP, START]
    assert error is None
    assert list(shape(events))[-1] == ("end", "FINISHED", 100)
    assert len(events) == 6


async def test_a_board_that_cannot_be_brought_to_stop_is_told(board: Board, link: SerialLink) -> None:
    """It says yes to every STOP and goes on with its old recording."""

    def script(board: Board, command: int, payload: bytes) -> None:
        board.ecg(4000)
        board.ack(command, 3 if command == START else 0)

    board.script = script
    assert await everything(FrontEnd(link)) == ([], "front-end-busy")
    assert board.received == [START, STOP] * 3


@pytest.mark.usefixtures("short_waits")
async def test_a_lost_answer_to_start_begins_anew(board: Board, link: SerialLink) -> None:
    """The document calls commands idempotent, but a second START while one runs is answered busy."""

    def script(board: Board, command: int, payload: bytes) -> None:
        if command == START and board.received.count(START) == 1:
            board.say(2, ECG_HEAD)  # its ACK was lost
            board.ecg(0)
        elif command == START and board.received.count(STOP) == 0:
            board.ack(command, 3)
        else:
            obey(board, command, payload)

    board.script = script
    events, error = await everything(FrontEnd(link))
    assert board.received == [START, START, STOP, START]
    assert (len(events), error) == (6, None)


async def test_samples_without_their_head_have_no_scale_and_are_recorded_again(board: Board, link: SerialLink) -> None:
    def script(board: Board, command: int, payload: bytes) -> None:
        if command == START and board.received.count(START) == 1:
            board.ack(command)
            board.ecg(0)
        else:
            obey(board, command, payload)

    board.script = script
    events, error = await everything(FrontEnd(link))
    assert board.received == [START, STOP, START]
    assert (len(events), error) == (6, None)


async def test_stop_ends_with_an_end(board: Board, link: SerialLink) -> None:
    def script(board: Board, command: int, payload: bytes) -> None:
        board.ack(command)
        if command == START:
            board.say(2, ECG_HEAD)
            board.ecg(0)
        elif command == STOP:
            board.ecg(25)
            board.end(50, reason=1)

    board.script = script
    front_end = FrontEnd(link)
    events = []
    async for event in front_end.record(Stream.ECG, 10.0):
        events.append(event)
        if event == events[-1] and len(events) == 2:
            await front_end.stop()
    assert list(shape(events)) == ["head", (0, 25), (25, 25), ("end", "STOPPED", 50)]
    assert board.received == [START, STOP]


@pytest.mark.usefixtures("short_waits")
async def test_a_lost_stop_is_repeated(board: Board, link: SerialLink) -> None:
    def script(board: Board, command: int, payload: bytes) -> None:
        if command == START:
            board.ack(command)
            board.say(2, ECG_HEAD)
            board.ecg(0)
        elif board.received.count(STOP) == 3:
            board.ack(command)
            board.end(board.received.count(STOP) * 25 - 25, reason=1)

    board.script = script
    front_end = FrontEnd(link)
    events = []
    recording = front_end.record(Stream.ECG, 10.0)

    async def samples_meanwhile() -> None:
        first = 25
        while board.received.count(STOP) < 3:
            await asyncio.sleep(0.01)
            board.ecg(first, 1)
            first += 1

    async for event in recording:
        events.append(event)
        if len(events) == 2:
            await front_end.stop()
            meanwhile = asyncio.create_task(samples_meanwhile())
    await meanwhile
    assert board.received == [START, STOP, STOP, STOP]
    assert isinstance(events[-1], End)


async def test_leaving_early_stops_the_board(board: Board, link: SerialLink) -> None:
    def script(board: Board, command: int, payload: bytes) -> None:
        board.ack(command)
        if command == START:
            board.say(2, ECG_HEAD)
            board.ecg(0)

    board.script = script
    recording = FrontEnd(link).record(Stream.ECG, 10.0)
    async for _event in recording:
        break
    await recording.aclose()
    assert board.received == [START, STOP]
