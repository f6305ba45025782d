"""Meter frames: other people's vectors, and frames put together here field by field from the specification."""

import struct
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao.drivers.gatt_time import decode_current_time, decode_date_time
from zhenbao.drivers.glucose.codec import STATUS_BITS, decode_feature, decode_measurement
from zhenbao.drivers.glucose.context import GlucoseContext, decode_context
from zhenbao.drivers.glucose.racp import RacpResponse, RecordCount, decode_response, report_from
from zhenbao.drivers.quirks import PLAIN_METER, CuffQuirk, MeterFacts, ScaleQuirk, cuff_quirk, meter_facts, rows
from zhenbao.model.errors import FrameError
from zhenbao.model.observation import Device
from zhenbao.model.quantity import Quantity

if TYPE_CHECKING:
    from tests.drivers.conftest import Decoded

VECTOR_FOLDER = Path(__file__).parents[1] / "vectors"
VECTORS = tomllib.loads((VECTOR_FOLDER / "glucose_gatt.toml").read_text(encoding="utf-8"))["vector"]
RACP = tomllib.loads((VECTOR_FOLDER / "racp.toml").read_text(encoding="utf-8"))["vector"]
DECODERS = {"2A18": decode_measurement, "2A34": decode_context, "2A08": decode_date_time}
TEN_TO_600 = MeterFacts(10, 600)
#                       flags seq  base time      offset conc type status
FULL = bytes.fromhex("0b 0500 ea070b16081e00 0a00 5ab0 11 0100")


def measurement(conc: str, *, mol: bool = False, status: int | None = None, type_location: int = 0x11) -> bytes:
    flags = 0x02 | (0x04 if mol else 0) | (0x08 if status is not None else 0)
    frame = bytes([flags]) + bytes.fromhex("0700 ea070b16081e00" + conc) + bytes([type_location])
    return frame if status is None else frame + status.to_bytes(2, "little")


@pytest.mark.parametrize("vector", [v for v in VECTORS if "invalid" in v], ids=lambda v: v["invalid"])
def test_refuses_what_other_projects_refuse(vector: dict[str, str]) -> None:
    with pytest.raises(FrameError, match="expected"):
        DECODERS[vector["characteristic"]](bytes.fromhex(vector["hex"]))


def test_agrees_with_other_projects() -> None:
    accepted = {v["characteristic"]: v for v in VECTORS if "invalid" not in v}
    assert decode_context(bytes.fromhex(accepted["2A34"]["hex"])).sequence == accepted["2A34"]["sequence"]
    assert decode_date_time(bytes.fromhex(accepted["2A08"]["hex"])) is None


@pytest.mark.parametrize("vector", RACP, ids=lambda v: v["hex"])
def test_record_access_agrees_with_other_projects(vector: dict[str, object]) -> None:
    frame = bytes.fromhex(str(vector["hex"]))
    if "count" in vector:
        assert decode_response(frame) == RecordCount(int(str(vector["count"])))
    elif "code" in vector:
        assert decode_response(frame) == RacpResponse(int(str(vector["request"])), int(str(vector["code"])))
    else:  # invalid, or a request, which a meter never sends
        with pytest.raises(FrameError, match="expected"):
            decode_response(frame)


def test_request_from_a_sequence_number() -> None:
    assert report_from(0x1234) == bytes.fromhex("01 03 01 3412")  # report, greater or equal, by sequence, little-endian
    with pytest.raises(ValueError, match="65536"):
        report_from(65536)


@pytest.mark.parametrize(
    ("frame", "concentration"),
    [
        pytest.param(measurement("5ab0"), Quantity(90, "mg/dL"), id="90e-5 kg/L"),
        pytest.param(measurement("09c0"), Quantity(90, "mg/dL"), id="9e-4 kg/L"),
        pytest.param(measurement("84b3"), Quantity(900, "mg/dL"), id="900e-5 kg/L"),
        pytest.param(measurement("34c0", mol=True), Quantity(5.2, "mmol/L"), id="52e-4 mol/L"),
        pytest.param(measurement("08b2", mol=True), Quantity(5.2, "mmol/L"), id="520e-5 mol/L"),
        pytest.param(measurement("07b1"), Quantity(263, "mg/dL"), id="263e-5 kg/L is no 262.99999"),
    ],
)
def test_concentration_is_exact(frame: bytes, concentration: Quantity) -> None:
    decoded = decode_measurement(frame)
    assert decoded.concentration == concentration
    assert (decoded.verdict, decoded.reason) == ("chart", None)
    assert (decoded.fluid, decoded.site) == ("capillary-whole-blood", "finger")


