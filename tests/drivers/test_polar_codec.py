"""Frames of a Polar H10 against other people's captures and tests."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao.drivers.polar import codec
from zhenbao.drivers.polar.codec import EcgFrame
from zhenbao.drivers.polar.heart_rate import decode_heart_rate
from zhenbao.drivers.polar.placing import Placement
from zhenbao.model.errors import FrameError

if TYPE_CHECKING:
    from tests.drivers.conftest import Decoded

VECTORS = tomllib.loads((Path(__file__).parents[1] / "vectors" / "polar_h10.toml").read_text(encoding="utf-8"))
REAL = [v for v in VECTORS["ecg"] if "REAL" in v["origin"]]


def whole(vector: dict[str, Any]) -> bytes:
    """The notification in its true length; the samples that nobody wrote down are zeros."""
    head = bytes.fromhex(vector["head"])
    return head + bytes(vector["length"] - len(head))


@pytest.mark.parametrize("vector", VECTORS["control"], ids=lambda v: v["hex"])
def test_answers_agree_with_a_real_strap(vector: dict[str, Any]) -> None:
    answer = codec.decode_answer(bytes.fromhex(vector["hex"]))
    assert answer.status == vector["status"]
    assert answer.answers(codec.GET_SETTINGS, codec.ECG)
    if "rate_hz" in vector:
        choices = codec.decode_settings(answer.parameters)
        assert choices == {codec.RATE: (vector["rate_hz"],), codec.RESOLUTION: (vector["resolution_bits"],)}


def test_requests_are_those_of_the_documents() -> None:
    assert codec.settings_request() == bytes.fromhex("01 00")
    assert codec.start_request(130, 14) == bytes.fromhex("02 00 00 01 82 00 01 01 0e 00")
    assert codec.stop_request() == bytes.fromhex(VECTORS["request"][0]["hex"])


@pytest.mark.parametrize("vector", VECTORS["ecg"], ids=lambda v: v["head"])
def test_ecg_agrees_with_other_projects(vector: dict[str, Any]) -> None:
    frame = codec.decode_ecg(whole(vector))
    assert frame.timestamp_ns == vector["timestamp_ns"]
    assert len(frame.microvolts) == vector["samples"]
    assert list(frame.microvolts[: len(vector["first_uv"])]) == vector["first_uv"]


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        pytest.param("02" + "00" * 9 + "000000", "ECG", id="acceleration"),
        pytest.param("00" + "00" * 8 + "80" + "000000", "frame type 00", id="packed differences"),
        pytest.param("00" + "00" * 8 + "00" + "0000", "3 bytes each", id="a sample cut off"),
        pytest.param("00" + "00" * 8 + "00", "3 bytes each", id="no sample"),
        pytest.param("00" + "00" * 5, "time stamp", id="no time"),
    ],
)
def test_a_frame_that_is_not_known_is_refused(frame: str, expected: str) -> None:
    with pytest.raises(FrameError) as refused:
        codec.decode_ecg(bytes.fromhex(frame))
    assert expected in refused.value.expected


@pytest.mark.parametrize("value", ["", "f0", "f001", "f00100", "0f05", "f001000001"])
def test_an_answer_that_is_cut_off_or_goes_on_is_refused(value: str) -> None:
    with pytest.raises(FrameError):
        codec.decode_answer(bytes.fromhex(value))


def test_features_name_the_measurements() -> None:
    assert codec.decode_features(bytes.fromhex("0f05 00")) == {0, 2}
    with pytest.raises(FrameError):
        codec.decode_features(bytes.fromhex("f005"))


def test_a_setting_that_stands_twice_is_refused() -> None:
    with pytest.raises(FrameError):
        codec.decode_settings(bytes.fromhex("0001 8200 0001 fa00"))


@pytest.mark.parametrize("vector", VECTORS["heart_rate"], ids=lambda v: v["hex"])
def test_heart_rate_agrees_with_other_projects(vector: dict[str, Any]) -> None:
    beats = decode_heart_rate(bytes.fromhex(vector["hex"]))
    assert beats.rate_bpm == vector.get("rate_bpm")
    assert beats.contact == vector["contact"]
    assert beats.energy_kj == vector.get("energy_kj")
    assert list(beats.rr_1024) == vector.get("rr_1024", [])
    if "rr_ms" in vector:
        assert [1000 * s for s in beats.rr_s] == pytest.approx(vector["rr_ms"], abs=0.05)


def test_without_skin_contact_there_is_neither_rate_nor_interval() -> None:
    """The bytes of the real strap, with the contact bit taken away."""
    beats = decode_heart_rate(bytes.fromhex("143cf503"))
    assert (beats.rate_bpm, beats.contact, beats.rr_s) == (None, False, ())


@pytest.mark.parametrize("value", ["", "01", "013c", "083c", "103c01", "003c00"])
def test_a_heart_rate_that_is_cut_off_or_too_long_is_refused(value: str) -> None:
    with pytest.raises(FrameError):
        decode_heart_rate(bytes.fromhex(value))


@given(value=st.binary(max_size=40))
def test_any_bytes_decode_or_raise_frame_error(value: bytes, decoded_or_refused: "Decoded") -> None:
    for decode in (
        codec.decode_features,
        codec.decode_answer,
        codec.decode_settings,
        codec.decode_ecg,
        decode_heart_rate,
    ):
        decoded_or_refused(decode, value)


def test_five_real_frames_apart_are_four_lost_ones() -> None:
    """The real strap's two stamps are 2.804 s apart: 365 samples, at 130.17 per second and not 130."""
    placement = Placement(130.0)
    first, later = (codec.decode_ecg(whole(vector)) for vector in REAL)
    assert placement.place(first) == 0
    assert placement.place(later) == 5 * 73
    assert placement.next_sample == 6 * 73


def frames(count: int, rate_hz: float) -> list[EcgFrame]:
    return [EcgFrame(10**9 + round((k + 1) * 73 / rate_hz * 1e9), (0,) * 73) for k in range(count)]


@given(st.sets(st.integers(0, 52), max_size=20), st.floats(129.0, 131.0), st.lists(st.integers(-20, 20), min_size=53))
def test_frames_keep_their_place_whatever_is_lost(lost: set[int], rate_hz: float, jitter_ms: list[int]) -> None:
    placement = Placement(130.0)
    kept = [k for k in range(53) if k not in lost]
    sent = frames(53, rate_hz)
    for k in kept:
        stamp = sent[k].timestamp_ns + jitter_ms[k] * 1_000_000
        place = placement.place(EcgFrame(stamp, sent[k].microvolts))
        assert place is not None
        # A quarter of a beat's sharpest part at most, over half a minute with frames lost anywhere.
        assert abs(place - 73 * (k - kept[0])) <= 3 + 6 * len(lost)


def test_frames_that_come_again_or_from_another_time_are_left_out() -> None:
    placement = Placement(130.0)
    one, two, three = frames(3, 130.0)
    assert [placement.place(f) for f in (one, two, two, one, three)] == [0, 73, None, None, 146]
    assert placement.place(EcgFrame(three.timestamp_ns + 10**12, (0,) * 73)) is None
    assert placement.refused == 3
