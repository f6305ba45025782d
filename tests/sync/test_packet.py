"""A packet opens for its recipient, unchanged, or not at all; and it says what it was refused for."""

from __future__ import annotations

import contextlib
import tracemalloc
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zhenbao.model.errors import InputError, Rejected, StorageError
from zhenbao.sync import squeeze
from zhenbao.sync.cbor import dumps, loads
from zhenbao.sync.cose import KEY_ID, sign1
from zhenbao.sync.keys import (
    FILE,
    OwnKeys,
    card_of,
    ensure_keys,
    keys_from_bytes,
    keys_to_bytes,
    load_keys,
    make_keys,
    parse_card,
    read_card,
    rotated,
    save_keys,
)
from zhenbao.sync.packet import _EXTERNAL, _INFO, HEADER, Header, Kind, _listed, _suite, make_packet, read_packet

KIT, HUB, OTHER = (make_keys(name, 1, emergency=name != "hub") for name in ("kit-1", "hub", "kit-2"))
HEAD = Header("kit-1", "hub", HUB.newest.public.seal_id, b"boot-abc", 7, Kind.MAIL)
PLAIN = dumps([["a message", n] for n in range(20)])  # long enough to be worth squeezing


def sealed(plain: bytes = PLAIN, head: Header = HEAD, by: OwnKeys = KIT, to: OwnKeys = HUB) -> bytes:
    pair = by.newest
    return make_packet(head, plain, sign_key=pair.sign_key, sign_id=pair.public.sign_id, recipient=to.newest.public)


def opened(data: bytes, by: OwnKeys = KIT, to: OwnKeys = HUB) -> bytes:
    packet = read_packet(data)
    packet.verify(by.newest.public.sign)
    return packet.open(to.newest.seal_key)


def code_of(data: bytes, **sides: OwnKeys) -> str:
    with pytest.raises(Rejected) as caught:
        opened(data, **sides)
    return caught.value.code


def test_a_packet_arrives_as_it_left() -> None:
    data = sealed()
    packet = read_packet(data)
    assert packet.header == HEAD
    assert packet.signed.key_id == KIT.newest.public.sign_id
    assert opened(data) == PLAIN


def test_nobody_on_the_road_reads_it() -> None:
    data = sealed("演示患者甲 99999919480101002X".encode() * 3)
    assert "演示".encode() not in data
    assert b"99999919" not in data


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"sender": "kit-2"}, id="sender"),
        pytest.param({"recipient": "kit-9"}, id="recipient"),
        pytest.param({"boot": b"boot-xyz"}, id="boot"),
        pytest.param({"sequence": 8}, id="sequence"),
        pytest.param({"kind": Kind.ANSWERS}, id="kind"),
        pytest.param({"dictionary": 0}, id="dictionary"),
    ],
)
def test_the_header_is_bound_by_the_signature_and_by_the_seal(change: dict[str, Any]) -> None:
    data = sealed()
    packet = read_packet(data)
    changed = replace(HEAD, **change)
    # Somebody on the road changes the header and leaves the signature.
    fields = {1: -8, KEY_ID: KIT.newest.public.sign_id, HEADER: _listed(changed)}
    from zhenbao.sync.cose import framed

    forged = framed(dumps(fields), packet.signed.payload, packet.signed.signature)
    assert code_of(forged) == "packet-signature"
    # Somebody with a key of their own signs the stolen seal again.
    fields = {KEY_ID: OTHER.newest.public.sign_id, HEADER: _listed(changed)}
    stolen = sign1(fields, packet.signed.payload, OTHER.newest.sign_key, _EXTERNAL)
    assert code_of(stolen, by=OTHER) == "packet-sealed"


def test_a_signature_of_another_use_of_the_key_is_no_packets() -> None:
    fields = {KEY_ID: KIT.newest.public.sign_id, HEADER: _listed(HEAD)}
    packet = read_packet(sealed())
    assert code_of(sign1(fields, packet.signed.payload, KIT.newest.sign_key, b"zhenbao card 1")) == "packet-signature"


def test_another_key_does_not_verify_and_does_not_open() -> None:
    assert code_of(sealed(), by=OTHER) == "packet-signature"
    assert code_of(sealed(), to=OTHER) == "packet-sealed"


@given(st.integers(0, 10_000), st.integers(1, 255))
@settings(max_examples=200, deadline=None)
def test_any_changed_byte_is_refused(at: int, flip: int) -> None:
    data = bytearray(sealed())
    data[at % len(data)] ^= flip
    with pytest.raises(Rejected):
        opened(bytes(data))


