"""Lines of a OneTouch Ultra2: what other projects recorded, and lines put together here from the protocol's facts."""

import contextlib
import tomllib
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao.drivers.glucose.onetouch import codec
from zhenbao.drivers.quirks import meter_facts
from zhenbao.model.errors import FrameError
from zhenbao.model.observation import Device
from zhenbao.model.quantity import Quantity

if TYPE_CHECKING:
    from tests.drivers.conftest import Decoded

VECTORS = tomllib.loads((Path(__file__).parents[1] / "vectors" / "onetouch_ultra2.toml").read_text(encoding="utf-8"))[
    "vector"
]
DECODERS = {"header": codec.decode_header, "record": codec.decode_record, "serial": codec.decode_serial}
FACTS = meter_facts(Device("glucose-onetouch", "LifeScan", "OneTouch Ultra2"))


def line(text: str) -> bytes:
    """With its sum, reckoned here."""
    return f"{text} {sum(map(ord, text)):04X}".encode("latin-1")


def record(
    value: str = "  107 ", *, moment: str = '"SUN","11/22/26","08:30:00   "', meal: str = "N", comment: str = "00"
) -> bytes:
    return line(f'P {moment},"{value}","{meal}","{comment}", 00')


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["line"])
def test_agrees_with_other_projects(vector: dict[str, Any]) -> None:
    data, decode = vector["line"].encode("ascii"), DECODERS[vector["kind"]]
    if "invalid" in vector:
        with pytest.raises(FrameError, match=vector["invalid"]):
            decode(data)
    elif vector["kind"] == "header":
        assert decode(data) == codec.DumpHeader(vector["count"], vector["serial"], vector["unit"])
    else:
        reading = codec.decode_record(data, FACTS)
        assert reading.concentration == Quantity(vector["mg_dl"], "mg/dL")
        assert reading.device_time == vector["time"]
        assert (reading.context and reading.context.meal) == vector.get("meal")
        assert reading.verdict == "chart"


@pytest.mark.parametrize(
    ("value", "expected", "reason"),
    [
        pytest.param("  300 ", Quantity(300, "mg/dL"), None, id="300 mg/dL stays 300 mg/dL"),
        pytest.param("  600 ", Quantity(600, "mg/dL"), None, id="the highest number"),
        pytest.param("  601 ", Quantity(600, "mg/dL", ">"), None, id="HI carries a number"),
        pytest.param("   HI ", Quantity(600, "mg/dL", ">"), None, id="HI"),
        pytest.param(" HIGH ", Quantity(600, "mg/dL", ">"), None, id="HIGH"),
        pytest.param("  020 ", Quantity(20, "mg/dL"), None, id="the lowest number"),
        pytest.param("  019 ", Quantity(20, "mg/dL", "<"), None, id="LO carries a number"),
        pytest.param("  LOW ", Quantity(20, "mg/dL", "<"), None, id="LOW"),
        pytest.param("C 107 ", Quantity(107, "mg/dL"), "control-solution", id="control solution"),
        pytest.param("C 601 ", Quantity(600, "mg/dL", ">"), "control-solution", id="control solution, HI"),
        pytest.param("  107?", Quantity(107, "mg/dL"), "record-damaged", id="parity"),
        pytest.param("C 107?", Quantity(107, "mg/dL"), "control-solution", id="parity of a control solution"),
    ],
)
def test_values_and_marks(value: str, expected: Quantity, reason: str | None) -> None:
    for unit in ("mmol/L", "mg/dL"):  # the display's unit never touches the value
        reading = codec.decode_record(record(value), FACTS, display_unit=unit)
        assert (reading.concentration, reading.reason) == (expected, reason)


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param('"SUN","22/11/26","08:30:00   "', id="day first: no month 22"),
        pytest.param('"THU","05/11/26","08:30:00   "', id="day first: 11 May 2026 was no Thursday"),
        pytest.param('"SUN","02/30/26","08:30:00   "', id="no such day"),
        pytest.param('"SUN","11/22/26","25:30:00   "', id="no such hour"),
    ],
)
def test_a_date_that_cannot_be_trusted_is_no_date(moment: str) -> None:
    reading = codec.decode_record(record(moment=moment), FACTS)
    assert (reading.device_time, reading.reason) == (None, "time-fault")
    assert reading.concentration == Quantity(107, "mg/dL")
    with pytest.raises(FrameError, match="day of the week"):
        codec.decode_clock(line(f"F {moment}"))


def test_the_clock_and_its_setting() -> None:
    assert codec.decode_clock(line('F "SUN","11/22/26","08:30:00   "')) == "2026-11-22T08:30:00"
    assert codec.set_clock_request(datetime(2026, 11, 5, 8, 3, 9)) == b"\x11\rDMT11/05/26 08:03:09\r"


def test_unit_and_version() -> None:
    assert codec.decode_unit(line('SU?,"MMOL/L"')) == "mmol/L"
    assert codec.decode_unit(line('SU?,"MG/DL "')) == "mg/dL"
    with pytest.raises(FrameError, match="unit"):
        codec.decode_unit(line('SU?,"G/L   "'))
    assert codec.decode_version(line("?P02.00.00 30/08/06")) == "P02.00.00 30/08/06"


@pytest.mark.parametrize("command", ["DMZ", "DMSU0", "DM?\rDMZ", ""])
def test_nothing_that_erases_can_be_asked(command: str) -> None:
    with pytest.raises(ValueError, match="not a request that reads"):
        codec.request(command)


WHOLE = record()


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_a_truncated_line_is_refused(length: int) -> None:
    with pytest.raises(FrameError, match="expected"):
        codec.decode_record(WHOLE[:length])


@given(place=st.integers(0, len(WHOLE) - 1), bit=st.integers(0, 7))
def test_one_wrong_bit_never_becomes_a_reading(place: int, bit: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[place] ^= 1 << bit
    with pytest.raises(FrameError, match="expected"):
        codec.decode_record(bytes(damaged))


@given(data=st.one_of(st.binary(max_size=120), st.text('P"/:,0123456789 CHILONBAX?', max_size=90).map(line)))
def test_any_bytes_decode_or_raise_frame_error(data: bytes, decoded_or_refused: "Decoded") -> None:
    for decode in (
        codec.checked,
        codec.decode_serial,
        codec.decode_version,
        codec.decode_unit,
        codec.decode_clock,
        codec.decode_header,
        codec.decode_record,
    ):
        decoded_or_refused(decode, data)


@given(
    st.builds(
        record, st.text("C ?0123456789HIGLOW", min_size=1, max_size=6), comment=st.sampled_from(["00", "11", "99"])
    )
)
def test_a_value_is_what_its_digits_say_or_nothing(data: bytes) -> None:
    with contextlib.suppress(FrameError):
        reading = codec.decode_record(data)
        assert reading.concentration is None or str(int(reading.concentration.value)) in data.decode()
