"""Any bytes give a message or one kind of error; every value arrives as it left."""

from __future__ import annotations

import contextlib
import random
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
from zhenbao.sync.bodies import _numbers
from zhenbao.sync.columns import Joiner, split
from zhenbao.sync.envelope import KINDS, Body, Envelope, Lane, envelope_id, kind_of, pack, unpack
from zhenbao.sync.keys import make_keys
from zhenbao.sync.messages import (
    MOST_ITEMS,
    Ask,
    CardKnown,
    CardShown,
    Have,
    Hello,
    Message,
    Refusal,
    decode,
    encode,
    read_receipts,
    receipts_from_bytes,
    receipts_to_bytes,
    signed_receipts,
)

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


PAIR = make_keys("kit-1", 1).newest
ENVELOPES = st.builds(
    Envelope,
    id=st.uuids(),
    sender=st.just("kit-1"),
    recipient=st.just("hub"),
    boot=NAME,
    sequence=COUNT,
    kind=st.one_of(NAME.filter(lambda kind: not kind.startswith("kind-")), st.sampled_from(list(KINDS))),
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
TRANSFER = st.binary(min_size=8, max_size=8)
OTHERS = st.one_of(
    st.builds(Refusal, st.binary(max_size=8), COUNT, NAME, st.one_of(st.just(b""), TRANSFER)),
    st.integers(0, 200).flatmap(
        lambda count: st.builds(
            Have, TRANSFER, st.just(count), st.frozensets(st.integers(0, max(0, count - 1)), max_size=count)
        )
    ),
    st.builds(Ask, TRANSFER),
    st.builds(CardShown, st.binary(max_size=40)),
    st.builds(CardKnown, st.binary(min_size=8, max_size=8)),
    st.builds(Hello),
)


def decoded(plain: bytes) -> list[Message]:
    return decode(plain, "kit-1", "hub", PAIR.public)


@pytest.mark.parametrize("type_", KINDS.values(), ids=KINDS)
@given(st.data())
@settings(max_examples=30, deadline=None)
def test_a_value_arrives_as_it_left(type_: type[Body], data: st.DataObject) -> None:
    value = data.draw(any_of(type_))
    assert unpack(kind_of(value), pack(value)) == value


@pytest.mark.parametrize("type_", [t for kind, t in KINDS.items() if kind != "emergency"], ids=lambda t: t.__name__)
@given(st.data())
@settings(max_examples=20, deadline=None)
def test_a_body_of_the_first_version_is_read(type_: type[Body], data: st.DataObject) -> None:
    """Maps with names, ids as text: they lie in the outboxes of kits that were away during the upgrade."""
    import msgspec

    value = data.draw(any_of(type_))
    old = cbor2.dumps(msgspec.to_builtins(value, builtin_types=(bytes,)))
    assert unpack(kind_of(value), old) == value


@given(st.lists(ENVELOPES, max_size=6, unique_by=lambda e: e.id), st.lists(OTHERS, max_size=4), st.data())
@settings(deadline=None)
def test_messages_arrive_as_they_left(envelopes: list[Envelope], others: list[Message], data: st.DataObject) -> None:
    receipts = data.draw(st.lists(RECEIPTS, max_size=3))
    signed = signed_receipts(receipts, "hub", PAIR)
    got = decoded(encode([*others, *envelopes, signed]))
    assert sorted((m for m in got if isinstance(m, Envelope)), key=lambda e: e.id) == sorted(
        envelopes, key=lambda e: e.id
    )
    assert [m for m in got if not isinstance(m, Envelope)] == [*others, signed]
    assert read_receipts(signed.proof, PAIR.public.sign) == ("hub", tuple(receipts))
    assert receipts_from_bytes(receipts_to_bytes(receipts)) == tuple(receipts)


def test_what_the_other_side_can_compute_is_not_sent() -> None:
    value = ReportRead(UUID(int=7), 5)
    posted = Envelope(
        envelope_id("kit-1", "boot", 3), "kit-1", "hub", "boot", 3, "report-read", Lane.REPORTS, UUID(int=7), 9,
        pack(value),
    )  # fmt: skip
    plain = encode([posted])
    assert decoded(plain) == [posted]
    assert plain.count(UUID(int=7).bytes) == 1, "the subject's id stands in the body alone"
    assert posted.id.bytes not in plain
    assert posted.body_sha256 not in plain
    old = replace(posted, id=UUID(int=99))
    assert decoded(encode([old])) == [old], "ids that were given by the version before travel"


@given(
    st.lists(st.one_of(st.binary(max_size=80), st.sampled_from([pack(ReportRead(UUID(int=n), n)) for n in range(9)])))
)
@settings(max_examples=300, deadline=None)
def test_what_is_split_into_columns_comes_back(bodies: list[bytes]) -> None:
    left, columns = split(bodies)
    joiner = Joiner(columns)
    for body, rest in zip(bodies, left, strict=True):
        assert rest is None or joiner.body(rest) == body
    joiner.done()


@given(st.binary(max_size=60), st.lists(st.binary(max_size=20), min_size=5, max_size=5))
@settings(max_examples=300, deadline=None)
def test_any_columns_join_or_are_rejected(rest: bytes, columns: list[bytes]) -> None:
    joiner = Joiner(columns)
    with contextlib.suppress(Rejected):
        joiner.body(rest)
        joiner.done()


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_messages_or_rejected(data: bytes) -> None:
    with contextlib.suppress(Rejected):
        assert isinstance(decoded(data), list)


@given(st.lists(ENVELOPES, min_size=1, max_size=3), st.data())
@settings(max_examples=200, deadline=None)
def test_changed_messages_are_messages_or_rejected(envelopes: list[Envelope], data: st.DataObject) -> None:
    plain = bytearray(encode(envelopes))
    for _ in range(data.draw(st.integers(1, 3))):
        plain[data.draw(st.integers(0, len(plain) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(Rejected):
        decoded(bytes(plain))


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
    for plain in (data, cbor2.dumps([value]), cbor2.dumps([[random.Random(len(data)).randrange(10), value]])):
        with contextlib.suppress(Rejected):
            decoded(plain)
    for kind in ("observation", "report", "nonsense", "emergency"):
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
        decoded(bytes.fromhex(data))
    with pytest.raises(Rejected):
        unpack("report", bytes.fromhex(data))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"sequence": 1 << 63}, id="a sequence that no database keeps"),
        pytest.param({"sequence": -1}, id="a negative sequence"),
        pytest.param({"created_ms": 1 << 70}, id="a time that no database keeps"),
        pytest.param({"boot": "boot\x00"}, id="NUL in a name"),
        pytest.param({"boot": ""}, id="no name"),
        pytest.param({"kind": "k" * 33}, id="a kind too long"),
    ],
)
def test_an_envelope_that_cannot_be_kept_is_rejected(change: dict[str, Any]) -> None:
    envelope = Envelope(UUID(int=1), "kit-1", "hub", "b", 1, "patient", Lane.RESULTS, UUID(int=2), 3, b"body")
    assert decoded(encode([envelope])) == [envelope]
    with pytest.raises(Rejected):
        decoded(encode([replace(envelope, **change)]))


