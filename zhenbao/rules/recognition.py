"""Mutual recognition: whether an earlier result may stand instead of a new test. The same on the kit and at the hub."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Literal

from zhenbao.model.chronic import RecentResult
from zhenbao.model.observation import Observation

_DAY_MS = 86_400_000
_KEPT_CONTEXT = ("meal", "arm", "oxygen", "post_bronchodilator")
Verdict = Literal["stands", "compare", "old"]
"""It may stand instead of a new test; it only compares; it is too old to be shown."""


@dataclass(frozen=True, slots=True)
class Recognition:
    """What may be made of an earlier result now."""

    verdict: Verdict
    age_days: int
    """Completed days by the clocks of both sides; negative where its clock was ahead."""
    days_left: int
    """How many days it may still stand; 0 where it does not."""
    reasons: tuple[str, ...] = ()
    """Why it does not stand: ``changes fast``, ``expired``, ... keys of the ``recognition`` words."""


@dataclass(frozen=True, slots=True)
class Validity:
    """One row of ``recognition.toml``."""

    shown_days: int
    stands_days: int
    reason: str
    needs_quality: tuple[str, ...] = ()
    needs_review: bool = False
    typed_stands: bool = False
    not_with: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def validity(code: str) -> Validity | None:
    """How long results of a kind count; None for a kind that no row names: it never stands."""
    return _table().get(code)


def kinds() -> tuple[str, ...]:
    """The kinds of readings that have a row."""
    return tuple(_table())


def recognise(result: RecentResult, now_ms: int, complaints: Mapping[str, str]) -> Recognition:
    """Whether a result may stand.

    Args:
        now_ms: of whoever asks (Unix ms).
        complaints: of the visit that is going on, for instance ``chest_pain``; what is not there is unknown.
    """
    rule = validity(result.code)
    age_days = (now_ms - result.effective_ms) // _DAY_MS
    if rule is None or age_days >= rule.shown_days:
        return Recognition("old", age_days, 0, ("expired",))
    reasons = []
    if rule.stands_days == 0:
        reasons.append("changes-fast")
    elif age_days >= rule.stands_days:
        reasons.append("expired")
    if age_days < 0 or result.clock_doubtful:
        reasons.append("clock")
    if not result.complete:
        reasons.append("incomplete")
    if result.typed and not rule.typed_stands:
        reasons.append("typed")
    if rule.needs_quality and result.quality not in rule.needs_quality:
        reasons.append("quality")
    if rule.needs_review and not result.reviewed:
        reasons.append("unreviewed")
    if any(complaints.get(key, "unknown") in answers for key, answers in rule.not_with.items()):
        reasons.append("complaint")
    if reasons:
        return Recognition("compare", age_days, 0, tuple(reasons))
    return Recognition("stands", age_days, rule.stands_days - age_days)


def in_a_line(
    reading: Observation, origin: str, *, reviewed: bool = False, clock_doubtful: bool = False
) -> RecentResult:
    """A reading as others need it to decide whether it must be repeated.

    Args:
        origin: name of the organisation where it was taken.
    """
    return RecentResult(
        observation_id=reading.id,
        code=reading.code,
        effective_ms=reading.effective_ms,
        origin=origin,
        device=reading.device,
        values=reading.values,
        urgency=reading.urgency,
        quality=_quality(reading),
        complete=reading.status == "preliminary",
        reviewed=reviewed,
        clock_doubtful=clock_doubtful,
        context={key: value for key, value in reading.context.items() if key in _KEPT_CONTEXT},
    )


def _quality(reading: Observation) -> str:
    if reading.ecg is not None:
        return "good" if reading.ecg.quality.acceptable else "poor"
    if reading.spirometry is not None:
        session = reading.spirometry.session
        # The worse of both: a ratio is no better than its parts.
        return max(str(session.fev1_grade), str(session.fvc_grade))
    return "unrated"


@cache
def _table() -> Mapping[str, Validity]:
    raw = tomllib.loads(files("zhenbao.rules").joinpath("recognition.toml").read_text(encoding="utf-8"))
    return {
        code: Validity(
            row["shown_days"],
            row["stands_days"],
            row["reason"],
            tuple(row.get("needs_quality", ())),
            row.get("needs_review", False),
            row.get("typed_stands", False),
            {key: tuple(answers) for key, answers in row.get("not_with", {}).items()},
        )
        for code, row in raw.items()
    }