@pytest.mark.parametrize(
    ("frame", "facts", "expected", "reason"),
    [
        pytest.param(
            measurement("59b2", status=1 << 5), TEN_TO_600, Quantity(600, "mg/dL", ">"), None, id="HI carries 601"
        ),
        pytest.param(
            measurement("59b2", status=1 << 5), PLAIN_METER, Quantity(601, "mg/dL", ">"), None, id="HI, limit unknown"
        ),
        pytest.param(
            measurement("ff07", status=1 << 5), TEN_TO_600, Quantity(600, "mg/dL", ">"), None, id="HI without number"
        ),
        pytest.param(
            measurement("ff07", mol=True, status=1 << 5),
            TEN_TO_600,
            Quantity(33.3, "mmol/L", ">"),
            None,
            id="HI in mmol/L",
        ),
        pytest.param(measurement("fe07"), TEN_TO_600, Quantity(600, "mg/dL", ">"), None, id="+infinity"),
        pytest.param(
            measurement("ff07", status=1 << 5), PLAIN_METER, None, "high-without-limit", id="HI without anything"
        ),
        pytest.param(
            measurement("09b0", status=1 << 6), TEN_TO_600, Quantity(10, "mg/dL", "<"), None, id="LO carries 9"
        ),
        pytest.param(measurement("0208"), TEN_TO_600, Quantity(10, "mg/dL", "<"), None, id="-infinity"),
        pytest.param(measurement("0208"), PLAIN_METER, None, "low-without-limit", id="LO without anything"),
        pytest.param(measurement("ff07"), TEN_TO_600, None, "no-concentration", id="NaN"),
    ],
)
def test_high_and_low(frame: bytes, facts: MeterFacts, expected: Quantity | None, reason: str | None) -> None:
    decoded = decode_measurement(frame, facts)
    assert decoded.concentration == expected
    assert decoded.reason == reason


@pytest.mark.parametrize("status", [s for s in STATUS_BITS if s not in ("battery-low", "too-high", "too-low")])
def test_every_problem_goes_to_quarantine(status: str) -> None:
    decoded = decode_measurement(measurement("5ab0", status=1 << STATUS_BITS.index(status)))
    assert (decoded.verdict, decoded.reason) == ("quarantine", status)
    assert decoded.concentration == Quantity(90, "mg/dL")


@pytest.mark.parametrize("type_location", [0x1A, 0x41], ids=["by its fluid", "by its place"])
def test_control_solution_never_reaches_a_chart(type_location: int) -> None:
    decoded = decode_measurement(measurement("5ab0", type_location=type_location, status=1 << 1))
    assert decoded.control_solution
    assert decoded.reason == "control-solution"


def test_a_low_battery_alone_is_no_reason() -> None:
    assert decode_measurement(FULL).verdict == "chart"
    assert decode_measurement(FULL).status == {"battery-low"}


@pytest.mark.parametrize(
    ("offset", "time", "reason"),
    [
        pytest.param(10, "2026-11-22T08:40:00", None, id="ten minutes later"),
        pytest.param(-540, "2026-11-21T23:30:00", None, id="the day before"),
        pytest.param(0x7FFF, None, "time-fault", id="overrun"),
        pytest.param(-0x8000, None, "time-fault", id="underrun"),
    ],
)
def test_time_offset(offset: int, time: str | None, reason: str | None) -> None:
    decoded = decode_measurement(FULL[:10] + struct.pack("<h", offset) + FULL[12:])
    assert decoded.base_time == "2026-11-22T08:30:00"
    assert (decoded.device_time, decoded.reason) == (time, reason)


def test_a_record_without_concentration_is_quarantined() -> None:
    decoded = decode_measurement(bytes.fromhex("00 0700 ea070b16081e00"))
    assert (decoded.concentration, decoded.fluid, decoded.reason) == (None, None, "no-concentration")


def test_key_names_device_sequence_and_bytes() -> None:
    first, other = decode_measurement(FULL), decode_measurement(FULL[:-1] + b"\x01")
    assert first.device_key.startswith("|5|")
    assert first.device_key != other.device_key


@pytest.mark.parametrize("length", range(len(FULL)))
def test_truncated_measurement_is_refused(length: int) -> None:
    with pytest.raises(FrameError, match="expected"):
        decode_measurement(FULL[:length])


CONTEXT = bytes.fromhex(
    "df"  # flags: carbohydrate, meal, tester, exercise, medication in kg, HbA1c, extended
    "0500"  # sequence
    "00"  # extended flags
    "02 41d0"  # lunch, 65e-3 kg
    "02"  # after meal
    "51"  # tester self, health no issues
    "0807 1e"  # 1800 s, 30 %
    "04 0cb0"  # long acting, 12e-5 kg
    "46f0"  # 7.0 %
)


def test_context() -> None:
    assert decode_context(CONTEXT) == GlucoseContext(
        5,
        "after-meal",
        "lunch",
        Quantity(65, "g"),
        "self",
        "no-issues",
        1800,
        30,
        "long-acting-insulin",
        Quantity(120, "mg"),
        Quantity(7.0, "%"),
    )


