"""Answers of modems that others published, the standard's numbers, and any bytes in any pieces."""

from __future__ import annotations

import contextlib
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao.model.errors import FrameError
from zhenbao.sync.uplink import at
from zhenbao.sync.uplink.state import Radio, Registration, Signal, Sim

VECTORS: dict[str, list[dict[str, Any]]] = tomllib.loads(
    (Path(__file__).parents[2] / "vectors" / "modem_quectel.toml").read_text("utf-8")
)
QENG = VECTORS["qeng"]
COMMAND = 'AT+QENG="servingcell"'


@pytest.mark.parametrize("vector", QENG, ids=lambda v: v["source"])
def test_serving_cells_that_others_published(vector: dict[str, Any]) -> None:
    assert at.serving_cell(vector["lines"]) == at.ServingCell(
        vector["state"],
        Radio(vector["radio"]) if "radio" in vector else None,
        vector.get("plmn", ""),
        vector.get("band", ""),
        Signal(**vector["signal"]) if "signal" in vector else None,
        Signal(**vector["nr_signal"]) if "nr_signal" in vector else None,
    )


@pytest.mark.parametrize("vector", VECTORS["registration"], ids=lambda v: v["line"])
def test_registration(vector: dict[str, str]) -> None:
    state, radio = at.registration([vector["line"]])
    assert state == (Registration(vector["state"]) if "state" in vector else None)
    assert radio == (Radio(vector["radio"]) if "radio" in vector else None)


def test_the_last_registration_line_counts() -> None:
    assert at.registration(["+CEREG: 0,1", "+CEREG: 2"]) == (Registration.SEARCHING, None)


def test_operator_and_network() -> None:
    (cops,), (qnwinfo,) = VECTORS["cops"], VECTORS["qnwinfo"]
    assert at.operator([cops["line"]]) == (cops["name"], Radio(cops["radio"]))
    assert at.operator(["+COPS: 0"]) == ("", None)
    assert at.operator(['+COPS: 0,0,"A, B",7']) == ("A, B", Radio.LTE)
    assert at.network([qnwinfo["line"]]) == (qnwinfo["plmn"], qnwinfo["band"])
    assert at.network(["+QNWINFO: No Service"]) == ("", "")


@pytest.mark.parametrize(
    ("line", "dbm"), [("+CSQ: 24,99", -65), ("+CSQ: 0,0", -113), ("+CSQ: 31,99", -51), ("+CSQ: 99,99", None)]
)
def test_rssi(line: str, dbm: float | None) -> None:
    assert at.rssi_dbm([line]) == dbm


@pytest.mark.parametrize(
    ("line", "lte", "nr"),
    [
        ("+CESQ: 99,99,255,255,18,46", Signal(-95, -11), Signal()),
        ("+CESQ: 99,99,255,255,255,255,65,65,83", Signal(), Signal(-92, -11, 18)),
        ("+CESQ: 99,99,255,255,34,97,126,126,127", Signal(-44, -3), Signal(-31, 19.5, 40)),
        ("+CESQ: 99,99,255,255,0,0,0,0,0", Signal(), Signal()),
        ("+CESQ: 99,99,255,255,255,255,255,255,255", Signal(), Signal()),
    ],
)
def test_extended_signal_quality_at_the_ends_of_its_scales(line: str, lte: Signal, nr: Signal) -> None:
    """TS 27.007 8.69: rsrp 46 is -95..-94 dBm, rsrq 18 is -11..-10.5 dB, ss_rsrp 65 is -92..-91 dBm; 255 is unknown."""
    assert at.extended_signal([line]) == (lte, nr)


@pytest.mark.parametrize(
    ("answer", "sim"),
    [
        (at.Answer(("+CPIN: READY",)), Sim.READY),
        (at.Answer(("+CPIN: SIM PIN",)), Sim.LOCKED),
        (at.Answer(("+CPIN: SIM PUK",)), Sim.LOCKED),
        (at.Answer(error="+CME ERROR: 10"), Sim.MISSING),
        (at.Answer(error="+CME ERROR: SIM not inserted"), Sim.MISSING),
        (at.Answer(error="+CME ERROR: 13"), Sim.FAULT),
        (at.Answer(error="+CME ERROR: 100"), None),
        (at.Answer(error="ERROR"), None),
        (at.Answer(), None),
    ],
)
def test_sim(answer: at.Answer, sim: Sim | None) -> None:
    assert at.sim(answer) == sim


@pytest.mark.parametrize(
    ("line", "has"),
    [
        ('+CGPADDR: 1,"10.8.0.2"', True),
        ("+CGPADDR: 1", False),
        ('+CGPADDR: 1,"0.0.0.0"', False),
        ('+CGPADDR: 1,"0.0.0.0","0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"', False),
        ('+CGPADDR: 1,"","36.8.132.99.0.0.0.0.0.0.0.0.0.0.0.1"', True),
    ],
)
def test_address(line: str, has: bool) -> None:
    assert at.has_address([line]) is has


