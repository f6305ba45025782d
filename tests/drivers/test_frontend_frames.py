"""The front-end's framing: bytes put together here from the document's offsets, not with our encoder."""

import contextlib
import itertools
import struct
import tomllib
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zhenbao.drivers.frontend.frame import MAX_FRAME, Decoder, Frame, encode
from zhenbao.drivers.frontend.messages import (
    Ack,
    Config,
    EcgSamples,
    End,
    EndReason,
    FlowSamples,
    Identity,
    Result,
    SettingsBlock,
    Status,
    Stream,
    StreamHead,
    decode,
)
from zhenbao.drivers.frontend.settings import decode_block
from zhenbao.model.errors import FrameError, InputError

EXAMPLES = tomllib.loads((Path(__file__).parents[1] / "vectors" / "front_end.toml").read_text(encoding="utf-8"))[
    "frame"
]


def by_hand(type_: int, payload: bytes = b"", *, sequence: int = 0, time_us: int = 0) -> bytes:
    """Section 1 of the document, field by field."""
    body = (
        struct.pack("<B", type_)  # offset 2
        + struct.pack("<H", len(payload))  # 3
        + struct.pack("<H", sequence)  # 5
        + struct.pack("<Q", time_us)  # 7
        + payload  # 15
    )
    return b"\xa5\x5a" + body + struct.pack("<I", zlib.crc32(body))


def feed(*chunks: bytes) -> tuple[list[Frame], Decoder]:
    decoder = Decoder()
    return [frame for chunk in chunks for frame in decoder.feed(chunk)], decoder


STREAM_OF_THREE = (
    by_hand(6, b"\0\0\x81\0", sequence=1, time_us=5) + by_hand(8, b"\xff\0\0") + by_hand(5, b"\1\0\x88\x13\0\0")
)
THREE = [Frame(6, 1, 5, b"\0\0\x81\0"), Frame(8, 0, 0, b"\xff\0\0"), Frame(5, 0, 0, b"\1\0\x88\x13\0\0")]


def test_the_check_value_of_the_sum() -> None:
    assert zlib.crc32(b"123456789") == 0xCBF43926


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e["what"])
def test_the_documents_examples(example: dict[str, object]) -> None:
    raw = bytes.fromhex(str(example["hex"]))
    payload = bytes.fromhex(str(example["payload"]))
    frame = Frame(int(str(example["type"])), int(str(example["sequence"])), int(str(example["time_us"])), payload)
    assert encode(frame) == raw
    assert feed(raw)[0] == [frame]


def test_encoding_is_by_the_document() -> None:
    payload = bytes(range(256)) * 4
    assert encode(Frame(0x84, 0xFFFF, 0, payload)) == by_hand(0x84, payload, sequence=0xFFFF)
    with pytest.raises(ValueError, match="1025"):
        encode(Frame(0x84, 0, 0, bytes(1025)))


def test_split_anywhere() -> None:
    for cut in range(len(STREAM_OF_THREE) + 1):
        assert feed(STREAM_OF_THREE[:cut], STREAM_OF_THREE[cut:])[0] == THREE


@given(st.lists(st.integers(0, len(STREAM_OF_THREE))))
def test_chunking_never_matters(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM_OF_THREE)]
    frames, decoder = feed(*(STREAM_OF_THREE[a:b] for a, b in itertools.pairwise(edges)))
    assert frames == THREE
    assert (decoder.bad_sums, decoder.bad_lengths, decoder.dropped_bytes) == (0, 0, 0)


def test_garbage_between_frames_is_dropped_and_counted() -> None:
    first, second = by_hand(8, b"\xff\0\0"), by_hand(8, b"\x32\0\0", sequence=1)
    frames, decoder = feed(b"\x00\xa5\xa5\x5b", first, b"garbage", second)
    assert [f.payload[0] for f in frames] == [255, 50]
    assert decoder.dropped_bytes == 4 + 7


def test_a_false_sync_mark_before_a_frame_costs_nothing_but_its_bytes() -> None:
    frames, decoder = feed(b"\xa5\x5a\x08\x03\x00" + STREAM_OF_THREE + by_hand(8, b"\1\0\0") * 2)
    assert frames[:3] == THREE
    assert decoder.bad_sums >= 1


def test_sync_bytes_inside_a_payload_are_payload() -> None:
    payload = b"\xa5\x5a" * 100
    assert feed(by_hand(3, payload))[0] == [Frame(3, 0, 0, payload)]


def test_a_wrong_sum_costs_one_frame() -> None:
    for position in range(len(by_hand(8, b"\xff\0\0"))):
        damaged = bytearray(by_hand(8, b"\xff\0\0", sequence=1))
        damaged[position] ^= 0x10
        decoder = Decoder()
        frames = [*decoder.feed(bytes(damaged) + by_hand(8, b"\1\0\0", sequence=2) * 2), *decoder.flush()]
        assert [f.sequence for f in frames] == [2, 2], position
        assert decoder.dropped_bytes == len(damaged)


