"""What the log of a sensor's verifications says: due, drifting, close to the limit. No arrays, so it loads at once."""

from __future__ import annotations

from statistics import mean, median, stdev
from typing import TYPE_CHECKING

from zhenbao.model.syringe import Drift, SensorWarning
from zhenbao.model.time import local_time
from zhenbao.signal.spirometry.tables import settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zhenbao.model.syringe import SyringeRecord

_DAY_MS = 86_400_000


def sensor_warnings(log: Sequence[SyringeRecord], now_ms: int) -> tuple[SensorWarning, ...]:
    """What to say before a measurement; empty where the sensor was verified today and nothing drifts.

    Args:
        log: verifications of one sensor, in any order; incomplete ones count as not done.
        now_ms: the kit's clock.
    """
    done = _done(log)
    if not done:
        return (SensorWarning("never"),)
    last = done[-1]
    warnings: list[SensorWarning] = []
    if last.check.verdict == "failed":
        warnings.append(SensorWarning("failed", {"error": last.check.largest_error_percent or 0.0}))
    elif local_time(last.at_ms).date() > local_time(now_ms).date():
        warnings.append(SensorWarning("clock"))
    else:
        days = (local_time(now_ms).date() - local_time(last.at_ms).date()).days
        if days >= settings("calibration")["due"]["every_days"]:
            warnings.append(SensorWarning("overdue", {"days": days}))
    return (*warnings, *_of_drift(done))


def drift(log: Sequence[SyringeRecord]) -> Drift | None:
    """Mean, spread and trend of the last verifications; None where there are too few.

    The trend is the median of the slopes between all pairs (Theil 1950; Sen PK. J Am Stat Assoc 1968;63:1379-1389): one
    clumsy verification does not bend it.
    """
    rule = settings("calibration")["drift"]
    series = [(r.at_ms / _DAY_MS, r.check.mean_error_percent) for r in _done(log)[-rule["last"] :]]
    points = [(day, error) for day, error in series if error is not None]
    if len(points) < rule["least"]:
        return None
    earlier = [error for _, error in points[:-1]]
    slope = _slope(points) if points[-1][0] - points[0][0] >= rule["least_days"] else None
    return Drift(
        count=len(points),
        mean_percent=mean(earlier),
        sd_percent=stdev(earlier),
        last_percent=points[-1][1],
        slope_percent_per_day=slope,
        days_to_limit=None if slope is None else _days_to_limit(points, slope),
    )


def _done(log: Sequence[SyringeRecord]) -> list[SyringeRecord]:
    return sorted((r for r in log if r.check.verdict != "incomplete"), key=lambda r: r.at_ms)


def _of_drift(done: Sequence[SyringeRecord]) -> list[SensorWarning]:
    rule = settings("calibration")["drift"]
    warnings: list[SensorWarning] = []
    largest = done[-1].check.largest_error_percent
    if done[-1].check.verdict == "passed" and largest is not None and abs(largest) >= rule["near_percent"]:
        warnings.append(SensorWarning("near-limit", {"error": largest}))
    found = drift(done)
    if found is None:
        return warnings
    if found.days_to_limit is not None and found.days_to_limit <= rule["horizon_days"]:
        weekly = 7 * (found.slope_percent_per_day or 0.0)
        warnings.append(SensorWarning("drifting", {"weekly": weekly, "days": found.days_to_limit}))
    else:
        change = found.last_percent - found.mean_percent
        if abs(change) > max(rule["change_percent"], rule["spreads"] * found.sd_percent):
            warnings.append(SensorWarning("shifted", {"change": change, "mean": found.mean_percent}))
    return warnings


def _slope(points: Sequence[tuple[float, float]]) -> float | None:
    """Per cent a day."""
    slopes = [
        (later_error - error) / (later - day)
        for i, (day, error) in enumerate(points)
        for later, later_error in points[i + 1 :]
        if later > day
    ]
    return median(slopes) if slopes else None


def _days_to_limit(points: Sequence[tuple[float, float]], slope: float) -> float | None:
    """Days after the last point until the line meets the limit; None where the change is within the hand's spread."""
    table = settings("calibration")
    level = median(error - slope * day for day, error in points)
    apart = [abs(error - level - slope * day) for day, error in points]
    spread = 1.4826 * median(apart)
    change = abs(slope) * (points[-1][0] - points[0][0])
    if change < max(table["drift"]["change_percent"], table["drift"]["spreads"] * spread):
        return None
    limit = float(table["limit"]["error_percent"]) * (1 if slope > 0 else -1)
    now = level + slope * points[-1][0]
    return max(0.0, (limit - now) / slope)