def told(chunks: list[bytes], command: str = COMMAND) -> at.Answer | None:
    dialogue = at.Dialogue(command)
    return next((answer for chunk in chunks if (answer := dialogue.feed(chunk)) is not None), None)


NSA_BYTES = b"\r\n" + b"\r\n".join(line.encode() for line in QENG[4]["lines"]) + b"\r\n\r\nOK\r\n"


@pytest.mark.parametrize("echo", [b"", COMMAND.encode() + b"\r", COMMAND.encode() + b"\r\r\n"])
def test_an_echo_is_no_answer(echo: bytes) -> None:
    answer = told([echo + NSA_BYTES])
    assert answer == at.Answer(tuple(QENG[4]["lines"]))


def test_what_the_modem_says_of_itself_in_between_is_kept_apart() -> None:
    answer = told([b'\r\n+QIND: "csq",23,99\r\n' + NSA_BYTES[:60] + NSA_BYTES[60:-6] + b"\r\nRING\r\n\r\nOK\r\n"])
    assert answer is not None
    assert answer.lines == tuple(QENG[4]["lines"])
    assert answer.unsolicited == ('+QIND: "csq",23,99', "RING")


@pytest.mark.parametrize("line", ["ERROR", "+CME ERROR: 10", "+CMS ERROR: 500", "NO CARRIER"])
def test_errors_end_an_answer(line: str) -> None:
    answer = told([f"\r\n{line}\r\n".encode()])
    assert answer == at.Answer(error=line)
    assert answer.cme == (10 if "CME" in line else None)


@given(st.lists(st.integers(1, 40), max_size=40))
def test_chunking_never_matters(sizes: list[int]) -> None:
    data, chunks = NSA_BYTES, []
    for size in sizes:
        chunks.append(data[:size])
        data = data[size:]
    assert told([*chunks, data]) == told([NSA_BYTES])


@pytest.mark.parametrize("chunks", [[b"x" * 100] * 100, [b"x" * 2000 + b"\r\nOK\r\n"]])
def test_a_line_without_end_is_an_error_not_a_full_memory(chunks: list[bytes]) -> None:
    with pytest.raises(FrameError, match="end of a line"):
        told(chunks)


READERS = (at.serving_cell, at.registration, at.operator, at.rssi_dbm, at.extended_signal, at.network, at.has_address)
NAMES = ("+QENG", "+CEREG", "+COPS", "+CSQ", "+CESQ", "+QNWINFO", "+CGPADDR", "+CPIN")
FIELD = st.one_of(
    st.integers(-40000, 40000).map(str),
    st.sampled_from(['"servingcell"', '"NR5G-SA"', '"NR5G-NSA"', '"LTE"', '"NOCONN"', "-", "255", "99", '"', "", "FF"]),
    st.text(max_size=6),
)
LINE = st.builds(lambda n, fields: f"{n}: " + ",".join(fields), st.sampled_from(NAMES), st.lists(FIELD, max_size=20))


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_any_bytes_in_any_pieces_give_an_answer_or_the_parsers_error(chunks: list[bytes]) -> None:
    with contextlib.suppress(FrameError):
        answer = told([*chunks, b"\r\nOK\r\n"])
        assert answer is not None
        at.sim(answer)


@given(st.lists(LINE, max_size=4))
def test_any_lines_give_values_in_their_ranges_or_the_parsers_error(lines: list[str]) -> None:
    for reader in READERS:
        with contextlib.suppress(FrameError):
            value = reader(lines)
            signals = value if isinstance(value, tuple) else (getattr(value, "signal", None),)
            for signal in signals:
                if isinstance(signal, Signal):
                    assert signal.rsrp_dbm is None or -156 <= signal.rsrp_dbm <= -31
                    assert signal.rsrq_db is None or -43 <= signal.rsrq_db <= 20
                    assert signal.sinr_db is None or -23 <= signal.sinr_db <= 40


@pytest.mark.parametrize("vector", QENG, ids=lambda v: v["source"])
def test_a_line_cut_short_is_refused_or_tells_less_but_never_another_number(vector: dict[str, Any]) -> None:
    whole = at.serving_cell(vector["lines"])
    last = vector["lines"][-1]
    for fields in range(1, last.count(",") + 1):
        short = [*vector["lines"][:-1], ",".join(last.split(",")[:fields])]
        with contextlib.suppress(FrameError):
            found = at.serving_cell(short)
            assert found.signal in (None, whole.signal)
            assert found.nr_signal in (None, whole.nr_signal)