def test_context_in_litres_and_with_unknown_extension() -> None:
    # flags: medication, in L, extended; rapid acting, 10e-6 L; three bytes of a later edition
    decoded = decode_context(bytes.fromhex("b0 0500 01 01 0aa0 abcdef"))
    assert decoded.medication_amount == Quantity(0.01, "mL")
    with pytest.raises(FrameError, match="end of the frame"):
        decode_context(bytes.fromhex("b0 0500 00 01 0aa0 abcdef"))


@pytest.mark.parametrize("length", range(len(CONTEXT)))
def test_truncated_context_is_refused(length: int) -> None:
    with pytest.raises(FrameError, match="expected"):
        decode_context(CONTEXT[:length])


def test_feature() -> None:
    assert decode_feature(bytes.fromhex("2104")) == {"low-battery", "high-low", "multiple-bond"}


def test_current_time() -> None:
    # 2026-11-22 10:35:07, Sunday, 128/256 s, manual change
    assert decode_current_time(bytes.fromhex("ea070b160a2307 07 80 01")) == "2026-11-22T10:35:07"
    for length in range(10):
        with pytest.raises(FrameError, match="expected"):
            decode_current_time(bytes.fromhex("ea070b160a2307 07 80 01")[:length])
    with pytest.raises(FrameError, match="day of week"):
        decode_current_time(bytes.fromhex("ea070b160a2307 08 80 01"))


@given(frame=st.binary(max_size=40))
def test_any_bytes_decode_or_raise_frame_error(frame: bytes, decoded_or_refused: "Decoded") -> None:
    for decode in (
        decode_measurement,
        decode_context,
        decode_feature,
        decode_response,
        decode_current_time,
        decode_date_time,
    ):
        decoded_or_refused(decode, frame)


def test_facts_are_found_by_maker_and_model() -> None:
    assert meter_facts(Device("glucose-gatt", "Roche", "Accu-Chek Guide Me")) == MeterFacts(20, 600)
    assert meter_facts(Device("glucose-gatt", "Acme", "Accu-Chek Guide")) == PLAIN_METER
    assert cuff_quirk(Device("bp-gatt", "A&D Medical", "UA-651BLE")).hangs_up_after_send


@pytest.mark.parametrize(
    ("device", "facts"),
    [
        (Device("", "Roche Diagnostics", "Accu-Chek Instant"), MeterFacts(10, 600)),
        (
            Device("", "Ascensia Diabetes Care", "Contour Next ONE"),
            MeterFacts(None, 600, only_newer=True, clock="contour"),
        ),
        (Device("", "i-SENS", "CareSens N", firmware="1.2.4"), MeterFacts(lasting_sequence=False, clock="unknown")),
        (Device("", "i-SENS", "CareSens N", firmware="1.2.40"), MeterFacts(clock="unknown")),
        (Device("", "Someone", "Diamond Mini BT"), MeterFacts(lasting_sequence=False)),
        (Device("", "LifeScan", "OneTouch Ultra2"), MeterFacts(20, 600)),
    ],
)
def test_quirks_of_single_products(device: Device, facts: MeterFacts) -> None:
    assert meter_facts(device) == facts


def test_a_number_out_of_range_is_hi_or_lo_even_if_the_meter_does_not_say_so() -> None:
    assert decode_measurement(measurement("59b2"), TEN_TO_600).concentration == Quantity(600, "mg/dL", ">")
    assert decode_measurement(measurement("58b2"), TEN_TO_600).concentration == Quantity(600, "mg/dL")
    assert decode_measurement(measurement("09b0"), TEN_TO_600).concentration == Quantity(10, "mg/dL", "<")


def test_where_numbers_change_they_do_not_name_a_result() -> None:
    other_number = FULL[:1] + b"\x09\x00" + FULL[3:]
    changing = MeterFacts(lasting_sequence=False)
    assert decode_measurement(FULL).device_key != decode_measurement(other_number).device_key
    assert decode_measurement(FULL, changing).device_key == decode_measurement(other_number, changing).device_key
    later = FULL[:8] + b"\x1f" + FULL[9:]  # one minute later
    assert decode_measurement(FULL, changing).device_key != decode_measurement(later, changing).device_key


def test_every_quirk_has_a_source() -> None:
    kinds = {"bp": CuffQuirk, "glucose": MeterFacts, "scale": ScaleQuirk}
    every = {"maker", "model", "firmware", "source"}
    allowed = {kind: every | {f.name for f in fields(quirk)} for kind, quirk in kinds.items()}
    assert rows().keys() == allowed.keys()
    for kind, keys in allowed.items():
        for row in rows()[kind]:
            assert row.keys() <= keys
            assert row["maker"] or row["model"]
            assert row["source"]
