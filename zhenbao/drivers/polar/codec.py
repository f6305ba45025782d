"""Measurement data service of Polar sensors (PMD): control point answers, settings and ECG frames, bytes to values.

Layouts: docs/devices/polar-h10.md. Only what was seen on a real H10 is read: frame type 0, whole samples. A frame of
another type (packed differences, say) is refused, since a wrong guess would draw a wrong wave.
"""

from __future__ import annotations

from dataclasses import dataclass

from zhenbao.drivers.reader import Reader
from zhenbao.model.errors import FrameError

ECG = 0
"""Measurement type."""
GET_SETTINGS, START, STOP = 1, 2, 3
"""Operations of the control point."""
RATE, RESOLUTION = 0, 1
"""Types of setting: Hz and bits."""
OK, INVALID_MTU = 0x00, 0x0A
"""Status of an answer; what else there is counts as a refusal."""
_FEATURES, _ANSWER = 0x0F, 0xF0
_BYTES = 3
NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What the control point indicates after a request."""

    operation: int
    measurement: int
    status: int
    parameters: bytes = b""

    def answers(self, operation: int, measurement: int) -> bool:
        """Whether it belongs to this request.

        A transcript of a real strap shows a refusal with both bytes exchanged, so either order counts for one.
        """
        told = (self.operation, self.measurement)
        return told == (operation, measurement) or (self.status != OK and told == (measurement, operation))


@dataclass(frozen=True, slots=True)
class EcgFrame:
    """Consecutive samples of one notification."""

    timestamp_ns: int
    """The strap's clock at the LAST sample: nanoseconds since 2000-01-01 where its clock was ever set."""
    microvolts: tuple[int, ...]


def decode_features(value: bytes) -> frozenset[int]:
    """What the control point says when it is read: the measurement types that the sensor has.

    Raises:
        FrameError: it does not begin as features do.
    """
    reader = Reader(value)
    if reader.u8("features mark") != _FEATURES:
        raise FrameError(value, 0, "0F, a list of features")
    bits = reader.u8("features")
    return frozenset(bit for bit in range(8) if bits >> bit & 1)


def decode_answer(value: bytes) -> Answer:
    """An indication of the control point.

    Raises:
        FrameError: it is no answer, is too short, or announces further parts (none is known to do so).
    """
    reader = Reader(value)
    if reader.u8("answer mark") != _ANSWER:
        raise FrameError(value, 0, "F0, an answer")
    operation, measurement, status = reader.u8("operation"), reader.u8("measurement type"), reader.u8("status")
    if status != OK:
        return Answer(operation, measurement, status)
    if reader.left and reader.u8("more") != 0:
        raise FrameError(value, 4, "00, the last part of an answer")
    return Answer(operation, measurement, status, reader.take(reader.left, "parameters"))


def decode_settings(parameters: bytes) -> dict[int, tuple[int, ...]]:
    """The choices that an answer to ``GET_SETTINGS`` offers, by type of setting.

    Raises:
        FrameError: a value is missing, or a type stands twice.
    """
    reader = Reader(parameters)
    choices: dict[int, tuple[int, ...]] = {}
    while reader.left:
        kind, count = reader.u8("type of setting"), reader.u8("number of values")
        if kind in choices:
            raise FrameError(parameters, reader.offset - 2, "each type of setting once")
        choices[kind] = tuple(reader.u16("value") for _ in range(count))
    return choices


def settings_request() -> bytes:
    """Ask which settings the ECG has."""
    return bytes((GET_SETTINGS, ECG))


def start_request(rate_hz: int, resolution_bits: int) -> bytes:
    """Start the ECG. Without settings the sensor refuses."""
    settings = b"".join(
        bytes((kind, 1)) + value.to_bytes(2, "little")
        for kind, value in ((RATE, rate_hz), (RESOLUTION, resolution_bits))
    )
    return bytes((START, ECG)) + settings


def stop_request() -> bytes:
    """Stop the ECG."""
    return bytes((STOP, ECG))


def decode_ecg(value: bytes) -> EcgFrame:
    """A notification of the data characteristic.

    Raises:
        FrameError: another measurement, another frame type, no sample, or a sample that is cut off.
    """
    reader = Reader(value)
    if reader.u8("measurement type") != ECG:
        raise FrameError(value, 0, "00, ECG")
    timestamp_ns = int.from_bytes(reader.take(8, "time stamp"), "little")
    if reader.u8("frame type") != 0:
        raise FrameError(value, 9, "frame type 00, whole samples")
    if not reader.left or reader.left % _BYTES:
        raise FrameError(value, reader.offset, f"samples of {_BYTES} bytes each")
    microvolts = tuple(
        int.from_bytes(reader.take(_BYTES, "sample"), "little", signed=True) for _ in range(reader.left // _BYTES)
    )
    return EcgFrame(timestamp_ns, microvolts)
