"""Bodies of a batch with what differs from reading to reading set apart, so that the rest packs to almost nothing.

A body is CBOR. What stands behind certain heads (numbers, ids, digests, times of day) is taken out of it, in order,
into one column a kind; what is left, the heads and the words, is the same from one reading to the next. Putting it
back gives the very same bytes: nothing is decoded and encoded again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from zhenbao.model.errors import Rejected

COLUMNS = 5
_BYTE, _SHORT, _WIDE, _BYTES, _TIME = range(COLUMNS)
_TIME_CHARACTERS = 19
"""``2026-11-22T10:30:00``"""
_DIGESTS = range(8, 65)
"""Bytes of an id or a digest."""
_REMEMBERED_BYTES = 4 << 10
"""What is left of a reading is a few hundred bytes; of what is larger hardly two are alike."""


def _step(head: int) -> int:
    """Bytes of an item that stays in its place whatever it is: small numbers, heads of lists and maps, tags, simple
    values, short texts. 0: look closer."""
    major, size = head >> 5, head & 31
    if size == 31 and major in (2, 3, 4, 5, 7):
        return 1
    if size > 23:
        return 0
    if major == 2:
        return 0 if size in _DIGESTS else 1 + size
    if major == 3:
        return 0 if size == _TIME_CHARACTERS else 1 + size
    return 1


_STEPS = bytes(_step(head) for head in range(256))


def split(bodies: Iterable[bytes]) -> tuple[list[bytes | None], list[bytes]]:
    """What is left of each body, None for one that is no CBOR, and the columns."""
    columns = [bytearray() for _ in range(COLUMNS)]
    left: list[bytes | None] = []
    for body in bodies:
        marks = [len(column) for column in columns]
        rest, at = bytearray(), 0
        try:
            while at < len(body):
                cut, stop, column = _next(body, at, whole=True)
                rest += body[at:cut]
                if column is not None:
                    columns[column] += body[cut:stop]
                at = stop
        except Rejected:
            for column_bytes, mark in zip(columns, marks, strict=True):
                del column_bytes[mark:]
            left.append(None)
        else:
            left.append(bytes(rest))
    return left, [bytes(column) for column in columns]


class Joiner:
    """Puts bodies together again, in their order.

    Args:
        columns: as ``split`` gave them.
    """

    def __init__(self, columns: list[bytes]) -> None:
        self._columns = columns
        self._at = [0] * len(columns)

    def body(self, rest: bytes) -> bytes:
        """The next body.

        Raises:
            Rejected: ``message``; something is missing.
        """
        pieces: list[bytes] = []
        for stays, column, size in _plan(rest) if len(rest) <= _REMEMBERED_BYTES else _seams(rest):
            pieces.append(stays)
            start = self._at[column]
            taken = self._columns[column][start : start + size]
            if len(taken) != size:
                raise Rejected("message", reason="columns")
            self._at[column] = start + size
            pieces.append(taken)
        return b"".join(pieces)

    def done(self) -> None:
        """Nothing may be left over.

        Raises:
            Rejected: ``message``.
        """
        if any(at != len(column) for at, column in zip(self._at, self._columns, strict=True)):
            raise Rejected("message", reason="columns")


def _seams(rest: bytes) -> Iterator[tuple[bytes, int, int]]:
    """What stays, and from which column how many bytes follow it."""
    at = 0
    while at < len(rest):
        cut, stop, column = _next(rest, at, whole=False)
        yield rest[at:cut], column or 0, 0 if column is None else stop - cut
        at = cut


@lru_cache(maxsize=512)
def _plan(rest: bytes) -> tuple[tuple[bytes, int, int], ...]:
    """The seams of a body, remembered: what is left of one reading is what is left of the next."""
    return tuple(_seams(rest))


def _next(data: bytes, at: int, *, whole: bool) -> tuple[int, int, int | None]:
    """Step over inert items and look at the one behind them.

    Args:
        whole: what belongs into a column is still there, and must not be cut off.

    Returns:
        Where what stays ends, and where the content behind it ends or would end, with the column of that content.
        Without content the two are the same and the column is None.

    Raises:
        Rejected: ``message``; no CBOR, or cut off.
    """
    end = len(data)
    while at < end and (step := _STEPS[data[at]]):
        at += step
    if at > end:
        raise Rejected("message", reason="no CBOR")
    if at == end:
        return at, at, None
    major, size = data[at] >> 5, data[at] & 31
    if size < 24:
        length, cut = size, at + 1
    elif size < 28:
        wide = 1 << (size - 24)
        cut = at + 1
        if major in (0, 1, 7):
            column = (_BYTE, _SHORT, _WIDE, _WIDE)[size - 24]
            stop = cut + wide
            if whole and stop > len(data):
                raise Rejected("message", reason="no CBOR")
            return cut, stop, column
        length, cut = int.from_bytes(data[cut : cut + wide], "big"), cut + wide
    else:
        raise Rejected("message", reason="no CBOR")
    if major not in (2, 3):
        # The number of items of a long list or map, or of a tag: it stays with its head.
        if cut > len(data):
            raise Rejected("message", reason="no CBOR")
        return cut, cut, None
    column_of = None
    if major == 2 and length in _DIGESTS:
        column_of = _BYTES
    elif major == 3 and length == _TIME_CHARACTERS:
        column_of = _TIME
    stop = cut + length
    if (whole or column_of is None) and stop > len(data):
        raise Rejected("message", reason="no CBOR")
    return (stop, stop, None) if column_of is None else (cut, stop, column_of)
