"""Cuff frames against other people's captures and tests."""

import tomllib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao.drivers.bp.codec import BloodPressure, decode, decode_cuff_pressure
from zhenbao.drivers.quirks import PLAIN_CUFF, CuffQuirk, cuff_quirk, rows
from zhenbao.model.errors import FrameError
from zhenbao.model.observation import Device
from zhenbao.model.quantity import Quantity
from zhenbao.words import catalogue

if TYPE_CHECKING:
    from tests.drivers.conftest import Decoded

VECTORS = tomllib.loads((Path(__file__).parents[1] / "vectors" / "bp_gatt.toml").read_text(encoding="utf-8"))["vector"]
BM85 = cuff_quirk(Device("bp-gatt", "Beurer GmbH", "BM85"))
FULL = bytes.fromhex("1e 7800 5000 5d00 ea070b160a1e00 4800 01 0400")


def quirk_of(vector: dict[str, object]) -> CuffQuirk:
    return BM85 if vector.get("quirk") == "beurer-bm85" else PLAIN_CUFF


def with_unit(number: object, unit: object) -> Quantity | None:
    return None if number is None else Quantity(float(str(number)), str(unit))


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS if v["characteristic"] == "2A35" and "invalid" not in v], ids=lambda v: v["hex"]
)
def test_agrees_with_other_projects(vector: dict[str, object]) -> None:
    decoded = decode(bytes.fromhex(str(vector["hex"])), quirk_of(vector))
    unit = vector.get("unit", "mm[Hg]")
    assert decoded.systolic == with_unit(vector["systolic"], unit)
    for name in ("diastolic", "mean"):
        if name in vector:
            assert getattr(decoded, name) == with_unit(vector[name], unit)
    if "pulse" in vector:
        assert decoded.pulse == with_unit(vector["pulse"], "/min")
    if "user" in vector:
        assert decoded.user == vector["user"]
    if "time" in vector:
        assert decoded.device_time == vector["time"]
    if "status" in vector:
        assert decoded.status == frozenset(vector["status"])  # type: ignore[call-overload]


@pytest.mark.parametrize("vector", [v for v in VECTORS if "invalid" in v], ids=lambda v: v["invalid"])
def test_refuses_what_other_projects_refuse(vector: dict[str, object]) -> None:
    with pytest.raises(FrameError, match="expected"):
        decode(bytes.fromhex(str(vector["hex"])))


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["characteristic"] == "2A36"], ids=lambda v: v["hex"])
def test_cuff_pressure_agrees_with_other_projects(vector: dict[str, object]) -> None:
    decoded = decode_cuff_pressure(bytes.fromhex(str(vector["hex"])))
    assert decoded.pressure == with_unit(vector["pressure"], vector["unit"])
    assert decoded.pulse == with_unit(vector["pulse"], "/min")
    assert decoded.status == {"cuff-loose", "pulse-below-range"}  # 18: bits 1 and 4


@pytest.mark.parametrize("vector", [v for v in VECTORS if "quirk" in v], ids=lambda v: v["hex"])
def test_a_quirky_frame_is_refused_where_the_quirk_is_unknown(vector: dict[str, object]) -> None:
    with pytest.raises(FrameError, match="end of the frame"):
        decode(bytes.fromhex(str(vector["hex"])))


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        pytest.param(
            "00 7800 5000 5d00",
            BloodPressure(Quantity(120, "mm[Hg]"), Quantity(80, "mm[Hg]"), Quantity(93, "mm[Hg]")),
            id="plain mmHg",
        ),
        pytest.param(
            "01 a0f0 6bf0 7cf0",
            BloodPressure(Quantity(16.0, "kPa"), Quantity(10.7, "kPa"), Quantity(12.4, "kPa")),
            id="kPa stays kPa",
        ),
        pytest.param("00 ff07 ff07 ff07", BloodPressure(None, None, None), id="a failed measurement has no numbers"),
        pytest.param(
            "0c 7800 5000 ff07 4800 ff",
            BloodPressure(Quantity(120, "mm[Hg]"), Quantity(80, "mm[Hg]"), None, Quantity(72, "/min"), None),
            id="user 255 is unknown",
        ),
        pytest.param(
            "1e 7800 5000 5d00 ea070b160a1e00 4800 01 0400",
            BloodPressure(
                Quantity(120, "mm[Hg]"),
                Quantity(80, "mm[Hg]"),
                Quantity(93, "mm[Hg]"),
                Quantity(72, "/min"),
                1,
                frozenset({"irregular-pulse"}),
                "2026-11-22T10:30:00",
            ),
            id="everything",
        ),
        pytest.param(
            "02 7800 5000 5d00 00000b160a1e00",
            BloodPressure(Quantity(120, "mm[Hg]"), Quantity(80, "mm[Hg]"), Quantity(93, "mm[Hg]")),
            id="a cuff that does not know the year",
        ),
    ],
)
def test_decode(frame: str, expected: BloodPressure) -> None:
    raw = bytes.fromhex(frame)
    decoded = decode(raw)
    assert decoded.raw == raw
    for name in ("systolic", "diastolic", "mean", "pulse", "user", "status", "device_time"):
        assert getattr(decoded, name) == getattr(expected, name), name
    assert decoded.measured == (expected.systolic is not None)


