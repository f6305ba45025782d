"""Nothing is lost, damage costs its own part only, and a decoder written from the document reads the same."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from zhenbao.firmware_sim.waveforms.twelve_lead import infarction
from zhenbao.model.ecg import LEADS
from zhenbao.signal.ecg.compress import Compressor, Decoded, compress, decompress

Samples = NDArray[np.signedinteger]
ANY = st.sampled_from([np.int16, np.int32]).flatmap(
    lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40))
)


@cache
def twelve_leads() -> Samples:
    return np.round(1000 * infarction("inferior").render(4.0, 500).mv).astype(np.int16)


def only(decoded: Decoded) -> Samples:
    (piece,) = decoded.pieces
    assert decoded.whole and piece.first == 0
    return piece.samples


@given(ANY)
@settings(max_examples=150, deadline=None)
def test_any_array_comes_back(samples: Samples) -> None:
    again = only(decompress(compress(samples)))
    assert again.dtype == samples.dtype
    np.testing.assert_array_equal(again, samples)


@pytest.mark.slow
@given(arrays.arrays(np.int32, st.tuples(st.just(12), st.integers(1, 60))), st.permutations(LEADS))
@settings(max_examples=40, deadline=None)
def test_names_never_cost_a_bit(samples: Samples, names: list[str]) -> None:
    np.testing.assert_array_equal(only(decompress(compress(samples, names))), samples)


@given(st.integers(1, 700), st.sampled_from([np.int16, np.int32]), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_long_rows_of_extremes_come_back(n: int, kind: type[np.signedinteger], seed: int) -> None:
    """Long enough for fitted predictors; the values are where arithmetic would overflow."""
    rng, limits = np.random.default_rng(seed), np.iinfo(kind)
    samples = rng.choice([limits.min, limits.max, 0, -1, 1], (3, n)).astype(kind)
    np.testing.assert_array_equal(only(decompress(compress(samples))), samples)


@pytest.mark.slow
@given(st.lists(st.integers(0, 300), max_size=8), st.integers(40, 250))
@settings(max_examples=15, deadline=None)
def test_chunks_make_no_difference(cuts: list[int], part: int) -> None:
    samples = twelve_leads()[:, :300]
    packer = Compressor(12, np.int16, LEADS, part_samples=part)
    edges = [0, *sorted(cuts), 300]
    pieces = [packer.push(samples[:, a:b]) for a, b in pairwise(edges)]
    data = b"".join(pieces) + packer.flush()
    whole = Compressor(12, np.int16, LEADS, part_samples=part)
    assert data == whole.push(samples) + whole.flush()
    np.testing.assert_array_equal(only(decompress(data)), samples)


@cache
def in_parts() -> tuple[Samples, list[bytes]]:
    samples = twelve_leads()
    packer = Compressor(12, np.int16, LEADS, part_samples=500)
    parts = [packer.push(samples[:, start : start + 500]) for start in range(0, samples.shape[1], 500)]
    assert len(parts) == 4 and all(parts)
    return samples, parts


def right_or_missing(decoded: Decoded, samples: Samples) -> int:
    """Every sample told is the true one; how many are missing."""
    known = 0
    for piece in decoded.pieces:
        known += piece.samples.shape[1]
        np.testing.assert_array_equal(piece.samples, samples[:, piece.first : piece.first + piece.samples.shape[1]])
    return samples.shape[1] - known


@pytest.mark.slow
@given(st.data())
@settings(max_examples=150, deadline=None)
def test_one_wrong_byte_costs_its_part_only(data: st.DataObject) -> None:
    samples, parts = in_parts()
    whole = bytearray(b"".join(parts))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    decoded = decompress(bytes(whole))
    assert right_or_missing(decoded, samples) == 500
    assert not decoded.whole
    assert any(start <= at < stop for start, stop in decoded.damaged)


@pytest.mark.parametrize("lost", [0, 1, 2, 3])
def test_a_lost_part_leaves_a_gap_of_its_length(lost: int) -> None:
    samples, parts = in_parts()
    decoded = decompress(b"".join(parts[:lost] + parts[lost + 1 :]))
    assert right_or_missing(decoded, samples) == 500
    # What is cut off at the end leaves no trace in the bytes: the recording's length is told elsewhere.
    assert decoded.whole == (lost == 3)


def test_cut_anywhere_keeps_the_parts_before() -> None:
    samples, parts = in_parts()
    whole = b"".join(parts)
    for length in range(0, len(whole), 97):
        complete = sum(length >= sum(map(len, parts[: i + 1])) for i in range(4))
        assert right_or_missing(decompress(whole[:length]), samples) == samples.shape[1] - 500 * complete


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_or_called_damaged(data: bytes) -> None:
    decoded = decompress(data)
    assert not decoded.pieces
    assert sum(stop - start for start, stop in decoded.damaged) == len(data)


@pytest.mark.slow
@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_forged_body_with_a_right_crc_does_no_harm(data: st.DataObject) -> None:
    """A CRC keeps accidents out, not people: whatever stands in a part, it is decoded or refused, and quickly."""
    whole = bytearray(compress(twelve_leads()[:, :150], LEADS)[:-4])
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(4, len(whole) - 1))] = data.draw(st.integers(0, 255))
    decoded = decompress(bytes(whole) + struct.pack("<I", zlib.crc32(whole)))
    for piece in decoded.pieces:
        assert piece.samples.size <= 64 * 65536


@pytest.mark.parametrize("samples", [np.zeros((2, 3)), np.zeros((2, 3), np.int64), np.zeros((2, 2, 2), np.int16)])
def test_what_cannot_be_packed_is_refused(samples: NDArray[np.generic]) -> None:
    with pytest.raises(ValueError, match=r"packed|dimensions"):
        compress(samples)


def test_nothing_is_nothing() -> None:
    assert compress(np.empty((3, 0), np.int16)) == b""
    assert decompress(b"") == Decoded((), ())


# A decoder bit by bit, from docs/ecg-codec.md alone.


def bits_of(data: bytes) -> Iterator[int]:
    for byte in data:
        for place in range(7, -1, -1):
            yield byte >> place & 1


def slowly(data: bytes) -> tuple[list[list[int]], int]:
    """Leads of the first part, and its length in bytes."""
    mark, version, count, _, zero, _, _, n, length = struct.unpack_from("<4sBBBBIQII", data)
    assert (mark, version, zero) == (b"ZBEC", 1, 0)
    end = 28 + length
    assert struct.unpack_from("<I", data, end) == (zlib.crc32(data[:end]),)
    leads: dict[int, list[int]] = {}
    at = 28
    for _ in range(count):
        lead, derivation, a, b, order, shift, many = data[at : at + 7]
        others = list(data[at + 7 : at + 7 + many])
        at += 7 + many
        coefficients = struct.unpack_from(f"<{order + 2 * many}h", data, at)
        at += 2 * len(coefficients)
        blocks = (n + 127) // 128
        parameters = data[at : at + blocks]
        (unary_bytes,) = struct.unpack_from("<I", data, at + blocks)
        at += blocks + 4
        unary, fixed = bits_of(data[at : at + unary_bytes]), bits_of(data[at + unary_bytes : end])
        rest, taken = [], 0
        for i in range(n):
            k = parameters[i // 128]
            if k == 255:
                rest.append(0)
                continue
            u = 0
            while next(unary) == 0:
                u += 1
            for _ in range(k):
                u = u << 1 | next(fixed)
            taken += k
            rest.append(-(u + 1) // 2 if u % 2 else u // 2)
        at += unary_bytes + (taken + 7) // 8
        y: list[int] = []
        start = max(order, 1 if many else 0)
        for t in range(n):
            if t < start:
                y.append(rest[t] + (y[t - 1] if t else 0))
                continue
            total = (1 << shift) >> 1
            total += sum(coefficients[k] * y[t - 1 - k] for k in range(order))
            for j, other in enumerate(others):
                now, before = coefficients[order + 2 * j : order + 2 * j + 2]
                total += now * leads[other][t] + before * leads[other][t - 1]
            y.append(rest[t] + (total >> shift))
        if derivation:
            first, second = {1: (-2, 2), 2: (-1, -1), 3: (2, -1), 4: (-1, 2)}[derivation]
            y = [v + ((first * p + second * q) >> 1) for v, p, q in zip(y, leads[a], leads[b], strict=True)]
        leads[lead] = y
    assert at == end
    return [leads[i] for i in range(count)], end + 4


@pytest.mark.parametrize("names", [LEADS, None])
def test_a_decoder_from_the_document_reads_the_same(names: tuple[str, ...] | None) -> None:
    samples = twelve_leads()
    data = compress(samples, names)
    leads, length = slowly(data)
    assert length == len(data)
    assert leads == samples.tolist()


def test_old_bytes_stay_readable() -> None:
    """Written once by this version, read for ever: two leads of a ramp."""
    old = bytes.fromhex(Path(__file__).with_name("version1.hex").read_text(encoding="ascii"))
    expected = np.array([np.arange(20) ** 2 - 7, 100 - 3 * np.arange(20)], np.int16)
    np.testing.assert_array_equal(only(decompress(old)), expected)


def test_limb_leads_cost_next_to_nothing() -> None:
    """Each rounded by itself, as recorders do; with the noise that real leads have."""
    rng = np.random.default_rng(4)
    one, two = twelve_leads()[:2] + rng.normal(0, 12, (2, 2000))
    limb = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    samples = np.round(limb).astype(np.int16)
    assert len(compress(samples, LEADS[:6])) < 1.6 * len(compress(samples[:2]))
    assert len(compress(samples[[0, 1, 2, 3, 5, 4]], LEADS[:6])) < 1.6 * len(compress(samples[:2]))
