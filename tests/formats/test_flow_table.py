"""A table of flow: its columns carry their units, and nothing is guessed."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao.formats.flow_table import read_flow_table
from zhenbao.model.errors import InputError


@pytest.mark.parametrize(
    "data",
    [
        b"time_s,flow_l_s\n0,0.1\n0.01,-2\n",
        b"\xef\xbb\xbfTime_s;note;Flow_L_s\r\n0;x;0.1\r\n\r\n0.01;;-2\r\n",
        b'flow_l_s\t"time_s"\n0.1\t0\n-2\t0.01\n',
    ],
)
def test_columns_by_name(data: bytes) -> None:
    assert read_flow_table(data) == ([0.0, 0.01], [0.1, -2.0])


def test_an_empty_flow_is_a_lost_sample() -> None:
    _, flows = read_flow_table(b"time_s,flow_l_s\n0,\n0.01,nan\n0.02,1\n")
    assert [math.isnan(f) for f in flows] == [True, True, False]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "flow-table-columns"),
        (b"time,flow\n0,1\n", "flow-table-columns"),
        (b"time_s,flow_l_s,flow_l_s\n0,1,2\n", "flow-table-columns"),
        (b"time_s,flow_l_s\n0\n", "flow-table-cell"),
        (b"time_s,flow_l_s\n,1\n", "flow-table-cell"),
        (b"time_s,flow_l_s\n0,x\n", "flow-table-cell"),
        (b"time_s,flow_l_s\n0,inf\n", "flow-table-cell"),
        (b"time_s,flow_l_s\n" + b"0" * (17 << 20), "flow-table-large"),
    ],
)
def test_what_cannot_be_right_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(InputError, match=code):
        read_flow_table(data)


@given(st.binary(max_size=120))
def test_any_bytes_give_a_table_or_an_error_of_ours(noise: bytes) -> None:
    with contextlib.suppress(InputError):
        read_flow_table(b"time_s,flow_l_s\n" + noise)