def test_more_items_than_fifty_are_rejected() -> None:
    envelope = Envelope(UUID(int=1), "kit-1", "hub", "b", 1, "patient", Lane.RESULTS, UUID(int=2), 3, b"body")
    assert len(decoded(encode([envelope] * MOST_ITEMS))) == 50
    with pytest.raises(Rejected):
        decoded(encode([envelope] * (MOST_ITEMS + 1)))


def test_receipts_of_another_or_by_another_are_rejected() -> None:
    receipt = Receipt(UUID(int=1), bytes(32), "epoch", 5)
    with pytest.raises(Rejected, match="packet-body"):
        decoded(encode([signed_receipts([receipt], "kit-2", PAIR)]))
    with pytest.raises(Rejected, match="packet-body"):
        decoded(encode([signed_receipts([receipt], "hub", make_keys("kit-2", 1).newest)]))


def test_every_number_of_a_field_means_one_field_that_is_there() -> None:
    from importlib import import_module
    from pkgutil import iter_modules

    import zhenbao.model

    modules = [import_module(f"zhenbao.model.{each.name}") for each in iter_modules(zhenbao.model.__path__)]
    types = {n: t for m in modules for n, t in vars(m).items() if isinstance(t, type) and is_dataclass(t)}
    for name, listed in _numbers().items():
        assert len(set(listed)) == len(listed)
        assert set(listed) <= {field.name for field in fields(types[name])}, name


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda v: v.update({3: "x"}), id="no such sex"),
        pytest.param(lambda v: v.update({2: 7}), id="a name that is a number"),
        pytest.param(lambda v: v.pop(2), id="no name"),
        pytest.param(lambda v: v.update({2: "a\0b"}), id="NUL in a name"),
        pytest.param(lambda v: v.update({1: "no id"}), id="no id"),
        pytest.param(lambda v: v.update({1: b"too short"}), id="an id too short"),
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
    assert unpack("report-read", cbor2.dumps({**value, 99: "more"})) == ReportRead(UUID(int=1), 5)
    assert decoded(cbor2.dumps([[8], [77, {"of": "the future"}]])) == [Hello()]
