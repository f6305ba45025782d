"""Commands with their repeats, and settings that are in force whole or not at all."""

import os

import pytest
from scripted_board import (
    COMMIT,
    CONFIGURE,
    IDENTIFY,
    IDENTITY,
    OTHER,
    READ_CONFIG,
    SETTINGS,
    Board,
    obey,
)

from zhenbao.drivers.frontend.session import FrontEnd
from zhenbao.drivers.links.serial import SerialLink
from zhenbao.model.errors import DeviceError, FrameError


@pytest.mark.usefixtures("short_waits")
async def test_a_command_is_repeated_three_times_and_then_given_up(board: Board, link: SerialLink) -> None:
    board.script = lambda board, command, payload: None
    with pytest.raises(DeviceError) as error:
        await FrontEnd(link).identify()
    assert error.value.code == "front-end-silent"
    assert board.received == [IDENTIFY] * 4


@pytest.mark.usefixtures("short_waits")
async def test_an_answer_to_the_third_repeat_is_taken(board: Board, link: SerialLink) -> None:
    board.script = lambda board, command, payload: (
        obey(board, command, payload) if len(board.received) == 4 else os.write(board.master, b"\xa5\x5anoise") and None
    )
    assert (await FrontEnd(link).identify()).serial == "00017"


@pytest.mark.usefixtures("short_waits")
async def test_a_wrong_answer_is_told_as_such(board: Board, link: SerialLink) -> None:
    def script(board: Board, command: int, payload: bytes) -> None:
        board.ack(command)
        board.say(1, IDENTITY[:-1])

    board.script = script
    with pytest.raises(FrameError, match="firmware"):
        await FrontEnd(link).identify()


async def test_settings_are_written_read_back_and_compared(board: Board, link: SerialLink) -> None:
    front_end = FrontEnd(link)
    assert (await front_end.read_settings()).block == SETTINGS
    config = await front_end.write_settings(OTHER)
    assert (config.generation, config.block) == (2, OTHER)
    assert board.received == [READ_CONFIG, CONFIGURE, COMMIT, READ_CONFIG]
    assert board.in_force == OTHER.encode()


@pytest.mark.parametrize(
    ("command", "result", "code"),
    [
        (CONFIGURE, 2, "settings-refused"),
        (CONFIGURE, 4, "settings-refused"),
        (COMMIT, 5, "settings-not-stored"),
        (COMMIT, 6, "settings-refused"),
    ],
)
async def test_refused_settings(board: Board, link: SerialLink, command: int, result: int, code: str) -> None:
    def script(board: Board, sent: int, payload: bytes) -> None:
        if sent == command:
            board.ack(sent, result)
        else:
            obey(board, sent, payload)

    board.script = script
    with pytest.raises(DeviceError) as error:
        await FrontEnd(link).write_settings(OTHER)
    assert (error.value.code, error.value.facts) == (code, {"result": result})
    assert board.in_force == SETTINGS.encode()


async def test_settings_that_read_back_differently_are_not_verified(board: Board, link: SerialLink) -> None:
    def script(board: Board, command: int, payload: bytes) -> None:
        if command == COMMIT:
            board.ack(command)  # and does nothing
        else:
            obey(board, command, payload)

    board.script = script
    with pytest.raises(DeviceError) as error:
        await FrontEnd(link).write_settings(OTHER)
    assert error.value.code == "settings-not-verified"


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize("carried_out", [True, False])
async def test_a_commit_whose_answer_was_lost_is_settled_by_reading_back(
    board: Board, link: SerialLink, carried_out: bool
) -> None:
    def script(board: Board, command: int, payload: bytes) -> None:
        if command != COMMIT:
            obey(board, command, payload)
        elif board.received.count(COMMIT) == 1:
            if carried_out:
                board.in_force = board.staged
        else:
            board.ack(command, 6)  # nothing staged any more

    board.script = script
    front_end = FrontEnd(link)
    if carried_out:
        assert (await front_end.write_settings(OTHER)).block == OTHER
    else:
        with pytest.raises(DeviceError) as error:
            await front_end.write_settings(OTHER)
        assert error.value.code == "settings-not-verified"
