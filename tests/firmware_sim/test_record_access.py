"""Requests to the record access control point and the answers of Glucose Service 1.0.1, section 3.5."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao.firmware_sim.record_access import answer

STORED = [3, 4, 7, 300]


@pytest.mark.parametrize(
    ("request_", "sent", "response"),
    [
        pytest.param("01 01", [3, 4, 7, 300], "06 00 01 01", id="report all"),
        pytest.param("01 03 01 0400", [4, 7, 300], "06 00 01 01", id="report from 4"),
        pytest.param("01 03 01 2d01", [], "06 00 01 06", id="report from 301: none"),
        pytest.param("01 02 01 0400", [3, 4], "06 00 01 01", id="report up to 4"),
        pytest.param("01 04 01 0400 0700", [4, 7], "06 00 01 01", id="report 4 to 7"),
        pytest.param("01 05", [3], "06 00 01 01", id="report first"),
        pytest.param("01 06", [300], "06 00 01 01", id="report last"),
        pytest.param("04 01", [], "05 00 0400", id="count all"),
        pytest.param("04 03 01 0700", [], "05 00 0200", id="count from 7"),
        pytest.param("04 03 01 2d01", [], "05 00 0000", id="count none"),
        pytest.param("03 00", [], "06 00 03 01", id="abort"),
        pytest.param("03 01", [], "06 00 03 03", id="abort takes no operator"),
        pytest.param("02 01", [], "06 00 02 02", id="delete is not supported"),
        pytest.param("09 01", [], "06 00 09 02", id="unknown operation"),
        pytest.param("01 00", [], "06 00 01 03", id="report without an operator"),
        pytest.param("01 0a", [], "06 00 01 04", id="unknown operator"),
        pytest.param("01 03 01", [], "06 00 01 05", id="bound is missing"),
        pytest.param("01 01 01", [], "06 00 01 05", id="all takes no operand"),
        pytest.param("01 04 01 0700 0400", [], "06 00 01 05", id="range upside down"),
        pytest.param("01 03 02 e8070101000000", [], "06 00 01 09", id="by time is not supported"),
        pytest.param("", [], "06 00 00 02", id="empty"),
    ],
)
def test_answer(request_: str, sent: list[int], response: str) -> None:
    result = answer(bytes.fromhex(request_), STORED)
    assert ([STORED[i] for i in result.report], result.response) == (sent, bytes.fromhex(response))


def test_an_empty_meter_has_no_records() -> None:
    assert answer(b"\x01\x01", []).response == bytes.fromhex("06 00 01 06")
    assert answer(b"\x04\x01", []).response == bytes.fromhex("05 00 00 00")


@given(st.binary(max_size=12))
def test_any_bytes_are_answered(request_: bytes) -> None:
    assert answer(request_, STORED).response[0] in (5, 6)
