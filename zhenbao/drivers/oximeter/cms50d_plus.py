"""The live stream of the serial Contec CMS50D+ (firmware up to 4.4): a byte stream to packets, packets to readings.

Source: atbrask/CMS50Dplus (BSD). 19200 baud, 8 bits, odd parity; 60 packets a second of five bytes; bit 7 is set in the
first byte alone. There is no checksum: a wrong byte can look right, so a reading is what a whole second agrees on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median_low

from zhenbao.drivers.oximeter.reading import Oximetry
from zhenbao.model.quantity import Quantity

BAUDRATE, PARITY = 19200, "O"
PACKETS_PER_S = 60
_PACKET_BYTES = 5
_START = 0x80
_FINGER_OUT, _PROBE_ERROR, _SEARCHING, _PULSE_BIT_7 = 0x10, 0x10, 0x20, 0x40
_DISAGREE_PERCENT = 1
_TOLERATED_SHARE = 0.1
"""Of a second's packets, how many may say a fault before it counts: bytes are damaged on a bad cable."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A sixtieth of a second. A number is None where the oximeter has none."""

    spo2_percent: int | None
    pulse_per_min: int | None
    status: frozenset[str]
    """``sensor-off sensor-malfunction searching``."""
    pleth: int
    """The pulse wave, 0 to 127, without a unit."""
    bar: int
    signal: int
    raw: bytes = b""


@dataclass(slots=True)
class Decoder:
    """Cuts the stream, however it is chunked, into packets. Damage is counted, never guessed over."""

    damaged: int = 0
    """Pieces between two first bytes that were not a packet."""
    _held: bytearray = field(default_factory=bytearray)

    def feed(self, chunk: bytes) -> Iterator[Packet]:
        """Add received bytes; yield each packet once its last byte is here."""
        for byte in chunk:
            if byte & _START:
                self.damaged += bool(self._held)
                self._held[:] = bytes([byte])
            elif self._held:
                self._held.append(byte)
                if len(self._held) == _PACKET_BYTES:
                    yield _packet(bytes(self._held))
                    self._held.clear()
            # else: a byte without a beginning; the piece it belongs to was counted when it broke, or came before us


def reading(packets: Sequence[Packet]) -> Oximetry:
    """What about a second of packets agrees on: the middle saturation and pulse rate.

    Where fewer than half of the packets lie within one per cent of the middle saturation, ``erratic-signal`` is set.

    Raises:
        ValueError: no packets.
    """
    if not packets:
        raise ValueError("a reading needs packets")
    status = {
        name
        for name in ("sensor-off", "sensor-malfunction", "searching")
        if sum(name in p.status for p in packets) > _TOLERATED_SHARE * len(packets)
    }
    saturations = [p.spo2_percent for p in packets if p.spo2_percent is not None]
    pulses = [p.pulse_per_min for p in packets if p.pulse_per_min is not None]
    half = len(packets) / 2
    spo2 = median_low(saturations) if len(saturations) >= half else None
    pulse = median_low(pulses) if len(pulses) >= half else None
    if spo2 is not None and sum(abs(s - spo2) <= _DISAGREE_PERCENT for s in saturations) < half:
        status.add("erratic-signal")
    return Oximetry(
        None if spo2 is None else Quantity(float(spo2), "%"),
        None if pulse is None else Quantity(float(pulse), "/min"),
        status=frozenset(status),
        raw=packets[-1].raw,
    )


def _packet(raw: bytes) -> Packet:
    first, pleth, third, pulse_low, saturation = raw
    status = {
        name
        for name, holds in (
            ("sensor-off", first & _FINGER_OUT),
            ("sensor-malfunction", third & _PROBE_ERROR),
            ("searching", third & _SEARCHING),
        )
        if holds
    }
    pulse = pulse_low | (0x80 if third & _PULSE_BIT_7 else 0)
    return Packet(
        saturation if 0 < saturation <= 100 else None,
        # All ones stand where it has no pulse, as zero does.
        pulse if 0 < pulse < 0xFF else None,
        frozenset(status),
        pleth,
        third & 0x0F,
        first & 0x0F,
        raw,
    )
