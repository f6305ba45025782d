"""A 24 h blood pressure recorder's exported table, as a test wants it."""

from __future__ import annotations

from datetime import datetime, timedelta

HEAD = "时间,收缩压(mmHg),舒张压(mmHg),脉率\n"


def table(
    ended: datetime, *, day: tuple[int, int] = (148, 92), night: tuple[int, int] = (132, 80), hours: int = 24
) -> bytes:
    """Readings every half hour until ``ended``, all alike by day (06:00 to 22:00) and by night."""
    times = [ended - timedelta(minutes=30 * n) for n in range(2 * hours)][::-1]
    rows = [(at, day if 6 <= at.hour < 22 else night) for at in times]
    return (HEAD + "".join(f"{at:%Y-%m-%d %H:%M},{p[0]},{p[1]},72\n" for at, p in rows)).encode()
