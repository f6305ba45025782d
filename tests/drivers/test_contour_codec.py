"""ASTM frames and records of Contour meters: other people's bytes, and the receiver's answers to good and bad lines."""

import contextlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao.drivers.glucose.contour.frames import Control, Damaged, Decoder, Frame
from zhenbao.drivers.glucose.contour.receiver import Receiver, State
from zhenbao.drivers.glucose.contour.records import Header, decode_header, decode_result
from zhenbao.model.errors import FrameError
from zhenbao.model.quantity import Quantity

VECTORS = tomllib.loads((Path(__file__).parents[1] / "vectors" / "contour_astm.toml").read_text(encoding="utf-8"))
CONTROLS = {"STX": 2, "ETX": 3, "EOT": 4, "ENQ": 5, "ACK": 6, "LF": 10, "CR": 13, "NAK": 21, "ETB": 23}
TRANSFER = VECTORS["transfer"]


def raw(text: str) -> bytes:
    return re.sub(r"<([A-Z]{2,3})>", lambda m: chr(CONTROLS[m[1]]), text).encode("latin-1")


PIECES = [raw(piece) for piece in TRANSFER["pieces"]]
STREAM = b"".join(PIECES)
HEADER_MG = decode_header(
    next(p for p in Decoder().feed(raw(VECTORS["greeting"]["text"])) if isinstance(p, Frame)).text.rstrip()
)
HEADER_MMOL = decode_header(next(iter(Decoder().feed(PIECES[1]))).text.rstrip())  # type: ignore[union-attr]
RESULT = b"R|1|^^^Glucose|%s|%s^P||%s||202611220830"


@pytest.mark.parametrize("vector", VECTORS["frame"], ids=lambda v: v["text"])
def test_frames_agree_with_other_projects(vector: dict[str, Any]) -> None:
    (piece,) = Decoder().feed(raw(vector["text"]))
    if "invalid" in vector:
        assert isinstance(piece, Damaged)
        assert piece.expected == vector["invalid"]
    else:
        assert piece == Frame(vector["number"], raw(vector["payload"]), vector["last"])


@pytest.mark.parametrize("vector", VECTORS["result"], ids=lambda v: v["text"])
def test_results_agree_with_other_projects(vector: dict[str, Any]) -> None:
    reading = decode_result(vector["text"].encode(), HEADER_MG)
    assert reading is not None
    assert reading.concentration == Quantity(vector["value"], vector["unit"])
    assert reading.device_time == vector["time"]
    assert reading.context is not None
    assert reading.context.meal == vector["meal"]
    assert reading.verdict == "chart"


def test_a_whole_transfer_of_a_real_meter() -> None:
    receiver = Receiver()
    answers = [receiver.receive(piece) for piece in PIECES]
    assert answers == [raw(answer) for answer in TRANSFER["answers"]]
    records = receiver.take_records()
    assert [record[:1] for record in records] == [b"H", b"P", b"R", b"L"]
    assert receiver.state is State.ENDED
    header = decode_header(records[0])
    assert (header.device.serial, header.device.model) == (TRANSFER["serial"], TRANSFER["model"])
    assert (header.device.maker, header.device.firmware) == ("Bayer", TRANSFER["firmware"])
    assert (header.display_unit, header.device_time) == ("mmol/L", TRANSFER["clock"])
    reading = decode_result(records[2], header)
    assert reading is not None
    assert reading.concentration == Quantity(TRANSFER["value"], TRANSFER["unit"])
    assert (reading.device_time, reading.context and reading.context.meal) == (TRANSFER["time"], TRANSFER["meal"])


def test_a_header_before_the_offer_is_not_taken_twice() -> None:
    greeting = VECTORS["greeting"]
    receiver = Receiver()
    assert receiver.receive(raw(greeting["text"])) == b"\x06"
    assert receiver.take_records() == []
    assert (receiver.state, HEADER_MG.device.serial) == (State.RECEIVING, greeting["serial"])
    assert (HEADER_MG.display_unit, HEADER_MG.device_time) == (greeting["unit"], greeting["clock"])
    assert (HEADER_MG.facts.low_mg_dl, HEADER_MG.facts.high_mg_dl) == (greeting["low_mg_dl"], greeting["high_mg_dl"])


@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=12).map(sorted))
def test_chunking_never_matters(cuts: list[int]) -> None:
    receiver, answers = Receiver(), b""
    for start, end in zip([0, *cuts], [*cuts, len(STREAM)], strict=True):
        answers += receiver.receive(STREAM[start:end])
    assert answers == b"\x06" * 5
    assert len(receiver.take_records()) == 4


