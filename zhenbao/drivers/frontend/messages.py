"""What the frames of the front-end say (docs/devices/front-end.md, sections 3 and 4): payloads as typed values."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from zhenbao.drivers.frontend.frame import Frame
from zhenbao.drivers.frontend.settings import BLOCK_BYTES, decode_block
from zhenbao.drivers.frontend.settings import SettingsBlock as SettingsBlock
from zhenbao.drivers.reader import Reader
from zhenbao.model.ecg import LEADS
from zhenbao.model.errors import FrameError

PROTOCOL = 1
ELECTRODES = ("RA", "LA", "LL", "RL", "V1", "V2", "V3", "V4", "V5", "V6")
_MAX_ECG_SAMPLES, _MAX_FLOW_SAMPLES = 40, 100
_UNKNOWN_HIGHPASS, _UNKNOWN_LOWPASS = 0xFFFF, 0


class Stream(IntEnum):
    """What can be recorded."""

    ECG = 1
    FLOW = 2


class Command(IntEnum):
    """Frame types, host to device."""

    IDENTIFY = 0x81
    START = 0x82
    STOP = 0x83
    CONFIGURE = 0x84
    COMMIT = 0x85
    READ_CONFIG = 0x86


class Result(IntEnum):
    """How the device answered a command."""

    DONE = 0
    UNKNOWN_COMMAND = 1
    BAD_ARGUMENT = 2
    BUSY = 3
    BLOCK_CRC = 4
    NOT_STORED = 5
    NOTHING_STAGED = 6


class EndReason(IntEnum):
    """Why a recording ended."""

    FINISHED = 0
    STOPPED = 1
    FAULT = 2
    BATTERY_LOW = 3


@dataclass(frozen=True, slots=True)
class Identity:
    """What the front-end is."""

    protocol: int
    ecg: bool
    flow: bool
    maker: str
    model: str
    serial: str
    firmware: str


@dataclass(frozen=True, slots=True)
class StreamHead:
    """Head of a recording. Filters are None where the device does not know them."""

    stream: Stream
    fs_hz: int
    channels: int
    lsb: float
    """ECG: mV per LSB; flow: L/s per LSB."""
    highpass_hz: float | None
    """0 means none."""
    lowpass_hz: float | None
    btps: bool = False
    """Flow only: already converted to body temperature and pressure, saturated."""
    temperature_c: float | None = None
    pressure_pa: int | None = None
    humidity_percent: float | None = None


@dataclass(frozen=True, slots=True)
class EcgSamples:
    """Samples of all twelve leads: little-endian int16 ``[n, 12]``, sample by sample."""

    first_sample: int
    samples: bytes
    electrode_off: frozenset[str] = frozenset()
    """Names of ``ELECTRODES``."""
    absent: frozenset[str] = frozenset()
    """Leads that are not fitted at all."""

    @property
    def n_samples(self) -> int:
        return len(self.samples) // (2 * len(LEADS))


@dataclass(frozen=True, slots=True)
class FlowSamples:
    """Samples of the flow sensor: little-endian int16 ``[n]``, expiration positive."""

    first_sample: int
    samples: bytes

    @property
    def n_samples(self) -> int:
        return len(self.samples) // 2


@dataclass(frozen=True, slots=True)
class End:
    """End of a recording, as the device tells it."""

    stream: Stream
    reason: EndReason
    n_samples: int


@dataclass(frozen=True, slots=True)
class Ack:
    """Answer to one command."""

    sequence: int
    command: int
    result: Result


@dataclass(frozen=True, slots=True)
class Config:
    """The settings in force and how often settings were committed."""

    generation: int
    block: SettingsBlock


@dataclass(frozen=True, slots=True)
class Status:
    """Sent every 2 s while idle."""

    battery_percent: int | None
    """None: on mains."""
    state: int
    """0 idle, 1 ECG, 2 flow."""
    fault: int
    """0 none, 1 amplifier, 2 flow sensor, 3 storage."""


Message = Identity | StreamHead | EcgSamples | FlowSamples | End | Ack | Config | Status


def decode(frame: Frame) -> Message | None:
    """The message in a frame from the device; None for a type that this version of the protocol does not have.

    Raises:
        FrameError: a payload of wrong length, or a value that the protocol does not allow (offsets are in the payload).
    """
    decoder = _DECODERS.get(frame.type)
    if decoder is None:
        return None
    reader = Reader(frame.payload)
    message = decoder(reader)
    reader.end()
    return message


def start_payload(stream: Stream, duration_ms: int) -> bytes:
    """Payload of START; a duration of 0 means until STOP, at most 60 s."""
    return bytes([stream]) + duration_ms.to_bytes(4, "little")


def commit_payload(crc: int) -> bytes:
    """Payload of COMMIT."""
    return crc.to_bytes(4, "little")


def _identity(reader: Reader) -> Identity:
    protocol, capabilities = reader.u8("protocol version"), reader.u8("capabilities")
    maker, model, serial, firmware = (_text(reader, name) for name in ("maker", "model", "serial", "firmware"))
    return Identity(protocol, bool(capabilities & 1), bool(capabilities & 2), maker, model, serial, firmware)


def _text(reader: Reader, field: str) -> str:
    start = reader.offset
    try:
        return reader.take(16, field).rstrip(b"\0").decode("utf-8")
    except UnicodeDecodeError:
        raise FrameError(reader.frame, start, f"{field} in UTF-8") from None


def _stream_head(reader: Reader) -> StreamHead:
    stream = _stream(reader)
    rate = reader.u16("rate")
    if rate == 0:
        raise FrameError(reader.frame, 1, "a rate above 0")
    channels = reader.u8("channels")
    if channels != (len(LEADS) if stream is Stream.ECG else 1):
        raise FrameError(reader.frame, 3, "12 channels of ECG or 1 of flow")
    scale = reader.u32("scale")
    if scale == 0:
        raise FrameError(reader.frame, 4, "a scale above 0")
    highpass, lowpass = reader.u16("high-pass"), reader.u16("low-pass")
    head = StreamHead(
        stream,
        rate,
        channels,
        scale / 1_000_000,  # nV to mV, µL/s to L/s
        None if highpass == _UNKNOWN_HIGHPASS else highpass / 1000,
        None if lowpass == _UNKNOWN_LOWPASS else float(lowpass),
    )
    if stream is Stream.ECG:
        return head
    flags = reader.u8("flow flags")
    temperature, pressure, humidity = reader.s16("temperature"), reader.u32("pressure"), reader.u16("humidity")
    return StreamHead(
        head.stream,
        head.fs_hz,
        head.channels,
        head.lsb,
        head.highpass_hz,
        head.lowpass_hz,
        btps=bool(flags & 1),
        temperature_c=temperature / 100,
        pressure_pa=pressure,
        humidity_percent=humidity / 100,
    )


def _ecg(reader: Reader) -> EcgSamples:
    first, n = reader.u32("first sample"), reader.u8("count")
    if not 1 <= n <= _MAX_ECG_SAMPLES:
        raise FrameError(reader.frame, 4, f"1 to {_MAX_ECG_SAMPLES} samples")
    electrode_off = _names(reader, "electrode-off", ELECTRODES)
    absent = _names(reader, "absent", LEADS)
    return EcgSamples(first, reader.take(2 * len(LEADS) * n, "samples"), electrode_off, absent)


def _flow(reader: Reader) -> FlowSamples:
    first, n = reader.u32("first sample"), reader.u8("count")
    if not 1 <= n <= _MAX_FLOW_SAMPLES:
        raise FrameError(reader.frame, 4, f"1 to {_MAX_FLOW_SAMPLES} samples")
    return FlowSamples(first, reader.take(2 * n, "samples"))


def _names(reader: Reader, field: str, names: tuple[str, ...]) -> frozenset[str]:
    start, bits = reader.offset, reader.u16(field)
    if bits >> len(names):
        raise FrameError(reader.frame, start, f"{field} with bits 0 to {len(names) - 1}")
    return frozenset(name for bit, name in enumerate(names) if bits >> bit & 1)


def _end(reader: Reader) -> End:
    return End(_stream(reader), EndReason(_within(reader, "reason", len(EndReason))), reader.u32("samples"))


def _ack(reader: Reader) -> Ack:
    sequence, command = reader.u16("sequence"), reader.u8("command")
    return Ack(sequence, command, Result(_within(reader, "result", len(Result))))


def _config(reader: Reader) -> Config:
    return Config(reader.u32("generation"), decode_block(reader.take(BLOCK_BYTES, "settings")))


def _status(reader: Reader) -> Status:
    battery = reader.u8("battery")
    if battery > 100 and battery != 255:
        raise FrameError(reader.frame, 0, "a battery of 0 to 100 per cent, or 255")
    return Status(None if battery == 255 else battery, _within(reader, "state", 3), _within(reader, "fault", 4))


def _stream(reader: Reader) -> Stream:
    number = reader.u8("stream")
    if number not in (Stream.ECG, Stream.FLOW):
        raise FrameError(reader.frame, 0, "stream 1 or 2")
    return Stream(number)


def _within(reader: Reader, field: str, count: int) -> int:
    start, value = reader.offset, reader.u8(field)
    if value >= count:
        raise FrameError(reader.frame, start, f"{field} of 0 to {count - 1}")
    return value


_DECODERS: dict[int, Callable[[Reader], Message]] = {
    0x01: _identity,
    0x02: _stream_head,
    0x03: _ecg,
    0x04: _flow,
    0x05: _end,
    0x06: _ack,
    0x07: _config,
    0x08: _status,
}
