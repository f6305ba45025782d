"""Any bytes give a message or one kind of error; every value arrives as it left."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zhenbao.model.errors import Rejected
from zhenbao.model.identity import Sex
from zhenbao.model.patient import Patient
from zhenbao.model.report import Receipt, ReportRead
from zhenbao.sync.envelope import KINDS, Body, Envelope, Hello, Lane, decode, encode, kind_of, pack, unpack

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
NAME = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz0123456789-"), min_size=1, max_size=16)
COUNT = st.integers(0, (1 << 63) - 1)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(-(1 << 63) + 1, (1 << 63) - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
}


def any_of(type_: Any) -> st.SearchStrategy[Any]:
    """Values of a type of the model, drawn from its annotations."""
    if type_ in PLAIN:
        return PLAIN[type_]
    if is_dataclass(type_):
        hints = get_type_hints(type_)
        return st.builds(type_, **{field.name: any_of(hints[field.name]) for field in fields(type_)})
    origin, inner = get_origin(type_), get_args(type_)
    if origin is tuple and inner[-1] is ...:
        return st.lists(any_of(inner[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*(any_of(i) for i in inner))
    if origin is dict:
        return st.dictionaries(any_of(inner[0]), any_of(inner[1]), max_size=3)
    if origin in (Union, UnionType):
        return st.one_of(*(any_of(i) for i in inner))
    return st.from_type(type_)  # enums, dates, UUIDs, bytes, None, literals


ENVELOPES = st.builds(
    Envelope,
    id=st.uuids(),
    sender=NAME,
    recipient=NAME,
    boot=NAME,
    sequence=COUNT,
    kind=NAME,
    lane=st.sampled_from(Lane),
    subject_id=st.uuids(),
    created_ms=COUNT,
    body=st.binary(max_size=200),
)
RECEIPTS = st.builds(
    Receipt,
    envelope_id=st.uuids(),
    body_sha256=st.binary(min_size=32, max_size=32),
    store_epoch=NAME,
    received_ms=COUNT,
    duplicate=st.booleans(),
    refused=st.one_of(st.just(""), NAME),
)
MESSAGES = st.one_of(ENVELOPES, RECEIPTS, st.builds(Hello, NAME))


def with_checksum(array: bytes) -> bytes:
    """The second item of a message, as the module's description says."""
    return array + b"\x1a" + zlib.crc32(array).to_bytes(4, "big")


@pytest.mark.parametrize("type_", KINDS.values(), ids=KINDS)
@given(st.data())
@settings(max_examples=30, deadline=None)
def test_a_value_arrives_as_it_left(type_: type[Body], data: st.DataObject) -> None:
    value = data.draw(any_of(type_))
    assert unpack(kind_of(value), pack(value)) == value


@given(MESSAGES)
@settings(deadline=None)
def test_a_message_arrives_as_it_left(message: Envelope | Receipt | Hello) -> None:
    assert decode(encode(message)) == message


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_message_or_rejected(data: bytes) -> None:
    for wire in (data, with_checksum(data)):
        with contextlib.suppress(Rejected):
            assert isinstance(decode(wire), Envelope | Receipt | Hello)


@given(MESSAGES, st.data())
@settings(max_examples=300, deadline=None)
def test_a_damaged_message_is_rejected(message: Envelope | Receipt | Hello, data: st.DataObject) -> None:
    """CRC-32 finds every burst of up to 32 bits, wherever it falls."""
    wire = bytearray(encode(message))
    at = data.draw(st.integers(0, len(wire) - 1))
    for offset in range(data.draw(st.integers(1, min(4, len(wire) - at)))):
        wire[at + offset] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Rejected):
        decode(bytes(wire))


@given(MESSAGES, st.data())
@settings(deadline=None)
def test_a_truncated_or_lengthened_message_is_rejected(
    message: Envelope | Receipt | Hello, data: st.DataObject
) -> None:
    wire = encode(message)
    for bad in (wire[: data.draw(st.integers(0, len(wire) - 1))], wire + data.draw(st.binary(min_size=1, max_size=3))):
        with pytest.raises(Rejected):
            decode(bad)


