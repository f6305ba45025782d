"""Whose reading is it? An old one of a meter must never land on the patient in the chair."""

from datetime import UTC, datetime

import pytest

from zhenbao.agent.device_time import Timing, judge

NOW_MS = int(datetime(2026, 11, 22, 2, 30, tzinfo=UTC).timestamp() * 1000)  # 10:30 in Beijing


@pytest.mark.parametrize(
    ("device_time", "known", "timing"),
    [
        pytest.param("2026-11-22T10:29:40", (), Timing.LIVE, id="just now"),
        pytest.param(None, (), Timing.LIVE, id="a cuff without a clock"),
        pytest.param("2026-11-22T10:35:00", (), Timing.LIVE, id="five minutes ahead"),
        pytest.param("2026-11-22T09:30:00", (), Timing.HELD, id="an hour old, or the clock is wrong"),
        pytest.param("2020-01-01T00:03:00", (), Timing.HELD, id="a clock that lost its battery, first time"),
        pytest.param("2026-11-22T09:30:00", (-3550.0,), Timing.LIVE, id="wrong by the same hour again: a wrong clock"),
        pytest.param("2026-11-21T18:00:00", (-3600.0,), Timing.HELD, id="wrong by another amount: an old reading"),
    ],
)
def test_an_old_reading_is_told_from_a_wrong_clock(
    device_time: str | None, known: tuple[float, ...], timing: Timing
) -> None:
    assert judge(device_time, NOW_MS, known_offsets_s=known).timing is timing


def test_the_offset_is_device_minus_kit() -> None:
    assert judge("2026-11-22T10:40:00", NOW_MS).offset_s == 600