@given(st.integers(0, 10_000))
@settings(max_examples=100, deadline=None)
def test_a_truncated_or_lengthened_packet_is_refused(at: int) -> None:
    data = sealed()
    for bad in (data[: at % len(data)], data + b"\x00", data + data):
        with pytest.raises(Rejected):
            opened(bad)


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_packet_or_rejected(data: bytes) -> None:
    for wire in (data, b"\xd2\x84" + data):
        with contextlib.suppress(Rejected):
            opened(wire)


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=12)),
        lambda inner: st.one_of(st.lists(inner, max_size=10), st.dictionaries(st.integers(-9, 9), inner, max_size=4)),
        max_leaves=14,
    )
)
@settings(max_examples=200, deadline=None)
def test_any_header_is_one_or_rejected(value: Any) -> None:
    """Signed by a known kit, and nonsense all the same."""
    data = sign1({KEY_ID: KIT.newest.public.sign_id, HEADER: value}, b"payload", KIT.newest.sign_key, _EXTERNAL)
    with contextlib.suppress(Rejected):
        opened(data)


def raw_packet(squeezed: bytes, **changes: Any) -> bytes:
    """Signed and sealed by a kit that goes its own way with what is inside."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    fields = {KEY_ID: KIT.newest.public.sign_id, HEADER: _listed(replace(HEAD, **changes))}
    key = X25519PublicKey.from_public_bytes(HUB.newest.public.seal)
    payload = _suite().encrypt(squeezed, key, info=_INFO + dumps({1: -8, **fields}))
    return sign1(fields, payload, KIT.newest.sign_key, _EXTERNAL)


def test_a_bomb_is_not_unpacked() -> None:
    """64 MB of zeros in 2 kB: refused by what its frame says, before any room is made."""
    import zstandard

    frame = zstandard.ZstdCompressor(level=1).compress(bytes(1 << 26))
    data = raw_packet(frame)
    tracemalloc.start()
    try:
        assert code_of(data) == "packet-size"
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    # One that lies about its size: the frame's header says 100 bytes.
    lying = bytearray(zstandard.ZstdCompressor(level=1).compress(bytes(1000)))
    at = lying.index((1000 - 256).to_bytes(2, "little"))
    lying[at : at + 2] = (300 - 256).to_bytes(2, "little")
    assert code_of(raw_packet(bytes(lying))) == "packet-body"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"suite": 0}, "packet-suite", id="not sealed at all"),
        pytest.param({"suite": 2}, "packet-suite", id="the suite that is reserved"),
        pytest.param({"dictionary": 9}, "packet-dictionary", id="a dictionary of the future"),
        pytest.param({"dictionary": -1}, "packet-dictionary", id="no dictionary at all"),
        pytest.param({"version": 1}, "packet-downgrade", id="the version before"),
    ],
)
def test_what_cannot_be_read_says_why(changes: dict[str, Any], code: str) -> None:
    assert code_of(raw_packet(b"squeezed", **changes)) == code


def test_a_later_version_can_be_verified_and_is_not_guessed_at() -> None:
    data = sign1(
        {KEY_ID: KIT.newest.public.sign_id, HEADER: [3, {"of": "the future"}]}, b"?", KIT.newest.sign_key, _EXTERNAL
    )
    packet = read_packet(data)
    packet.verify(KIT.newest.public.sign)
    assert packet.header.version == 3
    assert packet.header.sender == ""


def test_a_plain_message_of_version_1_is_a_downgrade() -> None:
    with pytest.raises(Rejected, match="packet-downgrade"):
        read_packet(dumps([1, 3, {1: "kit-1"}]) + b"\x1a\x00\x00\x00\x00")


def test_what_is_too_large_is_not_even_read() -> None:
    with pytest.raises(Rejected, match="packet-size"):
        read_packet(bytes(200_000))
    with pytest.raises(Rejected, match="packet-size"):
        sealed(bytes((16 << 20) + 1))


@given(st.binary(max_size=500), st.sampled_from([0, 1]))
@settings(max_examples=200, deadline=None)
def test_what_is_squeezed_comes_back(plain: bytes, version: int) -> None:
    assert squeeze.unsqueeze(squeeze.squeeze(plain, version), version, len(plain)) == plain


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_unpack_or_are_rejected(data: bytes) -> None:
    for frame in (data, b"\x28\xb5\x2f\xfd" + data):
        with contextlib.suppress(Rejected):
            assert len(squeeze.unsqueeze(frame, 1, 1000)) <= 1000


# Keys and cards


def test_a_card_shows_the_public_halves_and_is_proved() -> None:
    card = card_of(KIT)
    assert read_card(card.data) == card == parse_card(card.text)
    assert card.keys == (KIT.newest.public,)
    for pair in KIT.pairs:
        assert pair.sign_secret not in card.data
        assert pair.seal_secret not in card.data
    assert KIT.emergency is not None
    assert KIT.emergency.secret not in card.data
    assert len(card.fingerprint.split()) == 8


def test_a_new_generation_stands_beside_the_old_one_and_then_alone() -> None:
    second = rotated(KIT, 2)
    third = rotated(second, 3)
    assert [p.number for p in second.pairs] == [1, 2]
    assert [p.number for p in third.pairs] == [2, 3]
    card = read_card(card_of(second).data)
    assert [k.number for k in card.keys] == [1, 2]
    assert card.newest == second.newest.public
    assert second.sealed_for(KIT.newest.public.seal_id) == KIT.newest
    assert third.sealed_for(KIT.newest.public.seal_id) is None
    assert second.emergency == KIT.emergency


def test_a_card_without_the_private_halves_cannot_be_made() -> None:
    """Somebody puts the hub's signing key on a card of their own, to be given what is sealed for the hub."""
    stolen = HUB.newest.public
    mine = OTHER.newest
    claim = dumps(["hub", [[1, stolen.sign, mine.public.seal]], None])
    for signed_by in (mine,):
        data = sign1({KEY_ID: stolen.sign_id}, claim, signed_by.sign_key, b"zhenbao card 1")
        with pytest.raises(Rejected, match="card"):
            read_card(data)
    both = dumps(["hub", [[1, stolen.sign, stolen.seal], [2, mine.public.sign, mine.public.seal]], None])
    once = sign1({KEY_ID: mine.public.sign_id}, both, mine.sign_key, b"zhenbao card 1")
    twice = sign1({KEY_ID: mine.public.sign_id}, once, mine.sign_key, b"zhenbao card 1")
    for data in (once, twice):
        with pytest.raises(Rejected, match="card"):
            read_card(data)


