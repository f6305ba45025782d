"""Lines of a OneTouch Ultra2: text to values. 9600 baud, 8N1; every line ends with a space and a sum of its bytes.

Source: facts of the published LifeScan protocol as two public drivers use it: glucometerutils ``otultra2`` (MIT) and
tidepool-org/uploader ``oneTouchUltra2`` (BSD-2). Values are mg/dL always, whatever unit display and header name.
Dates are month/day/year with two digits for the year.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from zhenbao.drivers.glucose.codec import GlucoseReading, within_range
from zhenbao.drivers.glucose.context import GlucoseContext
from zhenbao.drivers.quirks import PLAIN_METER, MeterFacts
from zhenbao.model.errors import FrameError

BAUD = 9600
LONGEST_LINE = 128
_DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_MEALS = {"N": None, "B": "before-meal", "A": "after-meal"}
_HEALTH = {6: "under-stress", 7: "minor-issues", 9: "during-menses"}
_BEYOND = {"HI": "too-high", "HIGH": "too-high", "LO": "too-low", "LOW": "too-low"}
_UNITS: dict[str, Literal["mmol/L", "mg/dL"]] = {"MG/DL": "mg/dL", "MMOL/L": "mmol/L"}

_CHECKED = re.compile(rb"(.*) ([0-9A-F]{4})", re.DOTALL)
_SERIAL = re.compile(r'@ "([A-Z0-9]{8}Y)"')
_VERSION = re.compile(r"\?(\S.{0,39})")
_UNIT = re.compile(r'SU\?,"(MG/DL|MMOL/L) ?"')
_MOMENT = r'"([A-Z]{3})","(\d\d)/(\d\d)/(\d\d)","(\d\d):(\d\d):(\d\d) *"'
_CLOCK = re.compile(rf"[FT] {_MOMENT}", re.ASCII)
_HEADER = re.compile(r'P (\d{3}),"([A-Z0-9]{9})","(MG/DL|MMOL/L) ?"', re.ASCII)
_RECORD = re.compile(rf'P {_MOMENT},"([C ]) *(\d{{1,3}}|HI|HIGH|LO|LOW) *(\??) *","([NBA])","(\d\d)", *00', re.ASCII)


@dataclass(frozen=True, slots=True)
class DumpHeader:
    """The first line of all records."""

    count: int
    serial: str
    display_unit: Literal["mmol/L", "mg/dL"]
    """What the display counts in; the records' values are mg/dL all the same."""


def request(command: str) -> bytes:
    """The bytes of a request.

    Only what reads, and setting the clock, can be asked here; ``DMZ``, which erases the memory, cannot.

    Raises:
        ValueError: another command.
    """
    if command not in ("DM?", "DM@", "DMF", "DMSU?", "DMP"):
        raise ValueError(f"{command} is not a request that reads")
    return b"\x11\r" + command.encode("ascii") + b"\r"


def set_clock_request(moment: datetime) -> bytes:
    """The bytes that set the meter's clock to a naive local time; it answers as to ``DMF``, with ``T``."""
    return b"\x11\rDMT" + moment.strftime("%m/%d/%y %H:%M:%S").encode("ascii") + b"\r"


def checked(line: bytes) -> str:
    """The text of a line without its sum.

    Args:
        line: without its line end.

    Raises:
        FrameError: it has no sum, the sum is wrong, or there is something else than ASCII in it.
    """
    found = _CHECKED.fullmatch(line)
    if found is None:
        raise FrameError(line, max(len(line) - 5, 0), "a space and a sum of four digits at the end")
    text, told = found[1], int(found[2], 16)
    if sum(text) & 0xFFFF != told:
        raise FrameError(line, len(text) + 1, f"the sum {sum(text) & 0xFFFF:04X}")
    if not text.isascii():
        raise FrameError(line, 0, "ASCII text")
    return text.decode("ascii")


def decode_serial(line: bytes) -> str:
    """The answer to ``DM@``: nine characters, of which the last is Y for an Ultra2.

    Raises:
        FrameError: damaged, or another meter.
    """
    return _matched(_SERIAL, line, "a serial number that ends with Y")[1]


def decode_version(line: bytes) -> str:
    """The answer to ``DM?``: the firmware, for instance ``P02.00.00 30/08/06``.

    Raises:
        FrameError: damaged, or another answer.
    """
    return _matched(_VERSION, line, "a version")[1]


def decode_unit(line: bytes) -> Literal["mmol/L", "mg/dL"]:
    """The answer to ``DMSU?``: what the display counts in.

    Raises:
        FrameError: damaged, or another unit.
    """
    return _UNITS[_matched(_UNIT, line, "the unit MG/DL or MMOL/L")[1]]


def decode_clock(line: bytes) -> str:
    """The answer to ``DMF`` or ``DMT``: the meter's clock as ISO text without zone.

    Raises:
        FrameError: damaged, or a date that does not exist or does not fall on the day of the week that it names.
    """
    moment = _moment(*_matched(_CLOCK, line, "a date and time").groups())
    if moment is None:
        raise FrameError(line, 2, "a date month/day/year that falls on its day of the week")
    return moment


def decode_header(line: bytes) -> DumpHeader:
    """The first line of the answer to ``DMP``.

    Raises:
        FrameError: damaged, or another line.
    """
    found = _matched(_HEADER, line, "the number of records, a serial number and a unit")
    return DumpHeader(int(found[1]), found[2], _UNITS[found[3]])


def decode_record(
    line: bytes, facts: MeterFacts = PLAIN_METER, *, display_unit: Literal["mmol/L", "mg/dL"] | None = None
) -> GlucoseReading:
    """One record.

    A date that does not exist, or does not fall on the day of the week beside it, is no date: the meter may write it in
    another order. The result is then kept without a time.

    Raises:
        FrameError: damaged, or another line.
    """
    found = _matched(_RECORD, line, "a record")
    control, number, parity, meal, comment = found.groups()[7:]
    device_time = _moment(*found.groups()[:7])
    status: set[str] = set()
    if device_time is None:
        status.add("time-fault")
    if parity:
        status.add("record-damaged")
    value: Decimal | None = None
    if number in _BEYOND:
        status.add(_BEYOND[number])
    else:
        value = Decimal(number)
    return GlucoseReading(
        sequence=0,
        concentration=within_range(value, "mg/dL", status, facts),
        device_time=device_time,
        base_time=device_time,
        fluid="control-solution" if control == "C" else None,
        status=frozenset(status),
        raw=line,
        lasting=line,
        display_unit=display_unit,
        context=_context(_MEALS[meal], int(comment)),
    )


def _context(meal: str | None, comment: int) -> GlucoseContext | None:
    if meal is None and comment not in _HEALTH:
        return None
    return GlucoseContext(0, meal=meal, health=_HEALTH.get(comment))


def _matched(pattern: re.Pattern[str], line: bytes, expected: str) -> re.Match[str]:
    found = pattern.fullmatch(checked(line))
    if found is None:
        raise FrameError(line, 0, expected)
    return found


def _moment(day: str, *numbers: str) -> str | None:
    month, date, year, hour, minute, second = map(int, numbers)
    try:
        moment = datetime(2000 + year, month, date, hour, minute, second)  # noqa: DTZ001 - a device knows no zone
    except ValueError:
        return None
    return moment.isoformat() if _DAYS[moment.weekday()] == day else None
