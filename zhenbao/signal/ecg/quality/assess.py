"""Can this recording carry a judgement? By lead and time: electrode off, data lost, muscle, mains, wander, jumps.

Limits of single measures name the reason. What can be used is told by two logistic scores over several measures, since
fixed limits of single ones do not carry over between recorders (Rahman 2022, doi:10.1098/rsif.2022.0012).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from zhenbao.model.ecg import DATA_LOST, LEADS, EcgQuality
from zhenbao.signal.ecg.criteria import criteria
from zhenbao.signal.ecg.envelope import Floats
from zhenbao.signal.ecg.logistic import Score, scores
from zhenbao.signal.ecg.qrs import as_leads, check_rate
from zhenbao.signal.ecg.quality.measures import (
    QUARTER_VALUES,
    TWELVE_VALUES,
    Flags,
    Inner,
    averaged,
    mains,
    middle_of,
    quarters,
    twelve,
)

_TWELVE = 12
_QUARTER_S = 0.25


def assess_quality(
    ecg_mv: ArrayLike, fs_hz: float, lead_names: Sequence[str], *, lost: Sequence[tuple[int, int]] = ()
) -> EcgQuality:
    """Judge a recording before anything is read from it.

    Args:
        ecg_mv: ``[leads, n]`` (or ``[n]`` for one) in millivolts; NaN where there is no value. Leads that were never
            fitted must not be among them.
        fs_hz: sampling rate.
        lead_names: one for each row.
        lost: stretches [start, stop) in samples that never arrived, where the recorder knows. What has no value outside
            them was taken with its electrode off.

    Returns:
        Reasons are ``electrode-off:V2``, ``muscle-noise:``, ``mains-hum:``, ``baseline-wander:`` and ``artefact:`` with
        the lead, ``data-lost``, ``too-short`` and ``no-signal``. Acceptable means: no reason.
        ``usable`` is where beats can be believed, by quarters of a second; mains hum leaves them so.

    Raises:
        ValueError: no such rate, or names do not match rows.
    """
    samples = as_leads(ecg_mv)
    check_rate(fs_hz)
    if len(samples) != len(lead_names):
        raise ValueError(f"{len(lead_names)} names for {len(samples)} leads")
    n = samples.shape[1]
    if not len(samples) or n < criteria()["shortest_s"] * fs_hz:
        return EcgQuality(False, 0.0, ("too-short",), dict.fromkeys(lead_names, ()), tuple(lost))
    seen = look_at(samples, fs_hz, lead_names, lost)
    refused = True
    if seen.twelve is not None:
        odds = float(_scores()["twelve"].log_odds(seen.twelve[None])[0])
        refused = odds > criteria()["refuse_log_odds"]
    named = seen.named(refused=refused)
    reasons = [f"{cause}:{lead_names[lead]}" for lead, cause in named.items() if cause != DATA_LOST]
    if DATA_LOST in named.values() or seen.flags[DATA_LOST].mean() > criteria()["off_fraction"]:
        reasons.insert(0, DATA_LOST)
    if seen.flags["electrode-off"].all():
        reasons.insert(0, "no-signal")
    if refused and seen.twelve is not None and not reasons:
        worst = int(np.argmax(seen.shares))
        cause = seen.cause(worst)
        reasons.append(DATA_LOST if cause == DATA_LOST else f"{cause}:{lead_names[worst]}")
    usable = {name: _stretches(~seen.unusable[lead], seen.step, n) for lead, name in enumerate(lead_names)}
    return EcgQuality(not reasons, round(float(1 - seen.shares.mean()), 3), tuple(reasons), usable, tuple(lost))


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a recording before it is taken or refused."""

    flags: dict[str, Flags]
    """By reason ``[leads, seconds]``."""
    unusable: Flags
    """``[leads, n]``"""
    step: int
    """Samples in one of its values."""
    shares: Floats
    """Of the time of each lead, what is spoiled: unusable, or humming, since hum spoils what is read from a lead though
    beats are still found in it."""
    twelve: Floats | None
    """What the score of 12-lead recordings looks at; None with another number of leads."""

    def named(self, *, refused: bool) -> dict[int, str]:
        """Leads to be mended, and what is wrong with each.

        People take twelve leads with a poor stretch here and there (``refused`` is False); one that is poor throughout,
        or whose electrode is off, is named all the same.
        """
        limit = criteria()
        most = limit["bad_fraction" if refused else "gross_fraction"]
        named = {}
        for lead, off in enumerate(self.flags["electrode-off"].mean(axis=1)):
            if off > limit["off_fraction"]:
                named[lead] = "electrode-off"
            elif self.shares[lead] > most:
                named[lead] = self.cause(lead)
        return named

    def cause(self, lead: int) -> str:
        """What is most often wrong with a lead."""
        shares = {key: float(flag[lead].mean()) for key, flag in self.flags.items()}
        cause = max(shares, key=lambda key: shares[key])
        return cause if shares[cause] else "artefact"


