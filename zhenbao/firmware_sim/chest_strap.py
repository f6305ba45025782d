"""A simulated Polar H10: ECG over its measurement data service, beats over the Heart Rate Service.

Facts: docs/devices/polar-h10.md. Its clock and its heart run on while nobody is connected, as a real strap's do: after
a lost link the next frame's time stamp tells how much was missed.
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from bumble import core, gatt

from zhenbao.firmware_sim.peripheral import PERMIT, PROPERTY, Identity, Peripheral
from zhenbao.firmware_sim.waveforms.ecg import LEADS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bumble.device import Connection
    from numpy.typing import NDArray

    from zhenbao.firmware_sim.waveforms.ecg import EcgSource

RATE_HZ = 130
RESOLUTION_BITS = 14
FRAME_SAMPLES = 73
LEAST_MTU = 232
"""Below this a frame of 229 bytes does not fit, and a strap refuses."""
_EPOCH_NS = 599_616_000_000_000_000
"""Where the simulated clock begins; a real strap's stood near it."""
_SUCCESS, _INVALID_PARAMETER, _INVALID_MTU = 0x00, 0x05, 0x0A


def _pmd(number: int) -> core.UUID:
    return core.UUID(f"FB005C{number:02X}-02E7-F387-1CAD-8ACD2D8DF0C8")


@dataclass(frozen=True, slots=True)
class StrapFaults:
    """What may go wrong. Frames are counted from 1 over all links."""

    lose_every: int = 0
    """Every k-th ECG notification is lost on its way."""
    drop_link_at: tuple[int, ...] = ()
    """The link breaks instead of these frames."""
    silent_after: int = 0
    """No ECG frame after so many."""
    cut_every: int = 0
    """Every k-th frame lacks its last byte."""
    repeat_every: int = 0
    """Every k-th frame is sent twice."""
    small_mtu: bool = False
    """It takes the link's MTU for too small, whatever it is."""
    refuses_first_start: bool = False
    """The first START is refused, as while an earlier recording runs."""
    no_contact_s: tuple[float, float] = (0.0, 0.0)
    """Seconds since power-on in which the skin is not felt."""
    rate_error: float = 0.0
    """Its crystal: 0.0013 is 0.13 % fast, as in the transcript of a real one."""


def strap_of(source: EcgSource, *, lead: str = "V4", **options: Any) -> ChestStrap:
    """A strap on the chest of this person; of the twelve leads the one named comes nearest to what a strap sees.

    Args:
        source: rendered at 130 Hz.
        options: of `ChestStrap`.
    """
    microvolts = np.round(source.mv[LEADS.index(lead)] * 1000).astype(np.int64)
    return ChestStrap(microvolts, source.truth.beats.tolist() if source.truth else (), **options)


