"""What a sample is expected to be: from the leads it follows from, from its own past, and from the leads around it.

Everything is integer arithmetic, so that any machine expects the same. The remainder is what is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import mul

import numpy as np

from zhenbao.signal.ecg.compress.rice import Damaged, Ints, cost

SHIFT = 12
"""Fitted coefficients are counted in 1/4096."""
_LARGEST = 2**15 - 1
MOST_ORDER = 32
_ORDERS = (6, 16)
"""Orders that are tried."""
_LAGS = 2
"""Of each other lead the sample at the same time and the one before it."""
_FROM_SAMPLES = 100
"""Shorter stretches do not pay for coefficients."""


@dataclass(frozen=True, slots=True)
class Derivation:
    """A limb lead as (``first`` times one lead plus ``second`` times another) halved downwards."""

    first: int
    second: int

    def of(self, one: Ints, two: Ints) -> Ints:
        derived: Ints = (self.first * one + self.second * two) >> 1
        return derived


DERIVATIONS = {
    "III": Derivation(-2, 2),
    "aVR": Derivation(-1, -1),
    "aVL": Derivation(2, -1),
    "aVF": Derivation(-1, 2),
}
"""From I and II (Einthoven 1912, Goldberger 1942)."""


@dataclass(frozen=True, slots=True)
class Predictor:
    """Expected sample = (own past and other leads times coefficients) shifted right; a start by the sample before."""

    order: int = 0
    shift: int = 0
    others: tuple[int, ...] = ()
    """Leads, coded before, whose samples now and one earlier are looked at."""
    coefficients: tuple[int, ...] = ()
    """Own past, newest first, then two for each other lead."""

    @property
    def start(self) -> int:
        return max(self.order, _LAGS - 1 if self.others else 0)

    def remainder(self, lead: Ints, leads: Ints) -> Ints:
        """What is left of a lead."""
        rest, start = lead.copy(), self.start
        rest[1:start] -= lead[: max(0, start - 1)][: len(rest[1:start])]
        if len(lead) > start:
            total = self._from_others(leads, len(lead))
            for lag, coefficient in enumerate(self.coefficients[: self.order], 1):
                total += coefficient * lead[start - lag : len(lead) - lag]
            rest[start:] -= total >> self.shift
        return rest

    def lead(self, rest: Ints, leads: Ints) -> Ints:
        """The lead again."""
        start, n = self.start, len(rest)
        if not self.others and self.shift == 0 and self.coefficients == _DIFFERENCES[min(self.order, 2)]:
            return _summed(rest, self.order)
        values: list[int] = np.cumsum(rest[:start]).tolist()
        if n > start:
            sums: list[int] = self._from_others(leads, n).tolist()
            newest_last = self.coefficients[: self.order][::-1]
            order, shift = self.order, self.shift
            for at, (left, some) in enumerate(zip(rest[start:].tolist(), sums, strict=True), start):
                values.append(left + ((some + sum(map(mul, newest_last, values[at - order : at]))) >> shift))
                if not -(2**40) < values[-1] < 2**40:
                    raise Damaged
        return np.array(values, np.int64)

    def _from_others(self, leads: Ints, n: int) -> Ints:
        start = self.start
        total = np.full(n - start, (1 << self.shift) >> 1, np.int64)
        pairs = zip(self.others, range(self.order, len(self.coefficients), _LAGS), strict=True)
        for other, place in pairs:
            for lag in range(_LAGS):
                total += self.coefficients[place + lag] * leads[other, start - lag : n - lag]
        return total


_DIFFERENCES: tuple[tuple[int, ...], ...] = ((), (1,), (2, -1))
"""None, first and second difference."""


def best_predictor(lead: Ints, leads: Ints, before: Sequence[int], *, fit: bool) -> tuple[int, Predictor, Ints]:
    """The predictor whose remainder takes the fewest bits: about how many, itself, and that remainder.

    Args:
        lead: ``[n]``.
        leads: ``[leads, n]``; those in ``before`` may be looked at.
        before: leads coded before.
        fit: try fitted ones, not only differences.
    """
    tried = [Predictor(order, 0, (), _DIFFERENCES[order]) for order in range(len(_DIFFERENCES))]
    if fit and len(lead) >= _FROM_SAMPLES:
        tried += _fitted(lead, leads, before)
    rest = [one.remainder(lead, leads) for one in tried]
    prices = [cost(r) + 16 * len(p.coefficients) for p, r in zip(tried, rest, strict=True)]
    best = int(np.argmin(prices))
    return prices[best], tried[best], rest[best]


def _fitted(lead: Ints, leads: Ints, before: Sequence[int]) -> Iterable[Predictor]:
    """Least squares (covariance method), coefficients rounded."""
    n, start = len(lead), max(_ORDERS)
    if n <= 4 * start:
        return
    past = [lead[start - lag : n - lag] for lag in range(1, start + 1)]
    around = [leads[other, start - lag : n - lag] for other in before for lag in range(_LAGS)]
    columns = np.array(past + around, np.float64)
    target = lead[start:].astype(np.float64)
    scale = max(1.0, float(np.abs(columns).max()))
    columns /= scale
    gram, side = columns @ columns.T, columns @ (target / scale)
    for order in _ORDERS:
        for others in (tuple(before), ()) if before else ((),):
            use = [*range(order), *range(start, start + _LAGS * len(others))]
            matrix = gram[np.ix_(use, use)] + 1e-9 * np.trace(gram) / len(gram) * np.eye(len(use))
            try:
                solved = np.linalg.solve(matrix, side[use])
            except np.linalg.LinAlgError:
                continue
            rounded = np.round(solved * (1 << SHIFT))
            if np.isfinite(rounded).all() and np.abs(rounded).max(initial=0) <= _LARGEST:
                yield Predictor(order, SHIFT, others, tuple(int(c) for c in rounded))


def _summed(rest: Ints, order: int) -> Ints:
    if order == 0:
        return rest
    if order == 1:
        return np.cumsum(rest)
    return np.cumsum(np.concatenate([rest[:1], np.cumsum(rest[1:])]))