@given(st.binary(max_size=80), st.integers(0, 10_000))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_a_card_or_rejected(data: bytes, at: int) -> None:
    changed = bytearray(card_of(KIT).data)
    changed[at % len(changed)] ^= 1 + at % 255
    for card in (data, bytes(changed)):
        with pytest.raises(Rejected, match="card"):
            read_card(card)


@pytest.mark.parametrize("text", ["", "zhenbao-card-1.", "zhenbao-card-1.AAAA", "zhenbao-card-1.诊包", "x" * 9000])
def test_a_text_that_is_no_card_is_said(text: str) -> None:
    with pytest.raises(InputError, match="card-text"):
        parse_card(text)


def test_own_keys_are_kept_for_this_user_alone_and_come_back(tmp_path: Any) -> None:
    assert load_keys(tmp_path) is None
    made = ensure_keys(tmp_path, "kit-1", 5, emergency=True)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert load_keys(tmp_path) == made == ensure_keys(tmp_path, "kit-1", 9)
    save_keys(tmp_path, rotated(made, 6))
    assert load_keys(tmp_path) == rotated_like(made, load_keys(tmp_path))
    assert ensure_keys(tmp_path, "kit-2", 9).name == "kit-2", "a folder set up for another kit gets keys of its own"
    (tmp_path / FILE).write_bytes(b"no keys")
    with pytest.raises(StorageError, match="keys-unreadable"):
        load_keys(tmp_path)


def rotated_like(first: OwnKeys, loaded: OwnKeys | None) -> OwnKeys:
    assert loaded is not None
    assert loaded.pairs[0] == first.pairs[0]
    return loaded


@given(st.binary(max_size=60))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_keys_or_an_error(data: bytes) -> None:
    with pytest.raises(StorageError):
        keys_from_bytes(data)
    cut = keys_to_bytes(KIT)[: len(data)]
    with pytest.raises(StorageError):
        keys_from_bytes(cut)


def test_the_versions_own_words_are_in_the_header() -> None:
    """Read with nothing but CBOR: another implementation finds the same."""
    tagged = loads(sealed())
    protected, unprotected, payload, signature = tagged.value
    assert tagged.tag == 18
    assert unprotected == {}
    assert len(signature) == 64
    assert loads(protected) == {
        1: -8,
        4: KIT.newest.public.sign_id,
        -70001: [2, 1, 1, "kit-1", "hub", HUB.newest.public.seal_id, b"boot-abc", 7, 1],
    }
    assert len(payload) == 32 + len(squeeze.squeeze(PLAIN)) + 16