@given(place=st.integers(1, len(STREAM) - 2), bit=st.integers(0, 7))
def test_one_wrong_bit_is_refused_or_harmless(place: int, bit: int) -> None:
    """A sum of eight bits finds every single wrong bit; what is taken is what was sent."""
    good = Receiver()
    good.receive(STREAM)
    sent = good.take_records()
    damaged = bytearray(STREAM)
    damaged[place] ^= 1 << bit
    receiver = Receiver()
    receiver.receive(bytes(damaged))
    assert all(record in sent for record in receiver.take_records())


@pytest.mark.parametrize("length", range(len(STREAM)))
def test_cut_at_any_byte_gives_whole_records_only(length: int) -> None:
    good = Receiver()
    good.receive(STREAM)
    sent = good.take_records()
    receiver = Receiver()
    receiver.receive(STREAM[:length])
    assert receiver.take_records() == sent[: len([p for p in range(1, 5) if length >= sum(map(len, PIECES[: p + 1]))])]
    assert receiver.state is not State.ENDED


def test_a_damaged_frame_is_asked_for_again_and_taken_once() -> None:
    receiver = Receiver()
    receiver.receive(PIECES[0] + PIECES[1])
    assert receiver.receive(PIECES[2].replace(b"53", b"54")) == b"\x15"
    assert isinstance(receiver.refused, FrameError)
    assert receiver.receive(PIECES[2]) == b"\x06"
    assert receiver.receive(PIECES[2]) == b"\x06"  # its acknowledgement was lost
    assert receiver.receive(PIECES[4]) == b"\x15"  # number 4 where 3 is due
    assert receiver.receive(PIECES[3] + PIECES[4]) == b"\x06\x06"
    assert [record[:1] for record in receiver.take_records()] == [b"H", b"P", b"R", b"L"]


def test_a_frame_whose_end_was_lost_costs_only_itself() -> None:
    receiver = Receiver()
    receiver.receive(PIECES[0] + PIECES[1])
    for lost in (3, len(PIECES[2]) - 3):  # in its text, and in its sum
        assert receiver.receive(PIECES[2][:lost] + PIECES[2]) in (b"\x15\x06", b"\x15\x06\x06")
    assert len(receiver.take_records()) == 2


def test_silence_nudges_then_asks_again() -> None:
    receiver = Receiver()
    assert receiver.silence() == b"\x04"
    assert receiver.receive(b"\x15") == b""
    assert receiver.busy
    receiver.receive(PIECES[0] + PIECES[1] + PIECES[2][:5])
    assert receiver.silence() == b"\x15"
    assert receiver.receive(PIECES[2]) == b"\x06"


def test_noise_between_frames_is_dropped() -> None:
    assert list(Decoder().feed(b"\xff\x00abc\x05\r\n")) == [Control(5)]
    (piece,) = Decoder().feed(b"\x02" + b"1" * 5000)
    assert isinstance(piece, Damaged)


@pytest.mark.parametrize(
    ("header", "value", "marks", "expected", "reason"),
    [
        pytest.param("mg", "300", "", Quantity(300, "mg/dL"), None, id="plain"),
        pytest.param("mmol", "16.7", "", Quantity(16.7, "mmol/L"), None, id="in its own unit"),
        pytest.param("mg", "601", ">", Quantity(600, "mg/dL", ">"), None, id="HI carries 601"),
        pytest.param("mmol", "33.4", ">/B", Quantity(33.3, "mmol/L", ">"), None, id="HI in mmol/L, with a meal"),
        pytest.param("mg", "601", "", Quantity(600, "mg/dL", ">"), None, id="HI untold"),
        pytest.param("mg", "9", "<", Quantity(10, "mg/dL", "<"), None, id="LO"),
        pytest.param("mg", "120", "C", Quantity(120, "mg/dL"), "control-solution", id="control solution"),
        pytest.param("mg", "601", ">/C", Quantity(600, "mg/dL", ">"), "control-solution", id="control solution, HI"),
        pytest.param("mg", "120", "B/X/Z1/M2/T0", Quantity(120, "mg/dL"), None, id="notes of the patient"),
        pytest.param("mg", "120", "T", Quantity(120, "mg/dL"), "unknown-mark", id="a mark nobody explains"),
        pytest.param("mg", "120", "></<", Quantity(120, "mg/dL"), "unknown-mark", id="marks run together"),
        pytest.param("mg", "120", ">/<", Quantity(120, "mg/dL"), "unknown-mark", id="high and low at once"),
    ],
)
def test_values_and_marks(header: str, value: str, marks: str, expected: Quantity, reason: str | None) -> None:
    told: Header = HEADER_MMOL if header == "mmol" else HEADER_MG
    unit = b"mmol/L" if header == "mmol" else b"mg/dL"
    reading = decode_result(RESULT % (value.encode(), unit, marks.encode()), told)
    assert reading is not None
    if reason == "unknown-mark":
        assert reading.verdict == "quarantine"
        assert reason in reading.status
    else:
        assert (reading.concentration, reading.reason) == (expected, reason)


