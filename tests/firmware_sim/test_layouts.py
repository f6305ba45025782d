"""The simulator's characteristic values, byte by byte as the specifications print them."""

from datetime import datetime

import pytest

from zhenbao.firmware_sim import layouts
from zhenbao.firmware_sim.layouts import NAN, Meal, SampleLocation, SampleType, SensorStatus, Sfloat

MORNING = datetime(2024, 7, 6, 15, 17, 17)


@pytest.mark.parametrize(
    ("mantissa", "exponent", "expected"),
    [
        pytest.param(120, 0, "78 00", id="120: mantissa 0x078, exponent 0"),
        pytest.param(12, 1, "0c 10", id="12e1: exponent nibble 1"),
        pytest.param(-511, -1, "01 fe", id="-51.1 (weliem/blessed-android BluetoothBytesParserTest: 0xFE01)"),
        pytest.param(78, -4, "4e c0", id="78e-4: exponent nibble 0xC"),
        pytest.param(140, -5, "8c b0", id="140e-5: exponent nibble 0xB"),
        pytest.param(0x7FF, 0, "ff 07", id="NaN"),
        pytest.param(-0x800, 0, "00 08", id="NRes"),
        pytest.param(0x7FE, 0, "fe 07", id="+INF"),
        pytest.param(-0x7FE, 0, "02 08", id="-INF"),
    ],
)
def test_sfloat(mantissa: int, exponent: int, expected: str) -> None:
    assert bytes(Sfloat(mantissa, exponent)) == bytes.fromhex(expected)


@pytest.mark.parametrize(("mantissa", "exponent"), [(2048, 0), (-2049, 0), (1, 8), (1, -9)])
def test_sfloat_refuses_what_does_not_fit(mantissa: int, exponent: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        Sfloat(mantissa, exponent)


def test_blood_pressure_without_options() -> None:
    # flags 00 | 120 | 80 | 93
    expected = bytes.fromhex("00 7800 5000 5d00")
    assert layouts.blood_pressure(Sfloat(120), Sfloat(80), Sfloat(93)) == expected


def test_blood_pressure_as_a_real_cuff_sent_it() -> None:
    """derdilla/blood-pressure-monitor-fl ble_measurement_data_test.dart: 124/86 (97), pulse 51, status 0x27."""
    made = layouts.blood_pressure(Sfloat(124), Sfloat(86), Sfloat(97), at=MORNING, pulse=Sfloat(51), status=0x27)
    assert made == bytes.fromhex("16 7c00 5600 6100 e807 07 06 0f 11 11 3300 2700")


def test_blood_pressure_in_kilopascal_with_everything() -> None:
    # flags: kPa 1, time 2, pulse 4, user 8, status 10 hex -> 1f
    # 160e-1 107e-1 124e-1 | 2024-07-06 15:17:17 | 72 | user 2 | 0004
    made = layouts.blood_pressure(
        Sfloat(160, -1),
        Sfloat(107, -1),
        Sfloat(124, -1),
        kilopascal=True,
        at=MORNING,
        pulse=Sfloat(72),
        user=2,
        status=4,
    )
    assert made == bytes.fromhex("1f a0f0 6bf0 7cf0 e80707060f1111 4800 02 0400")


def test_cuff_pressure() -> None:
    assert layouts.cuff_pressure(Sfloat(150)) == bytes.fromhex("00 9600 ff07 ff07")


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param(
            # flags: concentration 2 + mol/L 4 -> 06 | seq 5 | 2024-07-06 15:17:17 | 78e-4 | type 1, finger 1
            layouts.glucose(5, MORNING, concentration=Sfloat(78, -4), mole_per_litre=True),
            "06 0500 e80707060f1111 4ec0 11",
            id="7.8 mmol/L",
        ),
        pytest.param(
            # flags: offset 1 + concentration 2 -> 03 | seq 300 | time | -60 min | 140e-5 | type 2, finger
            layouts.glucose(
                300, MORNING, offset_min=-60, concentration=Sfloat(140, -5), sample=SampleType.CAPILLARY_PLASMA
            ),
            "03 2c01 e80707060f1111 c4ff 8cb0 12",
            id="140 mg/dL with a time offset",
        ),
        pytest.param(
            # flags: concentration 2 + mol/L 4 + status 8 -> 0e | ... | control 10, location 4 | result too high, bit 5
            layouts.glucose(
                1,
                MORNING,
                concentration=Sfloat(333, -4),
                mole_per_litre=True,
                sample=SampleType.CONTROL_SOLUTION,
                location=SampleLocation.CONTROL_SOLUTION,
                status=SensorStatus.RESULT_TOO_HIGH,
            ),
            "0e 0100 e80707060f1111 4dc1 4a 2000",
            id="control solution, HI",
        ),
        pytest.param(
            # flags: status 8 + context 10 hex -> 18; no concentration, so no type and location
            layouts.glucose(2, MORNING, status=SensorStatus.STRIP_INSERTION, context_follows=True),
            "18 0200 e80707060f1111 0800",
            id="an error instead of a result",
        ),
    ],
)
def test_glucose(made: bytes, expected: str) -> None:
    assert made == bytes.fromhex(expected)


def test_glucose_context() -> None:
    assert layouts.glucose_context(258, meal=Meal.FASTING) == bytes.fromhex("02 0201 03")


def test_current_time() -> None:
    # Sunday 2026-11-22 10:30:05.5: day 7, 128/256 s, no reason
    at = datetime(2026, 11, 22, 10, 30, 5, 500_000)
    assert layouts.current_time(at) == bytes.fromhex("ea07 0b 16 0a 1e 05 07 80 00")


def test_nan_pressures() -> None:
    assert layouts.blood_pressure(NAN, NAN, NAN) == bytes.fromhex("00 ff07 ff07 ff07")
