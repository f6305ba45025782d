"""Thermometer frames against other people's tests, and every special number."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao.drivers.thermometer.codec import Temperature, decode, decode_site
from zhenbao.model.errors import FrameError
from zhenbao.model.observation import Device
from zhenbao.model.quantity import Quantity

if TYPE_CHECKING:
    from tests.drivers.conftest import Decoded

FILE = Path(__file__).parents[1] / "vectors" / "temperature_gatt.toml"
VECTORS = tomllib.loads(FILE.read_text(encoding="utf-8"))["vector"]
# The frame that Nordic's tests refuse, with its missing byte: 37.60 Cel, in the ear.
FULL = bytes.fromhex("06 b00e00fe dc070c050b321b 03")


@pytest.mark.parametrize("vector", [v for v in VECTORS if "invalid" not in v], ids=lambda v: v["hex"])
def test_agrees_with_other_projects(vector: dict[str, object]) -> None:
    decoded = decode(bytes.fromhex(str(vector["hex"])))
    if vector.get("failed"):
        assert decoded.temperature is None
        return
    assert decoded.temperature == Quantity(float(str(vector["temperature"])), str(vector["unit"]))
    assert decoded.device_time == vector.get("time")
    assert decoded.site == vector.get("site")


@pytest.mark.parametrize("vector", [v for v in VECTORS if "invalid" in v], ids=lambda v: v["invalid"])
def test_refuses_what_other_projects_refuse(vector: dict[str, object]) -> None:
    with pytest.raises(FrameError, match="temperature type"):
        decode(bytes.fromhex(str(vector["hex"])))


def test_all_fields() -> None:
    assert decode(FULL) == Temperature(Quantity(37.6, "Cel"), "ear", "2012-12-05T11:50:27", FULL)


@pytest.mark.parametrize("special", ["ffff7f00", "00008000", "feff7f00", "02008000", "01008000", "ffff7fff"])
def test_a_special_number_is_no_temperature(special: str) -> None:
    """NaN, NRes, the infinities, reserved, and a NaN with an exponent (IEEE 11073-20601)."""
    assert decode(bytes.fromhex("00" + special)).temperature is None


def test_a_number_beyond_all_sense_is_damage() -> None:
    with pytest.raises(FrameError, match="million"):
        decode(bytes.fromhex("00 01020304"))  # 197121e4, a vector of weliem/blessed-android


@pytest.mark.parametrize("length", range(len(FULL)))
def test_a_truncated_frame_is_refused(length: int) -> None:
    with pytest.raises(FrameError, match="expected"):
        decode(FULL[:length])


def test_bytes_that_no_flag_announces_are_refused() -> None:
    with pytest.raises(FrameError, match="end of the frame"):
        decode(FULL + b"\0")


def test_a_time_that_does_not_exist_is_refused_and_an_unknown_one_is_none() -> None:
    with pytest.raises(FrameError, match="date and time"):
        decode(bytes.fromhex("02 740100ff ea070d010a1e05"))
    assert decode(bytes.fromhex("02 740100ff 00000000000000")).device_time is None


@pytest.mark.parametrize(("byte", "site"), [(1, "armpit"), (6, "mouth"), (9, "tympanum"), (0, None), (10, None)])
def test_the_place_of_measurement(byte: int, site: str | None) -> None:
    assert decode(bytes([0x04, 0x74, 0x01, 0x00, 0xFF, byte])).site == site
    assert decode_site(bytes([byte])) == site


@pytest.mark.parametrize("frame", [b"", b"\x01\x02"])
def test_a_place_is_one_byte(frame: bytes) -> None:
    with pytest.raises(FrameError):
        decode_site(frame)


def test_what_names_a_result() -> None:
    known = Temperature(None, device_time="2026-11-22T10:30:00", raw=b"\1", device=Device("x", serial="S1"))
    assert known.device_key is not None
    assert known.device_key.startswith("S1|2026-11-22T10:30:00|")
    assert Temperature(None, raw=b"\1").device_key is None


@given(frame=st.binary(max_size=20))
def test_any_bytes_decode_or_raise_frame_error(frame: bytes, decoded_or_refused: "Decoded") -> None:
    decoded_or_refused(decode, frame)
    decoded_or_refused(decode_site, frame)