def test_the_unit_is_the_results_own_not_the_headers() -> None:
    reading = decode_result(RESULT % (b"5.2", b"mmol/L", b""), HEADER_MG)
    assert reading is not None
    assert reading.concentration == Quantity(5.2, "mmol/L")


@pytest.mark.parametrize(
    ("record", "expected", "reason"),
    [
        (b"R|2|^^^Glucose|7.7|mmol/L^P|0||B||||201012311200", Quantity(7.7, "mmol/L"), None),
        (b"R|2|^^^Glucose|601|mg/dL^P|0|>|||||201012311200", Quantity(600, "mg/dL", ">"), None),
        (b"R|2|^^^Glucose|120|mg/dL^P|0|||E|||201012311200", Quantity(120, "mg/dL"), "control-solution"),
        (b"R|2|^^^Glucose|120|mg/dL^P|0|T|||||201012311200", Quantity(120, "mg/dL"), "unknown-mark"),
        (b"R|2|^^^Glucose|120|mg/dL^P|0|>\\T|||||201012311200", Quantity(600, "mg/dL", ">"), "unknown-mark"),
    ],
)
def test_the_older_meters_layout(record: bytes, expected: Quantity, reason: str | None) -> None:
    """Marks and time stand elsewhere (tidepool-org/uploader, bayerContour.js)."""
    reading = decode_result(record, HEADER_MG)
    assert reading is not None
    assert (reading.concentration, reading.reason) == (expected, reason)


def test_an_average_is_nobodys_result() -> None:
    assert decode_result(b"R|1|^^^GlucoseA|7.2|mmol/L^P||||||||201012311200", HEADER_MG) is None


def test_the_place_in_the_memory_does_not_name_a_result() -> None:
    first, later = (
        decode_result(b"R|%d|^^^Glucose|93|mg/dL^P||A||201505261150" % place, HEADER_MG) for place in (3, 2)
    )
    other = decode_result(b"R|3|^^^Glucose|94|mg/dL^P||A||201505261150", HEADER_MG)
    assert first and later and other
    assert first.device_key == later.device_key != other.device_key


@pytest.mark.parametrize(
    "record",
    [
        b"R|1|^^^Glucose||mg/dL^P||A||201505261150",
        b"R|1|^^^Glucose|-5|mg/dL^P||A||201505261150",
        b"R|1|^^^Glucose|nan|mg/dL^P||A||201505261150",
        b"R|1|^^^Glucose|5|g/L^P||A||201505261150",
        b"R|1|^^^Glucose|5",
        b"R",
        b"",
        b"Q|1|^^^Glucose|5|mg/dL^P||A||201505261150",
    ],
)
def test_a_wrong_result_is_refused(record: bytes) -> None:
    with pytest.raises(FrameError, match="expected"):
        decode_result(record, HEADER_MG)


@pytest.mark.parametrize("time", [b"201513261150", b"2015", b"", b"000000000000"])
def test_a_result_without_a_time_is_kept_from_the_chart(time: bytes) -> None:
    reading = decode_result(b"R|1|^^^Glucose|93|mg/dL^P||A||" + time, HEADER_MG)
    assert reading is not None
    assert (reading.device_time, reading.reason) == (None, "time-fault")


@pytest.mark.parametrize(
    "record", [b"", b"P|1", b"H|||||||", b"HABCD||x", b"H|\\^&||x|Contour7350^1", b"H|\\^&||x|a^b^ |"]
)
def test_a_wrong_header_is_refused(record: bytes) -> None:
    with pytest.raises(FrameError, match="expected"):
        decode_header(record)


@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from(PIECES)), max_size=8))
def test_any_bytes_give_records_or_refusals(chunks: list[bytes]) -> None:
    receiver = Receiver()
    for chunk in chunks:
        assert set(receiver.receive(chunk)) <= {6, 21}
        for record in receiver.take_records():
            for decode in (decode_header, lambda r: decode_result(r, HEADER_MG)):
                with contextlib.suppress(FrameError):
                    decode(record)


@given(st.text("HR|\\^&0123456789.<>CT/ABmgolL", max_size=80).map(str.encode))
def test_any_text_decodes_or_raises_frame_error(record: bytes) -> None:
    for prefix in (b"", b"H|\\^&||", b"R|1|^^^Glucose|"):
        with contextlib.suppress(FrameError):
            decode_header(prefix + record)
        with contextlib.suppress(FrameError):
            decode_result(prefix + record, HEADER_MMOL)
