"""The host's session against a scripted board on a pty: a real port, real bytes, real silence."""

import asyncio
import os
import pty
import struct
import tty
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from zhenbao.drivers.ecg.driver import FrontEndEcg
from zhenbao.drivers.frontend import session
from zhenbao.drivers.frontend.messages import EcgSamples, End, EndReason, FlowSamples, SettingsBlock, Stream, StreamHead
from zhenbao.drivers.frontend.session import FrontEnd
from zhenbao.drivers.frontend.tracker import Gap
from zhenbao.drivers.links.serial import SerialLink, open_serial
from zhenbao.drivers.spirometer.driver import FrontEndSpirometer
from zhenbao.model.errors import DeviceError, FrameError
from zhenbao.model.observation import Device

IDENTIFY, START, STOP, CONFIGURE, COMMIT, READ_CONFIG = range(0x81, 0x87)
SETTINGS = SettingsBlock(50, 500, 100, "zh-CN", "999999001001", "示范村")
OTHER = SettingsBlock(60, 250, 50, "en", "999999001002", "示范村二")
IDENTITY = b"\1\3" + b"".join(text.ljust(16, b"\0") for text in (b"Acme", b"FE-12", b"00017", b"1.0"))
ECG_HEAD = struct.pack("<BHBIHH", 1, 500, 12, 2500, 50, 150)
FLOW_HEAD = struct.pack("<BHBIHH", 2, 100, 1, 1000, 0, 0) + struct.pack("<BhIH", 1, 3700, 101325, 10000)

Script = Callable[["Board", int, bytes], None]


class Board:
    """Speaks the document's frames over the other end of a pty; what it says is scripted by each test."""

    def __init__(self, script: Script) -> None:
        self.master, self._slave = pty.openpty()
        tty.setraw(self.master)
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self.script = script
        self.received: list[int] = []
        self.command_sequence = 0
        self.staged = b""
        self.in_force = SETTINGS.encode()
        self.generation = 1
        self._sequence = 0
        self._buffer = bytearray()
        asyncio.get_running_loop().add_reader(self.master, self._readable)

    def _readable(self) -> None:
        self._buffer += os.read(self.master, 4096)
        while len(self._buffer) >= 19:
            sync, type_, length, sequence, time_us = struct.unpack_from("<2sBHHQ", self._buffer)
            if len(self._buffer) < 19 + length:
                return
            payload = bytes(self._buffer[15 : 15 + length])
            (crc,) = struct.unpack_from("<I", self._buffer, 15 + length)
            assert (sync, time_us, crc) == (b"\xa5\x5a", 0, zlib.crc32(self._buffer[2 : 15 + length]))
            del self._buffer[: 19 + length]
            self.received.append(type_)
            self.command_sequence = sequence
            self.script(self, type_, payload)

    def frame(self, type_: int, payload: bytes = b"") -> bytes:
        body = struct.pack("<BHHQ", type_, len(payload), self._sequence & 0xFFFF, self._sequence) + payload
        self._sequence += 1
        return b"\xa5\x5a" + body + struct.pack("<I", zlib.crc32(body))

    def say(self, type_: int, payload: bytes = b"") -> None:
        os.write(self.master, self.frame(type_, payload))

    def ack(self, command: int, result: int = 0) -> None:
        self.say(6, struct.pack("<HBB", self.command_sequence, command, result))

    def ecg(self, first: int, n: int = 25) -> None:
        self.say(3, struct.pack("<IBHH", first, n, 0, 0) + struct.pack("<h", first % 1000) * 12 * n)

    def flow(self, first: int, n: int = 5) -> None:
        self.say(4, struct.pack("<IB", first, n) + struct.pack("<h", first) * n)

    def end(self, n_samples: int, *, stream: int = 1, reason: int = 0) -> None:
        self.say(5, struct.pack("<BBI", stream, reason, n_samples))

    def unplug(self) -> None:
        if self.master >= 0:
            asyncio.get_running_loop().remove_reader(self.master)
            os.close(self.master)
            os.close(self._slave)
            self.master = -1


def obey(board: Board, command: int, payload: bytes) -> None:
    """A board that does what the document says; recordings of 100 samples."""
    if command == IDENTIFY:
        board.ack(command)
        board.say(1, IDENTITY)
    elif command == READ_CONFIG:
        board.ack(command)
        board.say(7, struct.pack("<I", board.generation) + board.in_force)
    elif command == CONFIGURE:
        board.staged = payload
        board.ack(command)
    elif command == COMMIT:
        board.in_force, board.generation = board.staged, board.generation + 1
        board.ack(command)
    elif command == START and payload[0] == 1:
        board.ack(command)
        board.say(2, ECG_HEAD)
        for first in range(0, 100, 25):
            board.ecg(first)
        board.end(100)
    elif command == START:
        board.ack(command)
        board.say(2, FLOW_HEAD)
        for first in range(0, 20, 5):
            board.flow(first)
        board.end(20, stream=2)
    else:
        board.ack(command)


@pytest_asyncio.fixture
async def board() -> AsyncIterator[Board]:
    board = Board(obey)
    yield board
    board.unplug()


@pytest_asyncio.fixture
async def link(board: Board) -> AsyncIterator[SerialLink]:
    async with open_serial(board.port) as link:
        yield link


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same waits, ten times shorter."""
    monkeypatch.setattr(session, "ACK_S", 0.05)
    monkeypatch.setattr(session, "SILENCE_S", 0.2)
    monkeypatch.setattr(session, "_MID_FRAME_S", 0.02)


async def everything(front_end: FrontEnd, stream: Stream = Stream.ECG) -> tuple[list[object], str | None]:
    """All events, and the code of the error that ended them."""
    events: list[object] = []
    try:
        async for event in front_end.record(stream, 1.0):
            events.append(event)
    except DeviceError as error:
        return events, error.code
    return events, None


def shape(events: list[object]) -> Iterator[object]:
    for event in events:
        if isinstance(event, EcgSamples | FlowSamples):
            yield event.first_sample, event.n_samples
        elif isinstance(event, Gap):
            yield "gap", event.first_sample, event.n_samples
        elif isinstance(event, End):
            yield "end", event.reason.name, event.n_samples
        else:
            yield "head"


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


# The port itself.


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
