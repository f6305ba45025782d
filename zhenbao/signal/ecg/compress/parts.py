"""Parts of a waveform that each stand alone: found by a mark, guarded by a CRC, decoded without the others."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zhenbao.signal.ecg.compress.predict import DERIVATIONS, MOST_ORDER, Predictor, best_predictor
from zhenbao.signal.ecg.compress.rice import Damaged, Ints, read, write

MARK = b"ZBEC"
VERSION = 1
PART_SAMPLES = 5000
MOST_LEADS = 64
MOST_SAMPLES = 1 << 16
"""Of a part."""
_HEAD = struct.Struct("<4sBBBxIQII")
"""Mark, version, leads, bits of a sample, number of the part, its first sample, samples, bytes of the body."""
_CRC = struct.Struct("<I")
_LEAD = struct.Struct("<BBBBBBB")
"""Lead, derivation, two leads for it, order, shift, other leads."""
_NAMES = tuple(DERIVATIONS)
_FARTHEST = 10_000_000
"""A part that claims to begin so many samples after the one before is not believed."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Samples in a row."""

    first: int
    """Index since the start of the recording."""
    samples: NDArray[np.signedinteger]
    """``[leads, n]``"""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What could be read."""

    pieces: tuple[Piece, ...]
    """In order, without overlap; neighbours are joined."""
    damaged: tuple[tuple[int, int], ...]
    """Bytes [start, stop) that are no sound part."""

    @property
    def whole(self) -> bool:
        """Nothing is missing, as far as the bytes tell; parts cut off at the end leave no trace."""
        return not self.damaged and len(self.pieces) <= 1 and (not self.pieces or self.pieces[0].first == 0)


class Compressor:
    """Packs a recording while it comes.

    Args:
        leads: rows of each chunk.
        dtype: ``int16`` or ``int32``.
        lead_names: where they are given, limb leads that follow from I and II are stored as what is left of them.
        part_samples: samples of a part, at most 65536: what a damaged byte costs.

    Raises:
        ValueError: no such number of leads or samples, type, or names.
    """

    def __init__(
        self,
        leads: int,
        dtype: type[np.int16] | type[np.int32] | np.dtype[np.signedinteger],
        lead_names: Sequence[str] | None = None,
        *,
        part_samples: int = PART_SAMPLES,
    ) -> None:
        if not 1 <= leads <= MOST_LEADS:
            raise ValueError(f"{leads} leads; 1 to {MOST_LEADS} can be packed")
        if lead_names is not None and len(lead_names) != leads:
            raise ValueError(f"{len(lead_names)} lead names for {leads} leads")
        if not 1 <= part_samples <= MOST_SAMPLES:
            raise ValueError(f"parts of {part_samples} samples; 1 to {MOST_SAMPLES} are possible")
        self._dtype = np.dtype(dtype)
        if self._dtype not in (np.dtype(np.int16), np.dtype(np.int32)):
            raise ValueError(f"samples of type {self._dtype}; int16 and int32 can be packed")
        self._plan = _plan(leads, lead_names)
        self._length = part_samples
        self._open = np.empty((leads, 0), self._dtype)
        self._first = self._number = 0

    def push(self, chunk: ArrayLike) -> bytes:
        """Add samples ``[leads, n]`` of the same type; return the parts that are full.

        Raises:
            ValueError: another number of leads or another type.
        """
        samples = np.asarray(chunk)
        if samples.dtype != self._dtype or samples.ndim != 2 or len(samples) != len(self._open):
            raise ValueError(
                f"a chunk of {samples.dtype} {samples.shape} where {self._dtype} [{len(self._open)}, n] is packed"
            )
        self._open = np.concatenate([self._open, samples], axis=1)
        done = []
        while self._open.shape[1] >= self._length:
            done.append(self._part(self._open[:, : self._length]))
            self._open = self._open[:, self._length :]
        return b"".join(done)

    def flush(self) -> bytes:
        """The recording has ended: the last part."""
        rest, self._open = self._open, self._open[:, :0]
        return self._part(rest) if rest.shape[1] else b""

    def _part(self, samples: NDArray[np.signedinteger]) -> bytes:
        leads = samples.astype(np.int64)
        plan = self._plan
        free = [_free_lead(leads, plan, place) for place in range(len(plan.free))]
        body = b"".join([*free, *(_limb_lead(leads, plan, lead) for lead in plan.limb)])
        head = _HEAD.pack(
            MARK, VERSION, len(leads), 8 * self._dtype.itemsize, self._number, self._first, leads.shape[1], len(body)
        )
        self._number += 1
        self._first += leads.shape[1]
        return head + body + _CRC.pack(zlib.crc32(body, zlib.crc32(head)))


def compress(samples: ArrayLike, lead_names: Sequence[str] | None = None) -> bytes:
    """A whole recording ``[leads, n]`` (or ``[n]``) of ``int16`` or ``int32``.

    Raises:
        ValueError: no such type, shape or names.
    """
    whole = np.asarray(samples)
    rows = whole.reshape(1, -1) if whole.ndim == 1 else whole
    if rows.ndim != 2:
        raise ValueError(f"samples have {whole.ndim} dimensions, at most 2 make sense")
    packer = Compressor(len(rows), rows.dtype, lead_names)
    return packer.push(rows) + packer.flush()


def decompress(data: bytes) -> Decoded:
    """Every sound part of it; damage is told, never guessed over, and costs only the parts it touches."""
    view, at, damaged_from = memoryview(data), 0, -1
    pieces: list[Piece] = []
    damaged: list[tuple[int, int]] = []
    while at < len(data):
        mark = data.find(MARK, at)
        sound = _sound(view, mark) if mark >= 0 else None
        piece = _decoded(view, mark) if sound is not None else None
        if piece is None or sound is None or not _follows(pieces, piece):
            damaged_from = at if damaged_from < 0 else damaged_from
            at = len(data) if mark < 0 else mark + 1
            continue
        if damaged_from >= 0 or mark > at:
            damaged.append((damaged_from if damaged_from >= 0 else at, mark))
            damaged_from = -1
        pieces.append(piece)
        at = sound
    if damaged_from >= 0:
        damaged.append((damaged_from, len(data)))
    return Decoded(tuple(_joined(pieces)), tuple(damaged))


def _follows(pieces: list[Piece], piece: Piece) -> bool:
    """A part lies after the one before, not absurdly far, and has its leads and type."""
    if not pieces:
        return piece.first <= _FARTHEST
    last = pieces[-1]
    gap = piece.first - last.first - last.samples.shape[1]
    same = piece.samples.dtype == last.samples.dtype and len(piece.samples) == len(last.samples)
    return same and 0 <= gap <= _FARTHEST


def _joined(pieces: list[Piece]) -> list[Piece]:
    groups: list[list[Piece]] = []
    for piece in pieces:
        if groups and groups[-1][-1].first + groups[-1][-1].samples.shape[1] == piece.first:
            groups[-1].append(piece)
        else:
            groups.append([piece])
    return [Piece(group[0].first, np.concatenate([p.samples for p in group], axis=1)) for group in groups]


def _sound(data: memoryview, at: int) -> int | None:
    """Where the part ends that begins here, if its CRC agrees."""
    if len(data) - at < _HEAD.size + _CRC.size:
        return None
    *_, length = _HEAD.unpack_from(data, at)
    end = at + _HEAD.size + length
    if end + _CRC.size > len(data):
        return None
    (crc,) = _CRC.unpack_from(data, end)
    return end + _CRC.size if zlib.crc32(data[at:end]) == crc else None


def _decoded(data: memoryview, at: int) -> Piece | None:
    _, version, count, bits, _, first, n, length = _HEAD.unpack_from(data, at)
    known = version == VERSION and 1 <= count <= MOST_LEADS and bits in (16, 32) and 1 <= n <= MOST_SAMPLES
    if not known:
        return None
    body = data[at + _HEAD.size : at + _HEAD.size + length]
    leads = np.zeros((count, n), np.int64)
    done: list[int] = []
    try:
        for _ in range(count):
            body = _read_lead(body, leads, done)
    except (Damaged, struct.error):
        return None
    limits = np.iinfo(np.int16 if bits == 16 else np.int32)
    if len(body) or leads.min() < limits.min or leads.max() > limits.max:
        return None
    return Piece(first, leads.astype(limits.dtype))


@dataclass(frozen=True, slots=True)
class _Plan:
    """The order in which leads are coded."""

    free: tuple[int, ...]
    limb: tuple[int, ...] = ()
    """Leads that follow from lead I and lead II, last. Which how is tried, as names are exchanged at times."""
    one: int = 0
    two: int = 0


def _plan(leads: int, names: Sequence[str] | None) -> _Plan:
    place = {name: i for i, name in enumerate(names or ())}
    if len(place) < leads or not {"I", "II"} <= place.keys():
        return _Plan(tuple(range(leads)))
    limb = tuple(place[name] for name in _NAMES if name in place)
    return _Plan(tuple(i for i in range(leads) if i not in limb), limb, place["I"], place["II"])


def _free_lead(leads: Ints, plan: _Plan, place: int) -> bytes:
    lead = plan.free[place]
    _, predictor, rest = best_predictor(leads[lead], leads, plan.free[:place], fit=True)
    return _lead_bytes(lead, 0, plan, predictor, rest)


def _limb_lead(leads: Ints, plan: _Plan, lead: int) -> bytes:
    tried = []
    for number, derivation in enumerate(DERIVATIONS.values(), 1):
        left = leads[lead] - derivation.of(leads[plan.one], leads[plan.two])
        tried.append((number, *best_predictor(left, leads, (), fit=False)))
    tried.append((0, *best_predictor(leads[lead], leads, plan.free, fit=True)))
    number, _, predictor, rest = min(tried, key=lambda one: one[1])
    return _lead_bytes(lead, number, plan, predictor, rest)


def _lead_bytes(lead: int, derivation: int, plan: _Plan, predictor: Predictor, rest: Ints) -> bytes:
    head = _LEAD.pack(lead, derivation, plan.one, plan.two, predictor.order, predictor.shift, len(predictor.others))
    numbers = np.array(predictor.coefficients, "<i2").tobytes()
    return head + bytes(predictor.others) + numbers + write(rest)


def _read_lead(body: memoryview, leads: Ints, done: list[int]) -> memoryview:
    """Decode the next lead into its row; the bytes after it."""
    lead, derivation, one, two, order, shift, count = _LEAD.unpack_from(body, 0)
    numbers = order + 2 * count
    start = _LEAD.size + count
    others = tuple(body[_LEAD.size : start])
    needed = {*others, *((one, two) if derivation else ())}
    fits = lead < len(leads) and lead not in done and needed <= set(done) and len(others) == count
    if not fits or derivation > len(_NAMES) or order > MOST_ORDER or shift > 30 or len(body) < start + 2 * numbers:
        raise Damaged
    coefficients = np.frombuffer(body[start : start + 2 * numbers], "<i2").tolist()
    rest, used = read(body[start + 2 * numbers :], leads.shape[1])
    row = Predictor(order, shift, others, tuple(coefficients)).lead(rest, leads)
    if derivation:
        row = row + DERIVATIONS[_NAMES[derivation - 1]].of(leads[one], leads[two])
    if np.abs(row).max(initial=0) > 2**40:
        raise Damaged
    leads[lead] = row
    done.append(lead)
    return body[start + 2 * numbers + used :]