class ChestStrap(Peripheral):
    """The strap on a person's chest.

    Args:
        microvolts: what its electrodes see from power-on, at 130 Hz; it begins again at its end.
        beats: sample indices of the R peaks in it, ascending, for the beat intervals that it tells.
        speed: how many times faster than real time it lives.
    """

    def __init__(
        self,
        microvolts: NDArray[np.int64],
        beats: Sequence[int],
        *,
        name: str = "Polar H10 SIM00001",
        address: str = "F0:00:00:00:18:0D",
        identity: Identity = Identity("Polar Electro Oy", "H10", "SIM00001", "5.0.0"),  # noqa: B008 - frozen
        faults: StrapFaults = StrapFaults(),
        speed: float = 1.0,
    ) -> None:
        super().__init__(name, address, 0x180D, identity)
        self.faults = faults
        self.speed = speed
        self.sent: list[tuple[int, int]] = []
        """First sample (since power-on) and number of each frame that left the strap whole."""
        self.streaming = False
        self.requests: list[bytes] = []
        self._ecg = microvolts
        self._beats = np.asarray(beats, np.int64)
        self._frames = 0
        self._starts = 0
        self._answers: asyncio.Queue[bytes] = asyncio.Queue()
        self._born_s: float | None = None
        self._next = 0
        self._told_until = 0

    def wants_to_advertise(self) -> bool:
        return True

    def services(self) -> list[gatt.Service]:
        self._control = gatt.Characteristic(
            _pmd(0x81),
            PROPERTY.READ | PROPERTY.WRITE | PROPERTY.INDICATE,
            PERMIT.READABLE | PERMIT.WRITEABLE,
            gatt.CharacteristicValue(read=lambda _c: bytes((0x0F, 0b101)), write=self._asked),
        )
        self._data = gatt.Characteristic(_pmd(0x82), PROPERTY.NOTIFY, PERMIT(0))
        self._rate = gatt.Characteristic(core.UUID.from_16_bits(0x2A37), PROPERTY.NOTIFY, PERMIT(0))
        self._born_s = asyncio.get_running_loop().time()
        self.spawn(self._tell_beats())
        return [
            gatt.Service(core.UUID.from_16_bits(0x180D), [self._rate]),
            gatt.Service(_pmd(0x80), [self._control, self._data]),
        ]

    async def serve(self, connection: Connection) -> None:
        while not self._answers.empty():
            await self.indicate(connection, self._control, self._answers.get_nowait())

    @property
    def now_sample(self) -> int:
        """Samples since power-on."""
        if self._born_s is None:
            return 0
        return int((asyncio.get_running_loop().time() - self._born_s) * self.speed * RATE_HZ)

    def _asked(self, connection: Connection, request: bytes) -> None:
        request = bytes(request)
        self.requests.append(request)
        if request[:2] == b"\x01\x00":
            self._answer(request, self._fits(connection), struct.pack("<BBHBBH", 0, 1, RATE_HZ, 1, 1, RESOLUTION_BITS))
        elif request[:2] == b"\x02\x00":
            self._answer(request, self._start(connection, request[2:]), b"\x00")
        elif request[:2] == b"\x03\x00":
            self.streaming = False
            self._answer(request, _SUCCESS, b"")

    def _answer(self, request: bytes, status: int, parameters: bytes) -> None:
        more = b"\x00" + parameters if status == _SUCCESS else b""
        self._answers.put_nowait(bytes((0xF0, request[0], request[1], status)) + more)
        self.changed()

    def _fits(self, connection: Connection) -> int:
        return _INVALID_MTU if self.faults.small_mtu or connection.att_mtu < LEAST_MTU else _SUCCESS

    def _start(self, connection: Connection, settings: bytes) -> int:
        self._starts += 1
        if self._fits(connection) != _SUCCESS:
            return _INVALID_MTU
        wanted = struct.pack("<BBHBBH", 0, 1, RATE_HZ, 1, 1, RESOLUTION_BITS)
        if settings != wanted or (self.faults.refuses_first_start and self._starts == 1):
            return _INVALID_PARAMETER
        if not self.streaming:
            self.streaming = True
            self._next = self.now_sample
            self.spawn(self._stream(connection))
        return _SUCCESS

    async def _stream(self, connection: Connection) -> None:
        while self.streaming and self.connection is connection:
            await self._until(self._next + FRAME_SAMPLES)
            if not (self.streaming and self.connection is connection):
                break
            first, self._next = self._next, self._next + FRAME_SAMPLES
            self._frames += 1
            number, faults = self._frames, self.faults
            if number in faults.drop_link_at:
                await self.hang_up()
                break
            if faults.silent_after and number > faults.silent_after:
                continue
            if _strikes(faults.lose_every, number):
                continue
            frame = self.frame(first)
            if _strikes(faults.cut_every, number):
                await self.notify(connection, self._data, frame[:-1])
                continue
            self.sent.append((first, FRAME_SAMPLES))
            for _ in range(2 if _strikes(faults.repeat_every, number) else 1):
                await self.notify(connection, self._data, frame)
        self.streaming = False

    def frame(self, first: int) -> bytes:
        """The notification that carries the samples from ``first`` (since power-on)."""
        last = first + FRAME_SAMPLES - 1
        stamp = _EPOCH_NS + round(last / (RATE_HZ * (1 + self.faults.rate_error)) * 1e9)
        samples = self.microvolts(first, FRAME_SAMPLES)
        return (
            struct.pack("<BQB", 0, stamp, 0) + np.asarray(samples, "<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
        )

    def microvolts(self, first: int, count: int) -> NDArray[np.int64]:
        """The truth from sample ``first`` on."""
        return np.take(self._ecg, np.arange(first, first + count), mode="wrap")

    async def _tell_beats(self) -> None:
        """Once a second, as a strap does: rate, contact, and the intervals of the beats since the last time."""
        while True:
            await self._until(self._told_until + RATE_HZ)
            since, self._told_until = self._told_until, self._told_until + RATE_HZ
            intervals = self._intervals(since, self._told_until)
            begin, end = self.faults.no_contact_s
            if begin <= self._told_until / RATE_HZ < end:
                value = bytes((0b100, 0))
            else:
                mean = sum(intervals) / len(intervals) if intervals else 0.0
                rate = round(60 * 1024 / mean) if mean else 0
                value = struct.pack(f"<BB{len(intervals)}H", 0b10110, rate, *intervals)
            if self.connection is not None:
                await self.notify(self.connection, self._rate, value)

    def _intervals(self, since: int, until: int) -> list[int]:
        """Intervals in 1/1024 s that end in [since, until)."""
        n = len(self._ecg)
        ends = [(int(beat) + turn * n) for turn in range(since // n, until // n + 1) for beat in self._beats]
        return [
            round((later - earlier) * 1024 / RATE_HZ) for earlier, later in pairwise(ends) if since <= later < until
        ]

    async def _until(self, sample: int) -> None:
        assert self._born_s is not None
        due_s = self._born_s + sample / (RATE_HZ * self.speed)
        await asyncio.sleep(max(0.0, due_s - asyncio.get_running_loop().time()))


def _strikes(every: int, count: int) -> bool:
    return every > 0 and count % every == 0
