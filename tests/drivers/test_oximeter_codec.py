"""Oximeter frames against other people's tests and the layouts that they tell."""

import contextlib
import itertools
import random
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao.drivers.oximeter import cms50d_plus, nonin, plx
from zhenbao.drivers.oximeter.reading import REASONS, Oximetry
from zhenbao.model.errors import FrameError
from zhenbao.model.quantity import Quantity

VECTORS: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parents[1] / "vectors" / "oximeters.toml").read_text(encoding="utf-8")
)["vector"]
DECODERS = {"2A5E": plx.decode_spot, "2A5F": plx.decode_continuous, "nonin": nonin.decode}
SPOT = bytes.fromhex("0facf3bef5e8070b1d1708392040220000 66e3")
CONTINUOUS = bytes.fromhex("1fdef3caf3caf35af5d4f3b2f220010000007ae3")
LAYOUT_OF_FIVE = bytes.fromhex("c640083f62")


def of(*kinds: str) -> list[Any]:
    return [pytest.param(v, id=f"{v['kind']} {v['hex']}") for v in VECTORS if v["kind"] in kinds and "invalid" not in v]


@pytest.mark.parametrize("vector", of("2A5E", "2A5F", "nonin"))
def test_agrees_with_other_projects(vector: dict[str, Any]) -> None:
    decoded = DECODERS[vector["kind"]](bytes.fromhex(vector["hex"]))
    for name, unit in (("spo2", "%"), ("pulse", "/min"), ("perfusion", "%")):
        if name in vector:
            assert getattr(decoded, name) == Quantity(vector[name], unit)
        if name in vector.get("absent", ()):
            assert getattr(decoded, name) is None
    assert decoded.status == frozenset(vector.get("status", ()))
    assert decoded.device_time == vector.get("time")
    assert decoded.reason == vector.get("reason")
    assert decoded.spot == vector.get("spot", vector["kind"] == "2A5E")


@pytest.mark.parametrize("vector", of("2A60"))
def test_features_agree_with_another_project(vector: dict[str, Any]) -> None:
    features = plx.decode_features(bytes.fromhex(vector["hex"]))
    assert features.supported == frozenset(vector["features"])
    assert features.measurement_status == frozenset(vector["measurement_status"])
    assert features.sensor_status == frozenset(vector["sensor_status"])


@pytest.mark.parametrize("vector", [v for v in VECTORS if "invalid" in v], ids=lambda v: v["invalid"])
def test_refuses_what_other_projects_refuse(vector: dict[str, Any]) -> None:
    with pytest.raises(FrameError, match="expected"):
        DECODERS[vector["kind"]](bytes.fromhex(vector["hex"]))


@pytest.mark.parametrize("length", range(len(SPOT)))
def test_a_truncated_spot_check_is_refused(length: int) -> None:
    with pytest.raises(FrameError, match="expected"):
        plx.decode_spot(SPOT[:length])


@pytest.mark.parametrize("length", range(len(CONTINUOUS)))
def test_a_truncated_moment_is_refused(length: int) -> None:
    with pytest.raises(FrameError, match="expected"):
        plx.decode_continuous(CONTINUOUS[:length])


@pytest.mark.parametrize("raw", ["ff07", "0008", "fe07", "0208", "0108"], ids=["NaN", "NRes", "+INF", "-INF", "other"])
def test_special_values_are_never_numbers(raw: str) -> None:
    for frame in (f"00 {raw} 4800", f"00 6100 {raw}", f"10 6100 4800 {raw}"):
        decoded = plx.decode_continuous(bytes.fromhex(frame))
        assert None in (decoded.spo2, decoded.pulse, decoded.perfusion)
        assert all(q is None or 0 < q.value <= 100 for q in (decoded.spo2, decoded.pulse, decoded.perfusion))


@pytest.mark.parametrize(
    ("bits", "reason"),
    [
        (1 << 5, "measurement-ongoing"),
        (1 << 6, "early-estimate"),
        (1 << 7, None),
        (1 << 8, None),
        (1 << 10, "demo-data"),
        (1 << 11, "test-data"),
        (1 << 12, "calibrating"),
        (1 << 13, "unavailable"),
        (1 << 14, "questionable"),
        (1 << 15, "invalid"),
    ],
)
def test_what_a_measurement_status_forbids(bits: int, reason: str | None) -> None:
    frame = bytes.fromhex("02 6100 4800") + bits.to_bytes(2, "little")
    assert plx.decode_spot(frame).reason == reason


@pytest.mark.parametrize("bit", range(1, 16))
def test_every_fault_of_the_sensor_forbids_the_number(bit: int) -> None:
    frame = bytes.fromhex("04 6100 4800") + (1 << bit).to_bytes(3, "little")
    assert plx.decode_spot(frame).reason == plx.SENSOR_STATUS[bit]


def test_a_display_that_updates_and_reserved_bits_forbid_nothing() -> None:
    assert plx.decode_spot(bytes.fromhex("04 6100 4800 0100ff")).reason is None


def test_a_stream_is_ongoing_by_nature() -> None:
    assert plx.decode_continuous(bytes.fromhex("04 6100 4800 2000")).reason is None


def test_the_time_of_a_clock_that_was_never_set_is_none() -> None:
    frame = bytes.fromhex("11 6200 4000 e8070b1d170839")
    assert plx.decode_spot(frame).device_time is None
    assert plx.decode_spot(bytes([0x01, *frame[1:]])).device_time == "2024-11-29T23:08:57"


@pytest.mark.parametrize(("spo2", "pulse"), [("6500", "4800"), ("0000", "4800"), ("6100", "0000"), ("9c0f", "4800")])
def test_what_no_person_can_have_is_no_reading(spo2: str, pulse: str) -> None:
    assert plx.decode_continuous(bytes.fromhex(f"00 {spo2} {pulse}")).reason == "out-of-range"


