"""Small integers as bits: Rice codes (Rice and Plaunt 1971), the unary and the fixed halves kept apart.

Apart, both halves are read and written by whole arrays: where the ones of the unary half stand tells every quotient.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
BLOCK = 128
"""So many values share one parameter."""
_MOST = 40
"""Parameters above this make no sense for what 32-bit samples leave."""
ZEROS = 255
"""The parameter of a block of zeros: no bits at all."""


class Damaged(Exception):
    """Bytes that are no such code."""


def cost(values: Ints) -> int:
    """Bits that :func:`write` takes, about."""
    folded = _folded(values)
    return int((_bits(folded).min(axis=1) * folded.any(axis=1)).sum()) + 8 * len(folded)


def write(values: Ints) -> bytes:
    """Parameters, unary half, fixed half."""
    folded = _folded(values)
    chosen = _bits(folded).argmin(axis=1)
    still = ~folded.any(axis=1)
    parameters = np.where(still, ZEROS, chosen).astype(np.uint8)
    k = np.repeat(chosen, BLOCK)[: len(values)]
    use = np.repeat(~still, BLOCK)[: len(values)]
    flat, k = folded.ravel()[: len(values)][use], k[use]
    ones = np.cumsum((flat >> k) + 1) - 1
    unary = np.zeros(int(ones[-1]) + 1 if len(ones) else 0, np.uint8)
    unary[ones] = 1
    packed = np.packbits(unary).tobytes()
    return b"".join([parameters.tobytes(), len(packed).to_bytes(4, "little"), packed, _fixed(flat, k)])


def read(data: memoryview, count: int) -> tuple[Ints, int]:
    """``count`` values, and how many bytes they took.

    Raises:
        Damaged: the bytes are no code of so many values.
    """
    blocks = -(-count // BLOCK)
    if len(data) < blocks + 4:
        raise Damaged
    parameters = np.frombuffer(data[:blocks], np.uint8)
    if ((parameters > _MOST) & (parameters != ZEROS)).any():
        raise Damaged
    length = int.from_bytes(data[blocks : blocks + 4], "little")
    start = blocks + 4
    use = np.repeat(parameters != ZEROS, BLOCK)[:count]
    k = np.repeat(parameters, BLOCK)[:count][use].astype(np.int64)
    fixed_bits = int(k.sum())
    stop = start + length
    end = stop + -(-fixed_bits // 8)
    if end > len(data):
        raise Damaged
    ones = np.flatnonzero(np.unpackbits(np.frombuffer(data[start:stop], np.uint8)))
    if len(ones) != len(k):
        raise Damaged
    quotients = np.diff(ones, prepend=-1) - 1
    folded = (quotients << k) | _unfixed(np.frombuffer(data[stop:end], np.uint8), k)
    values = np.zeros(count, np.int64)
    values[use] = np.where(folded & 1, -((folded + 1) >> 1), folded >> 1)
    return values, end


def _folded(values: Ints) -> Ints:
    """0, -1, 1, -2, ... as 0, 1, 2, 3, ..., in rows of a block, the last filled with zeros."""
    folded = np.where(values >= 0, 2 * values, -2 * values - 1)
    rows = np.zeros((-(-len(values) // BLOCK), BLOCK), np.int64)
    rows.ravel()[: len(values)] = folded
    return rows


def _bits(folded: Ints) -> Ints:
    """Bits of each block for each parameter: ``[blocks, parameters]``."""
    bits: Ints = np.stack([(folded >> k).sum(axis=1) + BLOCK * (k + 1) for k in range(_MOST + 1)], axis=1)
    return bits


def _fixed(values: Ints, k: Ints) -> bytes:
    """The low ``k`` bits of each value, highest first."""
    if not len(values):
        return b""
    ends = np.cumsum(k)
    bits = np.zeros(int(ends[-1]), np.uint8)
    for place in range(int(k.max(initial=0))):
        some = k > place
        bits[ends[some] - 1 - place] = (values[some] >> place) & 1
    return np.packbits(bits).tobytes()


def _unfixed(data: NDArray[np.uint8], k: Ints) -> Ints:
    values = np.zeros(len(k), np.int64)
    bits = np.unpackbits(data)
    ends = np.cumsum(k)
    for place in range(int(k.max(initial=0))):
        some = k > place
        values[some] |= bits[ends[some] - 1 - place].astype(np.int64) << place
    return values