@pytest.mark.slow
@given(
    st.recursive(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(),
            st.text(max_size=5),
            st.binary(max_size=20),
            st.builds(
                cbor2.CBORTag, st.integers(0, 300), st.one_of(st.integers(), st.text(max_size=8), st.binary(max_size=8))
            ),
        ),
        lambda inner: st.one_of(st.lists(inner, max_size=6), st.dictionaries(st.integers(0, 12), inner, max_size=8)),
        max_leaves=12,
    )
)
@settings(max_examples=300, deadline=None)
def test_any_cbor_is_a_message_or_rejected(value: Any) -> None:
    data = cbor2.dumps(value)
    with contextlib.suppress(Rejected):
        decode(with_checksum(data))
    for kind in ("observation", "report", "nonsense"):
        with contextlib.suppress(Rejected):
            unpack(kind, data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param("", id="nothing"),
        pytest.param("9b7fffffffffffffff", id="an array of 2**63 items"),
        pytest.param("5b00ffffffffffffff", id="a text of 2**56 bytes"),
        pytest.param("d81e820100", id="RFC 8949 tag 30: a fraction with denominator 0"),
        pytest.param("c4821b7fffffffffffffff01", id="tag 4: 10 to the power of 2**63"),
        pytest.param("d8236128", id="tag 35: a broken regular expression"),
        pytest.param("a18000", id="a map whose key is a list"),
        pytest.param("81" * 20_000 + "00", id="20 000 lists in one another"),
        pytest.param("ff", id="a lone break"),
    ],
)
def test_hostile_bytes_are_rejected(data: str) -> None:
    with pytest.raises(Rejected):
        decode(with_checksum(bytes.fromhex(data)))
    with pytest.raises(Rejected):
        unpack("report", bytes.fromhex(data))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"sequence": 1 << 63}, id="a sequence that no database keeps"),
        pytest.param({"sequence": -1}, id="a negative sequence"),
        pytest.param({"created_ms": 1 << 70}, id="a time that no database keeps"),
        pytest.param({"sender": "kit\x00"}, id="NUL in a name"),
        pytest.param({"sender": ""}, id="no name"),
        pytest.param({"kind": "k" * 33}, id="a kind too long"),
    ],
)
def test_an_envelope_that_cannot_be_kept_is_rejected(change: dict[str, Any]) -> None:
    envelope = Envelope(UUID(int=1), "kit-1", "hub", "b", 1, "patient", Lane.RESULTS, UUID(int=2), 3, b"body")
    assert decode(encode(envelope)) == envelope
    with pytest.raises(Rejected):
        decode(encode(replace(envelope, **change)))


def test_a_body_changed_on_the_way_is_rejected() -> None:
    wire = encode(Envelope(UUID(int=1), "kit-1", "hub", "b", 1, "patient", Lane.RESULTS, UUID(int=2), 3, b"a body"))
    with pytest.raises(Rejected, match="hash"):
        decode(with_checksum(wire[:-5].replace(b"a body", b"A body")))


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda v: v.update(sex="x"), id="no such sex"),
        pytest.param(lambda v: v.update(name=7), id="a name that is a number"),
        pytest.param(lambda v: v.pop("name"), id="no name"),
        pytest.param(lambda v: v.update(name="a\0b"), id="NUL in a name"),
        pytest.param(lambda v: v.update(id="no id"), id="no id"),
    ],
)
def test_a_body_that_is_no_such_value_is_rejected_without_quoting_it(spoil: Callable[[dict[str, Any]], Any]) -> None:
    value = cbor2.loads(pack(Patient(UUID(int=1), "演示患者甲", Sex.MALE, None, "999999195602290019")))
    spoil(value)
    with pytest.raises(Rejected) as caught:
        unpack("patient", cbor2.dumps(value))
    assert caught.value.code == "envelope-body"
    assert "演示" not in str(caught.value)
    assert "999999" not in str(caught.value)


def test_a_newer_sender_may_say_more() -> None:
    """Unknown fields are ignored, so that old kits survive a newer hub."""
    value = cbor2.loads(pack(ReportRead(UUID(int=1), 5)))
    assert unpack("report-read", cbor2.dumps({**value, "new_in_version_9": [1, 2]})) == ReportRead(UUID(int=1), 5)
    version, type_, body = cbor2.loads(encode(Hello("kit-1"))[:-5])
    assert decode(with_checksum(cbor2.dumps([version, type_, {**body, 99: "more"}]))) == Hello("kit-1")
