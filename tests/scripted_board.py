"""A front-end whose answers a test scripts, on a pty: a real port, real bytes, real silence."""

import asyncio
import os
import pty
import struct
import tty
import zlib
from collections.abc import Callable, Iterator

from zhenbao.drivers.frontend.messages import EcgSamples, End, FlowSamples, SettingsBlock, Stream
from zhenbao.drivers.frontend.session import FrontEnd
from zhenbao.drivers.frontend.tracker import Gap
from zhenbao.model.errors import DeviceError

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
