"""The log of verifications: due daily, drifting, shifted; one clumsy stroke is no drift."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pytest

from zhenbao.model.syringe import SyringeCheck, SyringeRecord
from zhenbao.model.time import BEIJING
from zhenbao.signal.spirometry.sensor_log import drift, sensor_warnings
from zhenbao.words import LANGUAGES, catalogue

DAY_MS = 86_400_000
NOON = round(datetime(2026, 11, 27, 12, tzinfo=BEIJING).timestamp() * 1000)


def record(days_ago: float, error: float, verdict: str = "passed", largest: float | None = None) -> SyringeRecord:
    check = SyringeCheck(3.0, (), verdict, (), error, error if largest is None else largest)
    return SyringeRecord("FE1", NOON - round(days_ago * DAY_MS), check)


def daily(errors: Sequence[float]) -> list[SyringeRecord]:
    """One a day, the last today."""
    return [record(len(errors) - 1 - i, error) for i, error in enumerate(errors)]


def codes(log: Sequence[SyringeRecord], now_ms: int = NOON) -> list[str]:
    return [w.code for w in sensor_warnings(log, now_ms)]


def test_verified_today_and_steady_is_quiet() -> None:
    assert codes(daily([0.3, -0.2, 0.1, 0.4, 0.0, 0.2])) == []


def test_never_or_only_begun_is_never() -> None:
    assert codes([]) == codes([record(0, 0.0, "incomplete")]) == ["never"]


def test_due_is_by_the_day_in_beijing_not_by_hours() -> None:
    late = record(0.5 + 1 / 24, 0.2)  # 23:00 yesterday
    assert codes([late]) == ["overdue"]
    (warning,) = sensor_warnings([late], NOON)
    assert warning.numbers == {"days": 1}
    early = record(0.5 - 1 / 24, 0.2)  # 01:00 today
    assert codes([early]) == []
    assert codes([early], NOON + DAY_MS // 2 - 1) == []
    assert codes([early], NOON + DAY_MS // 2) == ["overdue"]


def test_a_failure_stands_until_a_pass_and_an_incomplete_one_changes_nothing() -> None:
    log = [record(0.2, 0.1), record(0.1, -5.0, "failed")]
    assert codes(log) == ["failed"]
    assert codes([*log, record(0.05, 0.0, "incomplete")]) == ["failed"]
    assert codes([*log, record(0.01, 0.1)]) == []
    assert codes(log[::-1]) == ["failed"], "the order of the log does not matter"


def test_a_pass_in_the_future_is_a_wrong_clock() -> None:
    assert codes([record(-3, 0.0)]) == ["clock"]


def test_close_to_the_limit() -> None:
    assert codes([record(0, 1.0, largest=-2.6)]) == ["near-limit"]
    assert codes([record(0, 1.0, largest=2.4)]) == []


def test_a_drift_warns_before_the_limit_is_reached() -> None:
    log = daily([0.0, 0.21, 0.39, 0.62, 0.80, 1.01, 1.18])
    (warning,) = sensor_warnings(log, NOON)
    assert warning.code == "drifting"
    assert warning.numbers["weekly"] == pytest.approx(1.4, abs=0.1)
    assert warning.numbers["days"] == pytest.approx((3 - 1.2) / 0.2, abs=1)
    assert codes(daily([-e for e in (0.0, 0.21, 0.39, 0.62, 0.80, 1.01, 1.18)])) == ["drifting"]


def test_a_slow_drift_far_from_the_limit_is_quiet() -> None:
    assert codes(daily([0.0, 0.05, 0.1, 0.15, 0.2, 0.25])) == []


def test_one_clumsy_verification_bends_no_trend() -> None:
    errors = [0.1, 0.0, 0.2, 2.0, 0.1, 0.2, 0.0, 0.1]
    assert codes(daily(errors)) == []
    found = drift(daily(errors))
    assert found is not None and abs(found.slope_percent_per_day or 0) < 0.05 and found.days_to_limit is None


def test_a_sudden_shift() -> None:
    (warning,) = sensor_warnings(daily([0.1, 0.0, 0.2, 0.1, 0.0, 1.8]), NOON)
    assert warning.code == "shifted"
    assert warning.numbers["change"] == pytest.approx(1.72, abs=0.01)


def test_too_few_or_all_at_once_are_no_series() -> None:
    assert drift(daily([0.0, 1.0, 2.0])) is None
    at_once = drift([record(i / 100, i / 2) for i in range(5)])
    assert at_once is not None and at_once.slope_percent_per_day is None


def test_only_the_last_ones_are_looked_at() -> None:
    found = drift(daily([2.5] * 30 + [0.1, 0.0, 0.2, 0.1, 0.0, 0.1, 0.2, 0.0, 0.1, 0.1]))
    assert found is not None and found.count == 10 and found.mean_percent < 0.3


def test_every_warning_has_words() -> None:
    for language in LANGUAGES:
        words = catalogue(language)
        for code in ("never", "failed", "overdue", "clock", "near-limit", "drifting", "shifted"):
            assert f"sensor_warning.{code}" in words
