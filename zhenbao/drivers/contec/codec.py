"""Contec spirometer frames to values: stored results (E1) and their curves (E2). UNVERIFIED, see the checklist.

What is not known stays as sent: the codes of sex, standard and drug are given as numbers, never as words.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from zhenbao.drivers.contec.frame import COUNT, RECORD, WAVE, check_sum
from zhenbao.drivers.reader import Reader
from zhenbao.model.errors import FrameError
from zhenbao.model.observation import Device
from zhenbao.model.spirometry_summary import SpirometrySummary, SummaryValue

KINDS = {0: "all", 1: "FVC", 2: "VC", 3: "MVV", 4: "MV"}
_NUMBERS = (
    # name, steps per unit, unit
    ("FVC", 100, "L"),
    ("FEV0.5", 100, "L"),
    ("FEV1", 100, "L"),
    ("FEV1FVC", 10, "%"),
    ("FEV3", 100, "L"),
    ("FEV6", 100, "L"),
    ("PEF", 100, "L/s"),
    ("FEF25", 100, "L/s"),
    ("FEF50", 100, "L/s"),
    ("FEF75", 100, "L/s"),
    ("MMEF", 100, "L/s"),
    ("PEFT", 100, "s"),
    ("BEV", 100, "L"),
)
_IN_SUMMARY = ("FVC", "FEV1", "FEV1FVC", "FEV3", "FEV6", "PEF", "FEF25", "FEF50", "FEF75", "MMEF", "BEV")
_MOST_FLOW_L_S = 20.0
"""More is no breath; the order of the curve's bytes would then be another than assumed."""
_MOST_VOLUME_L = 12.0
_POINT = 8


@dataclass(frozen=True, slots=True)
class StoredTest:
    """One stored test as the device computed it."""

    number: int
    kind: str
    """One of ``KINDS``; ``FVC`` is a forced expiration."""
    device_time: str | None
    """Naive ISO text; None where the date cannot be."""
    sex_code: int
    age_years: int
    height_cm: int
    standard_code: int
    drug_code: int
    numbers: dict[str, float]
    """By the names and in the units of ``unit_of``; a zero was not measured and is left out."""
    raw: bytes

    def summary(self, device: Device) -> SpirometrySummary:
        """What may be compared with the county's equation. Sex and stage stay open: their codes are not known."""
        units = {name: unit for name, _, unit in _NUMBERS}
        return SpirometrySummary(
            format="contec-sp10",
            values={n: SummaryValue(self.numbers[n], units[n]) for n in _IN_SUMMARY if n in self.numbers},
            measured_at=self.device_time,
            age_years=float(self.age_years) if self.age_years else None,
            height_cm=float(self.height_cm) if self.height_cm else None,
            device=device,
            left_out=tuple(name for name in self.numbers if name not in _IN_SUMMARY),
        )


@dataclass(frozen=True, slots=True)
class CurvePart:
    """Points of a stored curve; the device sends a curve in parts."""

    record: int
    time_s: tuple[float, ...]
    flow_l_s: tuple[float, ...]
    volume_l: tuple[float, ...]


def decode_count(frame: bytes) -> int:
    """How many tests are stored (E0).

    Raises:
        FrameError: another frame, another length, or a wrong sum.
    """
    _check(frame, COUNT, 10)
    return frame[1] | frame[2] << 7


def decode_record(frame: bytes) -> StoredTest:
    """One stored test (E1).

    Raises:
        FrameError: another frame, another length, a wrong sum, or an unknown kind of test.
    """
    _check(frame, RECORD, 44)
    if frame[2] not in KINDS:
        raise FrameError(frame, 2, "a kind of test from 0 to 4")
    numbers = {}
    for place, (name, steps, _) in enumerate(_NUMBERS):
        value = _pair(frame, 17 + 2 * place)
        if value:
            numbers[name] = value / steps
    return StoredTest(
        number=_pair(frame, 3),
        kind=KINDS[frame[2]],
        device_time=_time(frame[5:11]),
        sex_code=frame[11],
        age_years=frame[12],
        height_cm=_pair(frame, 13),
        standard_code=frame[15],
        drug_code=frame[16],
        numbers=numbers,
        raw=frame,
    )


def decode_wave(frame: bytes) -> CurvePart:
    """A part of a curve (E2): eight bytes a point, the first holding bit 7 of the seven others.

    Raises:
        FrameError: another frame, another length, a wrong sum, or a flow or volume that no person breathes: the order
            of the bytes is then not the one that is assumed.
    """
    if len(frame) < 4 or frame[0] != WAVE:
        raise FrameError(frame, 0, "E2, a part of a curve")
    _check(frame, WAVE, 4 + _POINT * frame[2])
    times, flows, volumes = [], [], []
    for start in range(3, len(frame) - 1, _POINT):
        reader = Reader(_whole_bytes(frame[start : start + _POINT]))
        time_s = int.from_bytes(reader.take(3, "time"), "little") / 10_000
        flow, volume = reader.s16("flow") / 1000, reader.s16("volume") / 1000
        if abs(flow) > _MOST_FLOW_L_S or abs(volume) > _MOST_VOLUME_L:
            raise FrameError(frame, start, "a flow and volume that a person can breathe")
        times.append(time_s)
        flows.append(flow)
        volumes.append(volume)
    return CurvePart(frame[1], tuple(times), tuple(flows), tuple(volumes))


def joined(parts: list[CurvePart]) -> CurvePart | None:
    """The whole curve; None where nothing was sent.

    Raises:
        FrameError: time does not run forwards: a part is missing, or was read wrongly.
    """
    if not parts:
        return None
    times = tuple(t for part in parts for t in part.time_s)
    if any(later <= earlier for earlier, later in pairwise(times)):
        raise FrameError(b"", 0, "a curve whose time runs forwards")
    return CurvePart(
        parts[0].record,
        times,
        tuple(f for part in parts for f in part.flow_l_s),
        tuple(v for part in parts for v in part.volume_l),
    )


def _whole_bytes(point: bytes) -> bytes:
    high = point[0]
    return bytes(low | (high >> k & 1) << 7 for k, low in enumerate(point[1:]))


def _pair(frame: bytes, at: int) -> int:
    return frame[at] | frame[at + 1] << 7


def _time(six: bytes) -> str | None:
    year, month, day, hour, minute, second = six
    try:
        return datetime(2000 + year, month, day, hour, minute, second).isoformat()  # noqa: DTZ001 - the device's own
    except ValueError:
        return None


def _check(frame: bytes, head: int, size: int) -> None:
    if len(frame) != size or frame[0] != head:
        raise FrameError(frame, 0, f"{head:02X} and {size} bytes")
    if any(byte >= 0x80 for byte in frame[1:]):
        raise FrameError(frame, 1, "bytes of seven bits")
    if check_sum(frame[:-1]) != frame[-1]:
        raise FrameError(frame, size - 1, "the sum of the bytes before")