@pytest.mark.parametrize(
    ("bits", "names"), [(1 << 3, "pulse-above-range"), (2 << 3, "pulse-below-range"), (0x20, "improper-position")]
)
def test_status_bits(bits: int, names: str) -> None:
    assert decode(bytes.fromhex("10 7800 5000 5d00") + bits.to_bytes(2, "little")).status == {names}


@pytest.mark.parametrize("bits", [3 << 3, 1 << 6, 1 << 15])
def test_a_status_that_the_specification_does_not_define_is_not_passed_over(bits: int) -> None:
    assert decode(bytes.fromhex("10 7800 5000 5d00") + bits.to_bytes(2, "little")).status == {"unknown-status"}


def test_the_bm85_sends_such_a_status() -> None:
    (vector,) = (v for v in VECTORS if v.get("status_bits") == 64)
    assert decode(bytes.fromhex(str(vector["hex"])), BM85).status == {"unknown-status"}


@pytest.mark.parametrize(
    ("maker", "model", "expected"),
    [
        pytest.param(
            "A&D Medical", "UA-651BLE", CuffQuirk("", True, True, ("pairing-mode-only", "hangs-up")), id="a&d"
        ),
        pytest.param("Beurer", "BM57", PLAIN_CUFF, id="bm57: no deviation known"),
        pytest.param("BEURER GMBH", "bm85", CuffQuirk("beurer-bm85", notes=("user-slots",)), id="bm85"),
        pytest.param("Acme", "UA-651BLE", PLAIN_CUFF, id="another maker"),
    ],
)
def test_quirks_by_maker_and_model(maker: str, model: str, expected: CuffQuirk) -> None:
    assert cuff_quirk(Device("bp-gatt", maker, model, firmware="1.0")) == expected


def test_every_row_of_quirks_has_a_source_and_words() -> None:
    for row in rows()["bp"]:
        assert len(row["source"]) > 20
        assert all(f"cuff_note.{note}" in catalogue("zh_CN") for note in row.get("notes", ()))


@pytest.mark.parametrize("length", range(len(FULL)))
def test_truncated_frame_is_refused(length: int) -> None:
    with pytest.raises(FrameError, match="expected"):
        decode(FULL[:length])


@pytest.mark.parametrize(
    "moment", ["ea070d160a1e00", "ea070b1e191e00", "ea07021e0a1e00"], ids=["month 13", "hour 25", "30 February"]
)
def test_a_time_that_does_not_exist_is_refused(moment: str) -> None:
    with pytest.raises(FrameError, match="exist"):
        decode(bytes.fromhex("02 7800 5000 5d00" + moment))


@pytest.mark.parametrize("quirk", [PLAIN_CUFF, BM85], ids=["plain", "bm85"])
@given(frame=st.binary(max_size=40))
def test_any_bytes_decode_or_raise_frame_error(quirk: CuffQuirk, frame: bytes, decoded_or_refused: "Decoded") -> None:
    decoded_or_refused(partial(decode, quirk=quirk), frame)
    decoded_or_refused(decode_cuff_pressure, frame)


def test_a_result_without_time_has_no_key() -> None:
    assert decode(bytes.fromhex("00 7800 5000 5d00")).device_key is None
    assert decode(FULL).device_key != decode(bytes([*FULL[:-1], 1])).device_key
