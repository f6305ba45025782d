"""The host's side of the front-end's protocol: commands with their repeats, and recordings with their gaps.

The session knows no port: it reads and writes through a ``ByteLink`` and is told the time, so that it runs the same
on a USB port, a pty and a rehearsal.
"""

import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import suppress
from typing import Protocol, TypeVar

from zhenbao.drivers.frontend.frame import Decoder, Frame, encode
from zhenbao.drivers.frontend.messages import (
    Ack,
    Command,
    Config,
    EcgSamples,
    End,
    FlowSamples,
    Identity,
    Message,
    Result,
    Status,
    Stream,
    StreamHead,
    commit_payload,
    decode,
    start_payload,
)
from zhenbao.drivers.frontend.settings import SettingsBlock
from zhenbao.drivers.frontend.tracker import Gap, SampleTracker
from zhenbao.model.errors import DeviceError, FrameError

ACK_S = 0.5
REPEATS = 3
SILENCE_S = 2.0
_UNTIL_STOP_S = 60
_STARTS = 3
_MID_FRAME_S = 0.2
"""A device sends a frame in one go: a part that has waited this long is damage, not a frame on its way."""

_Answer = TypeVar("_Answer", Identity, Config)
Event = StreamHead | EcgSamples | FlowSamples | Gap | End


class ByteLink(Protocol):
    """What the session needs of a port; ``zhenbao.drivers.links.serial.SerialLink`` is one."""

    async def read(self, timeout_s: float) -> bytes:
        """What has arrived, at least one byte; empty after ``timeout_s`` of silence. DeviceError: the port is gone."""

    async def write(self, data: bytes) -> None:
        """Send all of it. DeviceError: the port is gone."""


