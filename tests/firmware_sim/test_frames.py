"""The front-end's frames against the document's worked examples and bytes counted by hand."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao.firmware_sim.front_end import frames
from zhenbao.firmware_sim.front_end.frames import Command, CommandReader

IDENTIFY = bytes.fromhex("A5 5A 81 00 00 00 00 00 00 00 00 00 00 00 00 10 BA 88 72")
"""docs/devices/front-end.md, section 6."""
ACK_OF_IT = bytes.fromhex("A5 5A 06 04 00 07 00 40 E2 01 00 00 00 00 00 00 00 81 00 50 CF 47 5D")


def test_the_crc_is_the_one_of_the_document() -> None:
    assert zlib.crc32(b"123456789") == 0xCBF43926


def test_worked_examples() -> None:
    assert frames.frame(0x81, 0, 0, b"") == IDENTIFY
    assert frames.frame(0x06, 7, 123456, frames.ack(0, 0x81, 0)) == ACK_OF_IT


def test_a_whole_command_is_read_from_the_worked_example() -> None:
    assert list(CommandReader().feed(IDENTIFY)) == [Command(0x81, 0, b"")]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        # stream 1 | 500 Hz = 01f4 | 12 channels | 1000 nV = 000003e8 | 50 mHz | 150 Hz
        pytest.param(frames.ecg_stream(500, 1000, 0.05, 150), "01 f401 0c e8030000 3200 9600", id="ECG stream"),
        pytest.param(frames.ecg_stream(250, 1000, None, None), "01 fa00 0c e8030000 ffff 0000", id="unknown filters"),
        # stream 2 | 100 Hz | 1 | 1000 uL/s | 0 | 0 | not BTPS | -5.50 C | 101325 Pa | 45.00 %
        pytest.param(
            frames.flow_stream(100, 1000, btps=False, temperature_c=-5.5, pressure_pa=101_325, humidity_percent=45.0),
            "02 6400 01 e8030000 0000 0000 00 dafd cd8b0100 9411",
            id="flow stream",
        ),
        # first 256 | 1 instant | LA off, bit 1 | V6 absent, bit 11 | 1..12
        pytest.param(
            frames.ecg(256, 2, 1 << 11, [[*range(1, 12), -32768]]),
            "00010000 01 0200 0008 0100 0200 0300 0400 0500 0600 0700 0800 0900 0a00 0b00 0080",
            id="ECG",
        ),
        pytest.param(frames.flow(5, [-1, 2, -32768]), "05000000 03 ffff 0200 0080", id="flow"),
        pytest.param(frames.end(1, 3, 5000), "01 03 88130000", id="end"),
        pytest.param(frames.status(255, 0, 1), "ff 00 01", id="status"),
    ],
)
def test_payloads(payload: bytes, expected: str) -> None:
    assert payload == bytes.fromhex(expected)


def test_identity_is_66_bytes_of_padded_utf8() -> None:
    payload = frames.identity(3, "Zhenbao 诊包诊包", "M", "S", "1.0")
    assert len(payload) == 66
    assert payload[:2] == b"\x01\x03"
    # 8 ASCII bytes and two of the characters of 3 bytes fit in 16; the third would be cut in the middle.
    assert payload[2:18] == "Zhenbao 诊包".encode() + b"\0\0"
    assert payload[18:34] == b"M" + b"\0" * 15


def test_a_payload_above_1024_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        frames.frame(0x03, 0, 0, bytes(1025))


def test_damage_is_dropped_byte_by_byte_and_the_next_frame_found() -> None:
    reader = CommandReader()
    wrong = bytearray(frames.frame(0x82, 1, 0, IDENTIFY))  # a whole frame inside a damaged one is a frame
    wrong[-1] ^= 1
    read = list(reader.feed(b"\x00\xa5" + bytes(wrong) + IDENTIFY))
    assert read == [Command(0x81, 0, b""), Command(0x81, 0, b"")]
    assert reader.dropped == 2 + 15 + 4


def test_a_length_above_1024_does_not_wait_for_its_bytes() -> None:
    too_long = b"\xa5\x5a\x82" + struct.pack("<H", 1025) + bytes(10)
    assert list(CommandReader().feed(too_long + IDENTIFY)) == [Command(0x81, 0, b"")]


@given(
    before=st.binary(max_size=40),
    payload=st.binary(max_size=90),
    cuts=st.lists(st.integers(1, 30), min_size=1, max_size=80),
)
def test_chunking_never_matters(before: bytes, payload: bytes, cuts: list[int]) -> None:
    stream = before + frames.frame(0x84, 9, 0, payload) + IDENTIFY
    whole = list(CommandReader().feed(stream))
    reader, pieces, at = CommandReader(), [], 0
    while at < len(stream):
        size = cuts[len(pieces) % len(cuts)]
        pieces.append(list(reader.feed(stream[at : at + size])))
        at += size
    assert [command for piece in pieces for command in piece] == whole