def look_at(samples: Floats, fs_hz: float, lead_names: Sequence[str], lost: Sequence[tuple[int, int]] = ()) -> Seen:
    """Measure a recording ``[leads, n]`` of two seconds or more, of which the stretches ``lost`` never arrived."""
    with np.errstate(invalid="ignore", over="ignore"):
        inner = averaged(samples, fs_hz)
        flags = _flags(inner, inner.touched(lost))
        unusable = _unusable(inner, flags)
        bad = unusable.mean(axis=1)
        values = None
        if len(samples) == _TWELVE:
            silent = flags["electrode-off"] | flags[DATA_LOST]
            values = twelve(inner, silent, bad, _independent(lead_names))
    return Seen(flags, unusable, inner.step, np.maximum(bad, flags["mains-hum"].mean(axis=1)), values)


def _independent(lead_names: Sequence[str]) -> list[int]:
    """Rows of I, II, V1 to V6; where names say nothing the usual order is taken."""
    rows = [i for i, name in enumerate(lead_names) if name not in LEADS[2:6]]
    return rows if len(rows) == _TWELVE - 4 else [0, 1, *range(6, _TWELVE)]


def quarter_length(inner: Inner) -> int:
    """Values in a quarter of a second."""
    return max(4, round(_QUARTER_S * inner.rate_hz))


def usable_seconds(quality: EcgQuality, fs_hz: float) -> float:
    """How much of the recording can be used, in seconds.

    Of an acceptable one all but the time in which no lead can be used; of one to be repeated, what its worst lead has.
    """
    if not quality.acceptable:
        return min((sum(b - a for a, b in stretches) for stretches in quality.usable.values()), default=0) / fs_hz
    total, end = 0, 0
    for start, stop in sorted(stretch for stretches in quality.usable.values() for stretch in stretches):
        total += max(0, stop - max(start, end))
        end = max(end, stop)
    return total / fs_hz


def _scores() -> dict[str, Score]:
    return scores(__package__, {"quarter": QUARTER_VALUES, "twelve": TWELVE_VALUES})


def _unusable(inner: Inner, flags: dict[str, Flags]) -> Flags:
    """``[leads, n]`` at the inner rate."""
    length, n = quarter_length(inner), inner.mv.shape[1]
    values = quarters(inner, length)
    leads, count, number = values.shape
    odds = _scores()["quarter"].log_odds(values.reshape(-1, number)).reshape(leads, count)
    spoiled = (
        flags["electrode-off"] | flags[DATA_LOST] | flags["muscle-noise"] | flags["baseline-wander"] | flags["artefact"]
    )
    at = np.arange(n)
    second = np.minimum(at // max(2, round(inner.rate_hz)), spoiled.shape[1] - 1)
    gone: Flags = (odds > 0)[:, np.minimum(at // length, count - 1)] | spoiled[:, second]
    return gone


def _flags(inner: Inner, lost: Flags) -> dict[str, Flags]:
    """Per lead and second, what is wrong. Where data were lost nothing else is told of the second but a silent lead."""
    limit = criteria()
    length = max(2, round(inner.rate_hz))
    rows, _, known = inner.rows(length)
    spread = rows.max(axis=2) - rows.min(axis=2)
    base = middle_of(rows, 4)
    overall = np.median(base, axis=1)[:, None]
    arrived = ~lost[: rows.shape[1] * length].reshape(rows.shape[1], length)
    gap = np.broadcast_to((~arrived).mean(axis=1) > limit["lost_fraction"], spread.shape)
    off = spread < limit["flat_mv"]
    for extreme in (inner.mv.max(axis=1)[:, None], inner.mv.min(axis=1)[:, None]):
        at_limit = (rows == extreme[:, :, None]).mean(axis=2) > limit["rail_fraction"]
        off |= at_limit & (np.abs(extreme - overall) > limit["rail_mv"])
    # What stands in for lost samples is flat too: of such a second only what has no value beside the gap tells.
    off = (off & ~gap) | ((~known & arrived).mean(axis=2) > limit["lost_fraction"])
    step = (np.abs(np.diff(base, axis=1)) > limit["wander_mv"]) & ~gap[:, 1:] & ~gap[:, :-1]
    wander = np.zeros_like(off)
    wander[:, 1:] |= step
    wander[:, :-1] |= step
    noise = middle_of(np.abs(rows[:, :, 1:-1] - (rows[:, :, 2:] + rows[:, :, 1:-1] + rows[:, :, :-2]) / 3), 2)
    noisy = noise > limit["noise_mv"]
    humming = noisy & (mains(rows, inner.rate_hz) > limit["hum_share"] * noise)
    jumps = spread > limit["artefact_mv"]
    silent = off | gap
    return {
        "electrode-off": off,
        DATA_LOST: gap & ~off,
        "mains-hum": humming & ~silent,
        "muscle-noise": noisy & ~humming & ~silent,
        "baseline-wander": wander & ~silent & ~jumps,
        "artefact": jumps & ~silent,
    }


def _stretches(good: Flags, length: int, n: int) -> tuple[tuple[int, int], ...]:
    edges = np.flatnonzero(np.diff(good.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    return tuple((int(a) * length, n if b == len(good) else int(b) * length) for a, b in edges)
