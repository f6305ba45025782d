"""Scale frames against other people's captures and tests."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao.drivers.quirks import PLAIN_SCALE, ScaleQuirk, scale_quirk
from zhenbao.drivers.scale.codec import Weight, decode
from zhenbao.model.errors import FrameError
from zhenbao.model.observation import Device
from zhenbao.model.quantity import Quantity

if TYPE_CHECKING:
    from tests.drivers.conftest import Decoded

FILE = Path(__file__).parents[1] / "vectors" / "weight_gatt.toml"
VECTORS = tomllib.loads(FILE.read_text(encoding="utf-8"))["vector"]
UC352 = scale_quirk(Device("scale-gatt", "A&D Medical", "UC-352BLE"))
FULL = bytes.fromhex("0e 7440 ea070715062d00 03 2c01 a506")


def quirk_of(vector: dict[str, object]) -> ScaleQuirk:
    return UC352 if vector.get("quirk") == "and-uc352ble" else PLAIN_SCALE


@pytest.mark.parametrize("vector", [v for v in VECTORS if "invalid" not in v], ids=lambda v: v["hex"])
def test_agrees_with_other_projects(vector: dict[str, object]) -> None:
    decoded = decode(bytes.fromhex(str(vector["hex"])), quirk_of(vector))
    if vector.get("failed"):
        assert decoded.weight is None
        return
    assert decoded.weight == Quantity(float(str(vector["weight"])), str(vector["unit"]))
    assert decoded.device_time == vector.get("time")
    assert decoded.user == vector.get("user")


@pytest.mark.parametrize("vector", [v for v in VECTORS if "invalid" in v], ids=lambda v: v["invalid"])
def test_frames_against_the_specification_are_refused(vector: dict[str, object]) -> None:
    with pytest.raises(FrameError, match="expected"):
        decode(bytes.fromhex(str(vector["hex"])))


def test_the_quirk_is_of_one_product_and_of_pounds_only() -> None:
    assert scale_quirk(Device("scale-gatt", "A&D", "UC-411PBT-C")) == PLAIN_SCALE
    assert decode(bytes.fromhex("01b002")).weight == Quantity(6.88, "[lb_av]")
    assert decode(bytes.fromhex("00b036"), UC352).weight == Quantity(70.0, "kg")


def test_all_fields() -> None:
    # 0x012c = 300 tenths, 0x06a5 = 1701 mm
    body = (Quantity(30.0, "kg/m2"), Quantity(1.701, "m"))
    assert decode(FULL) == Weight(Quantity(82.5, "kg"), 3, *body, "2026-07-21T06:45:00", FULL)
    inches = decode(bytes.fromhex("09 543d f500 a802"))
    assert (inches.bmi, inches.height) == (Quantity(24.5, "kg/m2"), Quantity(68.0, "[in_i]"))


def test_user_255_is_nobody() -> None:
    assert decode(bytes.fromhex("04 b036 ff")).user is None


@pytest.mark.parametrize("frame", ["01ffff", "06 ffff ea070715062d00 01"])
def test_an_unsuccessful_weighing_has_no_weight(frame: str) -> None:
    assert decode(bytes.fromhex(frame), UC352).weight is None


@pytest.mark.parametrize("length", range(len(FULL)))
def test_a_truncated_frame_is_refused(length: int) -> None:
    with pytest.raises(FrameError, match="expected"):
        decode(FULL[:length])


@given(frame=st.binary(max_size=20))
def test_any_bytes_decode_or_raise_frame_error(frame: bytes, decoded_or_refused: "Decoded") -> None:
    decoded_or_refused(decode, frame)