def test_a_length_above_1024_is_damage_at_once() -> None:
    frames, decoder = feed(b"\xa5\x5a\x03\x01\x04" + bytes(10) + by_hand(8, b"\1\0\0"))
    assert [f.type for f in frames] == [8]
    assert (decoder.bad_lengths, decoder.dropped_bytes) == (1, 15)
    longest = by_hand(3, bytes(1024))
    assert len(longest) == MAX_FRAME == 1043
    assert feed(longest)[0] == [Frame(3, 0, 0, bytes(1024))]


def test_frames_behind_a_damaged_length_are_found_when_the_line_is_silent() -> None:
    damaged = bytearray(by_hand(8, b"\xff\0\0"))
    damaged[3:5] = struct.pack("<H", 1000)  # now it waits for 1000 bytes that never come
    decoder = Decoder()
    assert list(decoder.feed(bytes(damaged) + STREAM_OF_THREE)) == []
    assert list(decoder.flush()) == THREE
    assert decoder.held_bytes == 0


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=200) | st.sampled_from([b"\xa5\x5a", b"\xa5\x5a\x03\x00\x04", STREAM_OF_THREE])))
def test_any_bytes_any_chunks_never_fail_and_memory_is_bounded(chunks: list[bytes]) -> None:
    decoder = Decoder()
    frames = []
    for chunk in chunks:
        frames += decoder.feed(chunk)
        assert decoder.held_bytes < MAX_FRAME
    together = Decoder()
    assert list(together.feed(b"".join(chunks))) == frames
    sizes = sum(19 + len(frame.payload) for frame in frames)
    assert sizes + decoder.dropped_bytes + decoder.held_bytes == sum(map(len, chunks))


def test_a_burst_of_a_megabyte_is_decoded_in_bounded_memory() -> None:
    one = by_hand(3, bytes(500))
    decoder = Decoder()
    count = sum(1 for _ in decoder.feed(one * 2000))
    assert (count, decoder.held_bytes) == (2000, 0)


# Payloads, field by field from sections 3 and 5 of the document.

TEXT = b"Acme".ljust(16, b"\0") + b"FE-12".ljust(16, b"\0") + b"00017".ljust(16, b"\0") + b"1.0.3".ljust(16, b"\0")
HEAD_ECG = struct.pack("<BHBIHH", 1, 500, 12, 2500, 50, 150)
HEAD_FLOW = struct.pack("<BHBIHH", 2, 100, 1, 1000, 0, 0) + struct.pack("<BhIH", 0, 2350, 101325, 4050)
BLOCK_BODY = (
    struct.pack("<BBHH", 1, 50, 500, 100) + b"zh-CN\0\0\0" + b"999999001001" + "示范村".encode().ljust(54, b"\0")
)
BLOCK = BLOCK_BODY + struct.pack("<I", zlib.crc32(BLOCK_BODY))
SETTINGS = SettingsBlock(50, 500, 100, "zh-CN", "999999001001", "示范村")
SAMPLES = struct.pack("<24h", *range(24))


@pytest.mark.parametrize(
    ("type_", "payload", "message"),
    [
        pytest.param(1, b"\1\3" + TEXT, Identity(1, True, True, "Acme", "FE-12", "00017", "1.0.3"), id="identity"),
        pytest.param(2, HEAD_ECG, StreamHead(Stream.ECG, 500, 12, 0.0025, 0.05, 150.0), id="ECG head, 2.5 uV, 0.05 Hz"),
        pytest.param(
            2,
            struct.pack("<BHBIHH", 1, 500, 12, 2500, 65535, 0),
            StreamHead(Stream.ECG, 500, 12, 0.0025, None, None),
            id="ECG head, filters unknown",
        ),
        pytest.param(
            2,
            HEAD_FLOW,
            StreamHead(Stream.FLOW, 100, 1, 0.001, 0.0, None, False, 23.5, 101325, 40.5),
            id="flow head, not BTPS",
        ),
        pytest.param(
            3,
            struct.pack("<IBHH", 1000, 2, 0b1000010001, 0b100) + SAMPLES,
            EcgSamples(1000, SAMPLES, frozenset({"RA", "V1", "V6"}), frozenset({"III"})),
            id="ECG samples",
        ),
        pytest.param(
            4, struct.pack("<IB3h", 7, 3, -1, 0, 1), FlowSamples(7, struct.pack("<3h", -1, 0, 1)), id="flow samples"
        ),
        pytest.param(5, struct.pack("<BBI", 1, 3, 5000), End(Stream.ECG, EndReason.BATTERY_LOW, 5000), id="end"),
        pytest.param(6, struct.pack("<HBB", 513, 0x82, 3), Ack(513, 0x82, Result.BUSY), id="ack"),
        pytest.param(7, struct.pack("<I", 9) + BLOCK, Config(9, SETTINGS), id="config"),
        pytest.param(8, bytes([255, 0, 2]), Status(None, 0, 2), id="status on mains"),
        pytest.param(8, bytes([80, 1, 0]), Status(80, 1, 0), id="status on battery"),
    ],
)
def test_payloads(type_: int, payload: bytes, message: object) -> None:
    assert decode(Frame(type_, 0, 0, payload)) == message
    for length in range(len(payload)):
        with pytest.raises(FrameError, match="expected"):
            decode(Frame(type_, 0, 0, payload[:length]))
    with pytest.raises(FrameError, match="end of the frame"):
        decode(Frame(type_, 0, 0, payload + b"\0"))


