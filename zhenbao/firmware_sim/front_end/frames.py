"""Frames of the sensor front-end's serial protocol, device side (docs/devices/front-end.md, sections 1 to 4)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

SYNC = b"\xa5\x5a"
NO_VALUE = -0x8000
"""A sample without a value: bytes 00 80."""
_HEAD = struct.Struct("<2sBHHQ")
_CRC = struct.Struct("<I")
_LONGEST_PAYLOAD = 1024
ELECTRODES = ("RA", "LA", "LL", "RL", "V1", "V2", "V3", "V4", "V5", "V6")
"""Bits of *electrode-off*, from bit 0."""
LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
"""Order of the samples, and bits of *absent*."""


class Answer(IntEnum):
    """Device to host."""

    IDENTITY = 0x01
    STREAM = 0x02
    ECG = 0x03
    FLOW = 0x04
    END = 0x05
    ACK = 0x06
    CONFIG = 0x07
    STATUS = 0x08


class Order(IntEnum):
    """Host to device."""

    IDENTIFY = 0x81
    START = 0x82
    STOP = 0x83
    CONFIGURE = 0x84
    COMMIT = 0x85
    READ_CONFIG = 0x86


class Result(IntEnum):
    """Result of an ACK."""

    DONE = 0
    UNKNOWN_COMMAND = 1
    BAD_ARGUMENT = 2
    BUSY = 3
    WRONG_CRC = 4
    NOT_STORED = 5
    NOTHING_STAGED = 6


class Stream(IntEnum):
    """What is recorded; also the state in STATUS, where 0 is idle."""

    ECG = 1
    FLOW = 2


class Reason(IntEnum):
    """Why a recording ended."""

    FINISHED = 0
    STOPPED = 1
    FAULT = 2
    BATTERY_LOW = 3


class Fault(IntEnum):
    """Fault in STATUS."""

    NONE = 0
    AMPLIFIER = 1
    FLOW_SENSOR = 2
    STORAGE = 3


def frame(type_: int, sequence: int, time_us: int, payload: bytes) -> bytes:
    """One frame. ``time_us`` is microseconds since power-up; the host sends 0."""
    if len(payload) > _LONGEST_PAYLOAD:
        raise ValueError(f"a payload of {len(payload)} bytes does not fit a frame")
    head = _HEAD.pack(SYNC, type_, len(payload), sequence & 0xFFFF, time_us)
    return head + payload + _CRC.pack(zlib.crc32(payload, zlib.crc32(head[2:])))


def text(value: str, size: int) -> bytes:
    """UTF-8 padded with NUL; cut between characters where it is too long."""
    raw = value.encode()[:size]
    return raw.decode(errors="ignore").encode().ljust(size, b"\0")


def identity(capabilities: int, maker: str, model: str, serial: str, firmware: str) -> bytes:
    """Payload of IDENTITY, 66 bytes. Capabilities: bit 0 ECG, bit 1 flow."""
    return bytes([1, capabilities]) + b"".join(text(value, 16) for value in (maker, model, serial, firmware))


def ecg_stream(rate_hz: int, scale_nv: int, highpass_hz: float | None, lowpass_hz: int | None) -> bytes:
    """Payload of STREAM for an ECG, 12 bytes. ``highpass_hz`` None is unknown, 0 is none."""
    highpass_mhz = 0xFFFF if highpass_hz is None else round(highpass_hz * 1000)
    return struct.pack("<BHBIHH", Stream.ECG, rate_hz, len(LEADS), scale_nv, highpass_mhz, lowpass_hz or 0)


def flow_stream(
    rate_hz: int, scale_ul_s: int, *, btps: bool, temperature_c: float, pressure_pa: int, humidity_percent: float
) -> bytes:
    """Payload of STREAM for flow, 21 bytes."""
    return struct.pack("<BHBIHH", Stream.FLOW, rate_hz, 1, scale_ul_s, 0, 0) + struct.pack(
        "<BhIH", btps, round(temperature_c * 100), pressure_pa, round(humidity_percent * 100)
    )


def ecg(first_sample: int, electrode_off: int, absent: int, samples: Sequence[Sequence[int]]) -> bytes:
    """Payload of ECG: 1 to 40 instants of 12 samples each."""
    flat = [value for instant in samples for value in instant]
    return struct.pack(f"<IBHH{len(flat)}h", first_sample, len(samples), electrode_off, absent, *flat)


def flow(first_sample: int, samples: Sequence[int]) -> bytes:
    """Payload of FLOW: 1 to 100 samples."""
    return struct.pack(f"<IB{len(samples)}h", first_sample, len(samples), *samples)


def end(stream: int, reason: int, n_samples: int) -> bytes:
    """Payload of END, 6 bytes."""
    return struct.pack("<BBI", stream, reason, n_samples)


def ack(sequence: int, type_: int, result: int) -> bytes:
    """Payload of ACK, 4 bytes."""
    return struct.pack("<HBB", sequence, type_, result)


def status(battery_percent: int, state: int, fault: int) -> bytes:
    """Payload of STATUS, 3 bytes. Battery 255: on mains."""
    return bytes([battery_percent, state, fault])


@dataclass(frozen=True, slots=True)
class Command:
    """A whole frame of the host."""

    type: int
    sequence: int
    payload: bytes


@dataclass(slots=True)
class CommandReader:
    """Cuts the host's bytes, however they are chunked, into commands; damage is dropped byte by byte and counted."""

    dropped: int = 0
    _held: bytearray = field(default_factory=bytearray)

    def feed(self, chunk: bytes) -> Iterator[Command]:
        """Add received bytes; yield every command they complete."""
        self._held += chunk
        while self._seek():
            if len(self._held) < _HEAD.size:
                return
            _, type_, length, sequence, _ = _HEAD.unpack_from(self._held)
            if length > _LONGEST_PAYLOAD:
                self._drop(1)
                continue
            size = _HEAD.size + length
            if len(self._held) < size + _CRC.size:
                return
            if zlib.crc32(self._held[2:size]) != _CRC.unpack_from(self._held, size)[0]:
                self._drop(1)
                continue
            payload = bytes(self._held[_HEAD.size : size])
            del self._held[: size + _CRC.size]
            yield Command(type_, sequence, payload)

    def _seek(self) -> bool:
        """Bring the next sync mark to the front; a first half of one at the very end is kept."""
        at = self._held.find(SYNC)
        if at < 0:
            at = len(self._held) - self._held.endswith(SYNC[:1])
            self._drop(at)
            return False
        self._drop(at)
        return True

    def _drop(self, n: int) -> None:
        self.dropped += n
        del self._held[:n]