class FrontEnd:
    """One front-end on one port. Use it from one task; only ``stop`` may come from another.

    Every method may raise ``DeviceError``: ``front-end-lost`` (the port is gone, or nothing came for 2 s),
    ``front-end-silent`` (no answer to a command and its three repeats), ``front-end-refused`` (fact ``result``).
    """

    def __init__(self, link: ByteLink, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._link = link
        self._now_s = monotonic_s
        self._decoder = Decoder()
        self._inbox: deque[Message] = deque()
        self._last_byte_s = monotonic_s()
        self._lost: str | None = None
        self._refusal: FrameError | None = None
        self._sequence = 0
        self._stops_left = 0
        self._stop_sent_s = 0.0
        self.refused_payloads = 0
        """Frames with a good sum whose content the protocol does not allow; their samples count as lost."""
        self.last_status: Status | None = None

    @property
    def decoder(self) -> Decoder:
        """The frame decoder, for its counters of damage."""
        return self._decoder

    async def identify(self) -> Identity:
        """Ask who it is."""
        return await self._ask(Command.IDENTIFY, Identity)

    async def read_settings(self) -> Config:
        """The settings in force."""
        return await self._ask(Command.READ_CONFIG, Config)

    async def write_settings(self, block: SettingsBlock) -> Config:
        """Stage, commit, read back and compare. Whatever fails, the old or the new settings are in force, whole.

        Raises:
            DeviceError: ``settings-refused`` (a value or the block's sum), ``settings-not-stored`` (its memory failed),
                ``settings-not-verified`` (what was read back differs), and those of the class.
            InputError: ``settings-value``; nothing was sent.
        """
        staged, _ = await self._command(Command.CONFIGURE, block.encode())
        if staged is not Result.DONE:
            raise DeviceError("settings-refused", result=int(staged))
        committed, repeated = await self._command(Command.COMMIT, commit_payload(block.crc))
        # A repeated COMMIT may find nothing staged because the first was carried out and only its ACK was lost: reading
        # the settings back tells.
        if committed is not Result.DONE and not (repeated and committed is Result.NOTHING_STAGED):
            code = "settings-not-stored" if committed is Result.NOT_STORED else "settings-refused"
            raise DeviceError(code, result=int(committed))
        config = await self.read_settings()
        if config.block != block:
            raise DeviceError("settings-not-verified", generation=config.generation)
        return config

    async def stop(self) -> None:
        """End the running recording early; its remaining events and its End still come."""
        self._stops_left = REPEATS
        self._stop_sent_s = self._now_s()
        await self._send(Command.STOP)

    async def record(self, stream: Stream, duration_s: float) -> AsyncGenerator[Event, None]:
        """Record: yields the head, then samples and gaps in order, then the End.

        Closing the generator early stops the device. A duration of 0 means until ``stop``, at most 60 s.

        Raises:
            DeviceError: as the class says, after everything that was received has been yielded; ``front-end-lost`` also
                if the device is idle and its End never came; ``front-end-busy`` if it cannot be brought to stop.
        """
        self._stops_left = 0
        head = await self._start(stream, round(duration_s * 1000))
        # A second more than asked, for a device that ends on a frame's border.
        tracker = SampleTracker(limit=round(((duration_s or _UNTIL_STOP_S) + 1) * head.fs_hz))
        wanted = EcgSamples if stream is Stream.ECG else FlowSamples
        running = True
        try:
            yield head
            while running:
                message = await self._next(self._now_s() + SILENCE_S)
                if message is None or (isinstance(message, Status) and message.state == 0):
                    running = False
                    raise DeviceError("front-end-lost", reason="silence" if message is None else "no-end")
                if isinstance(message, wanted):
                    for event in tracker.take(message):
                        yield event
                elif isinstance(message, End) and message.stream is stream:
                    for last in tracker.end(message):
                        running = False
                        yield last
                self.refused_payloads += tracker.refused
                tracker.refused = 0
                await self._repeat_stop()
        finally:
            if running and self._lost is None:
                with suppress(DeviceError):
                    await self._command(Command.STOP)

    async def _start(self, stream: Stream, duration_ms: int) -> StreamHead:
        for _ in range(_STARTS):
            result, _ = await self._command(Command.START, start_payload(stream, duration_ms))
            if result is Result.DONE:
                head = await self._head(stream)
                if head is not None:
                    return head
            elif result is not Result.BUSY:
                raise DeviceError("front-end-refused", result=int(result))
            # An old recording still runs, or this one's head was damaged on the way: samples without it have no scale.
            await self._command(Command.STOP)
        raise DeviceError("front-end-busy")

    async def _head(self, stream: Stream) -> StreamHead | None:
        while (message := await self._next(self._now_s() + SILENCE_S)) is not None:
            if isinstance(message, StreamHead) and message.stream is stream:
                return message
            if isinstance(message, EcgSamples | FlowSamples | End):
                return None
        raise DeviceError("front-end-lost", reason="silence")

    async def _repeat_stop(self) -> None:
        if self._stops_left and self._now_s() - self._stop_sent_s >= ACK_S:
            self._stops_left -= 1
            self._stop_sent_s = self._now_s()
            await self._send(Command.STOP)

    async def _ask(self, command: Command, answer: type[_Answer]) -> _Answer:
        self._refusal = None
        for _ in range(1 + REPEATS):
            result, _ = await self._command(command)
            if result is not Result.DONE:
                raise DeviceError("front-end-refused", result=int(result))
            deadline_s = self._now_s() + ACK_S
            while (message := await self._next(deadline_s)) is not None:
                if isinstance(message, answer):
                    return message
        if self._refusal is not None:
            raise self._refusal
        raise DeviceError("front-end-silent", command=command.name)

    async def _command(self, command: Command, payload: bytes = b"") -> tuple[Result, bool]:
        """Send until it is answered. Returns the result, and whether it had to be repeated.

        What arrives before the answer belongs to something older and is dropped.
        """
        sent: set[int] = set()
        for attempt in range(1 + REPEATS):
            sent.add(await self._send(command, payload))
            deadline_s = self._now_s() + ACK_S
            while (message := await self._next(deadline_s)) is not None:
                if isinstance(message, Ack) and message.command == command and message.sequence in sent:
                    return message.result, attempt > 0
        raise DeviceError("front-end-silent", command=command.name)

    async def _send(self, command: Command, payload: bytes = b"") -> int:
        sequence, self._sequence = self._sequence, (self._sequence + 1) & 0xFFFF
        try:
            await self._link.write(encode(Frame(command, sequence, 0, payload)))
        except DeviceError as error:
            self._lost = error.code
            raise DeviceError("front-end-lost", reason=error.code) from error
        return sequence

    async def _next(self, deadline_s: float) -> Message | None:
        """The next message; None if there is none until the deadline."""
        while not self._inbox:
            if self._lost is not None:
                raise DeviceError("front-end-lost", reason=self._lost)
            now_s = self._now_s()
            if now_s >= deadline_s:
                if now_s - self._last_byte_s >= _MID_FRAME_S:
                    self._take(self._decoder.flush())
                break
            try:
                chunk = await self._link.read(deadline_s - now_s)
            except DeviceError as error:
                self._lost = error.code
                self._take(self._decoder.flush())
                continue
            if chunk:
                self._last_byte_s = self._now_s()
                self._take(self._decoder.feed(chunk))
        return self._inbox.popleft() if self._inbox else None

    def _take(self, frames: Iterable[Frame]) -> None:
        for frame in frames:
            try:
                message = decode(frame)
            except FrameError as refusal:
                self.refused_payloads += 1
                self._refusal = refusal
                continue
            if isinstance(message, Status):
                self.last_status = message
            if message is not None:
                self._inbox.append(message)