def test_a_saturation_without_a_pulse_is_not_believed() -> None:
    assert plx.decode_continuous(bytes.fromhex("00 6100 ff07")).reason == "no-pulse"


@pytest.mark.parametrize("frame", ["0b151e01f4000162003c", "0a151e01f4000162003c00", "0a151e01f40001620", ""])
def test_a_nonin_message_of_another_length_is_refused(frame: str) -> None:
    with pytest.raises(FrameError, match="expected"):
        nonin.decode(bytes.fromhex(frame if len(frame) % 2 == 0 else frame[:-1]))


@pytest.mark.parametrize("vector", of("cms50d+"))
def test_a_serial_packet_agrees_with_another_project(vector: dict[str, Any]) -> None:
    (packet,) = cms50d_plus.Decoder().feed(bytes.fromhex(vector["hex"]))
    assert (packet.spo2_percent, packet.pulse_per_min) == (vector["spo2"], vector["pulse"])
    assert (packet.bar, packet.signal, packet.pleth) == (vector["bar"], vector["signal"], vector["pleth"])
    assert packet.status == frozenset()


@pytest.mark.parametrize(
    ("packet", "status", "pulse", "spo2"),
    [
        ("d640083f62", {"sensor-off"}, 63, 98),
        ("c640183f62", {"sensor-malfunction"}, 63, 98),
        ("c640283f62", {"searching"}, 63, 98),
        ("c640480562", set(), 133, 98),
        ("c640487f7f", set(), None, None),
        ("c640080000", set(), None, None),
    ],
    ids=["finger out", "probe error", "searching", "pulse above 127", "all ones", "zero"],
)
def test_bits_of_a_serial_packet(packet: str, status: set[str], pulse: int | None, spo2: int | None) -> None:
    (decoded,) = cms50d_plus.Decoder().feed(bytes.fromhex(packet))
    assert (decoded.status, decoded.pulse_per_min, decoded.spo2_percent) == (frozenset(status), pulse, spo2)


@given(cuts=st.lists(st.integers(0, 50), max_size=6))
def test_chunking_never_matters(cuts: list[int]) -> None:
    stream = bytes.fromhex("d640083f62 c640083f61 c641083f60") * 3
    edges = [0, *sorted(cuts), len(stream)]
    decoder = cms50d_plus.Decoder()
    pieces = [p for a, b in itertools.pairwise(edges) for p in decoder.feed(stream[a:b])]
    assert pieces == list(cms50d_plus.Decoder().feed(stream))
    assert (len(pieces), decoder.damaged) == (9, 0)


def test_a_lost_byte_costs_one_packet_and_is_counted() -> None:
    stream = LAYOUT_OF_FIVE * 3
    decoder = cms50d_plus.Decoder()
    assert len(list(decoder.feed(stream[:7] + stream[8:]))) == 2
    assert decoder.damaged == 1


def second(*saturations: int) -> Oximetry:
    raw = b"".join(bytes([0xC6, 64, 8, 63, s]) for s in saturations)
    return cms50d_plus.reading(list(cms50d_plus.Decoder().feed(raw)))


def test_a_second_is_what_most_of_its_packets_say() -> None:
    assert second(*[97] * 50, *[12] * 10).spo2 == Quantity(97, "%")
    assert second(*[97] * 50, *[12] * 10).reason is None
    assert second(*[97] * 31, *[98] * 29).spo2 == Quantity(97, "%")
    assert second(*range(70, 100), *range(70, 100)).reason == "erratic-signal"
    assert second(*[97] * 29, *[127] * 31).reason == "no-saturation"


def test_a_cable_that_damages_one_byte_in_a_hundred_tells_no_wrong_saturation() -> None:
    chance = random.Random(7)
    decoder = cms50d_plus.Decoder()
    sent = bytearray(bytes([0xC6, 64, 8, 63, 96]) * 60 * 60)
    for at in range(len(sent)):
        if chance.random() < 0.01:
            sent[at] ^= 1 << chance.randrange(8)
    packets = list(decoder.feed(bytes(sent)))
    readings = [cms50d_plus.reading(packets[n : n + 60]) for n in range(0, len(packets) - 59, 60)]
    assert len(readings) > 50
    assert decoder.damaged > 10
    assert {(r.spo2, r.pulse, r.reason) for r in readings} == {(Quantity(96, "%"), Quantity(63, "/min"), None)}


def test_no_packets_are_no_reading() -> None:
    with pytest.raises(ValueError, match="packets"):
        cms50d_plus.reading([])


@given(frame=st.binary(max_size=40))
def test_any_bytes_decode_or_raise_frame_error(frame: bytes) -> None:
    for decode in (*DECODERS.values(), plx.decode_features):
        with contextlib.suppress(FrameError):
            decoded = decode(frame)
            assert not isinstance(decoded, Oximetry) or decoded.reason in (
                None,
                *REASONS,
                "measurement-ongoing",
                "no-saturation",
                "no-pulse",
                "out-of-range",
            )
    if packets := list(cms50d_plus.Decoder().feed(frame)):
        assert cms50d_plus.reading(packets).raw == packets[-1].raw


def test_a_finished_result_is_named_by_its_time_and_bytes() -> None:
    assert plx.decode_spot(bytes.fromhex("00 6100 4800")).device_key is None
    assert plx.decode_continuous(CONTINUOUS).device_key is None
    one = plx.decode_spot(bytes.fromhex("01 6100 4800 e8070b1d170839"))
    other = plx.decode_spot(bytes.fromhex("01 6200 4800 e8070b1d170839"))
    assert one.device_key is not None
    assert one.device_key != other.device_key
