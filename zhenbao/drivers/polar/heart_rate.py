"""Heart Rate Measurement (2A37): bytes to values. Source: Bluetooth Heart Rate Service 1.0, section 3.1."""

from __future__ import annotations

from dataclasses import dataclass

from zhenbao.drivers.reader import Reader

_WIDE, _CONTACT_SEEN, _CONTACT_KNOWN, _ENERGY, _INTERVALS = 0x01, 0x02, 0x04, 0x08, 0x10
_NO_RATE = (0, 255)
_PER_S = 1024


@dataclass(frozen=True, slots=True)
class StrapBeats:
    """One notification: the strap's own rate and the beat intervals since the last one."""

    rate_bpm: int | None
    """None without skin contact, and for 0 and (in one byte) 255, which stand for no rate."""
    contact: bool | None
    """Skin contact; None where the strap cannot tell."""
    energy_kj: int | None = None
    rr_1024: tuple[int, ...] = ()
    """Beat intervals as sent, in 1/1024 s, oldest first."""

    @property
    def rr_s(self) -> tuple[float, ...]:
        """Beat intervals in seconds; none without skin contact."""
        return () if self.contact is False else tuple(interval / _PER_S for interval in self.rr_1024)


def decode_heart_rate(value: bytes) -> StrapBeats:
    """The value of characteristic 2A37.

    Raises:
        FrameError: a field that a flag announces is missing, or bytes are left over.
    """
    reader = Reader(value)
    flags = reader.u8("flags")
    rate = reader.u16("heart rate") if flags & _WIDE else reader.u8("heart rate")
    contact = bool(flags & _CONTACT_SEEN) if flags & _CONTACT_KNOWN else None
    energy = reader.u16("energy") if flags & _ENERGY else None
    intervals = []
    if flags & _INTERVALS:
        while reader.left:
            intervals.append(reader.u16("beat interval"))
    reader.end()
    unknown = contact is False or rate == _NO_RATE[0] or (rate == _NO_RATE[1] and not flags & _WIDE)
    return StrapBeats(None if unknown else rate, contact, energy, tuple(intervals))