@pytest.mark.parametrize(
    ("type_", "payload"),
    [
        pytest.param(2, struct.pack("<BHBIHH", 3, 500, 12, 2500, 50, 150), id="stream 3"),
        pytest.param(2, struct.pack("<BHBIHH", 1, 500, 8, 2500, 50, 150), id="eight leads"),
        pytest.param(2, struct.pack("<BHBIHH", 1, 0, 12, 2500, 50, 150), id="rate 0"),
        pytest.param(3, struct.pack("<IBHH", 0, 0, 0, 0), id="no sample"),
        pytest.param(3, struct.pack("<IBHH", 0, 41, 0, 0) + bytes(41 * 24), id="41 samples"),
        pytest.param(3, struct.pack("<IBHH", 0, 1, 1 << 10, 0) + bytes(24), id="electrode 10"),
        pytest.param(3, struct.pack("<IBHH", 0, 1, 0, 1 << 12) + bytes(24), id="lead 12"),
        pytest.param(4, struct.pack("<IB", 0, 101) + bytes(202), id="101 samples"),
        pytest.param(5, struct.pack("<BBI", 1, 4, 0), id="reason 4"),
        pytest.param(6, struct.pack("<HBB", 0, 0x82, 7), id="result 7"),
        pytest.param(8, bytes([101, 0, 0]), id="battery 101"),
        pytest.param(8, bytes([50, 3, 0]), id="state 3"),
        pytest.param(1, b"\1\3" + b"\xff" * 64, id="text that is none"),
    ],
)
def test_what_the_document_does_not_allow_is_refused(type_: int, payload: bytes) -> None:
    with pytest.raises(FrameError, match="expected"):
        decode(Frame(type_, 0, 0, payload))


def test_a_type_of_a_later_version_is_no_error() -> None:
    assert decode(Frame(0x30, 0, 0, b"anything")) is None


@given(st.integers(0, 9), st.binary(max_size=120))
def test_any_payload_decodes_or_raises_frame_error(type_: int, payload: bytes) -> None:
    with contextlib.suppress(FrameError):
        decode(Frame(type_, 0, 0, payload))


def test_settings_block_by_hand() -> None:
    assert len(BLOCK) == 84
    assert SETTINGS.encode() == BLOCK
    assert decode_block(BLOCK) == SETTINGS
    assert SETTINGS.crc == zlib.crc32(BLOCK_BODY)


@pytest.mark.parametrize("position", range(84))
def test_one_wrong_byte_in_the_settings_is_refused(position: int) -> None:
    block = bytearray(BLOCK)
    block[position] ^= 1
    with pytest.raises(FrameError):
        decode_block(bytes(block))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"mains_hz": 55}, "mains_hz"),
        ({"ecg_rate_hz": 400}, "ecg_rate_hz"),
        ({"flow_rate_hz": 0}, "flow_rate_hz"),
        ({"language": "zh-Hans-CN"}, "language"),
        ({"village_code": "52263410220"}, "village_code"),
        ({"village_code": "５２２６３４１０２２０７"}, "village_code"),
        ({"village_name": "村" * 19}, "village_name"),
    ],
)
def test_settings_outside_of_the_table_are_refused_before_sending(change: dict[str, object], field: str) -> None:
    values = {name: getattr(SETTINGS, name) for name in SettingsBlock.__slots__} | change
    with pytest.raises(InputError) as error:
        SettingsBlock(**values).encode()
    assert (error.value.code, error.value.facts) == ("settings-value", {"field": field})


@pytest.mark.parametrize(
    ("offset", "value"), [(0, 2), (1, 40), (2, 1), (14, 0x41)], ids=["layout", "mains", "rate", "code"]
)
def test_settings_with_a_good_sum_but_a_wrong_value_are_refused(offset: int, value: int) -> None:
    body = bytearray(BLOCK_BODY)
    body[offset] = value
    with pytest.raises(FrameError):
        decode_block(bytes(body) + struct.pack("<I", zlib.crc32(body)))
