"""RFC 9562's own example, and ages across midnight in Beijing."""

import math
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao.model.ids import uuid7
from zhenbao.model.time import age_years, decimal_age_years, local_text


def test_uuid7_matches_rfc_9562_appendix_a6() -> None:
    bits = {12: 0xCC3, 62: 0x18C4DC0C0C07398F}
    assert str(uuid7(0x017F22E279B0, bits.__getitem__)) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


def test_later_ids_sort_later() -> None:
    assert uuid7(1_000) < uuid7(1_001) < uuid7(2**48 - 1)


def unix_ms(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc,arg-type]


def test_age_turns_at_midnight_in_beijing() -> None:
    born = date(1956, 11, 22)
    assert age_years(born, unix_ms(2026, 11, 21, 15, 59, 59)) == 69
    assert age_years(born, unix_ms(2026, 11, 21, 16, 0, 0)) == 70


def test_a_leap_day_child_grows_older_on_the_first_of_march() -> None:
    born = date(1956, 2, 29)
    assert age_years(born, unix_ms(2025, 2, 28, 4)) == 68
    assert age_years(born, unix_ms(2025, 3, 1, 4)) == 69


@pytest.mark.parametrize(
    ("born", "on", "years"),
    [
        (date(1956, 11, 22), date(2026, 11, 22), 70.0),
        (date(1956, 11, 22), date(2026, 11, 21), 69 + 364 / 365),
        (date(1956, 11, 22), date(2026, 11, 23), 70 + 1 / 365),
        (date(2000, 1, 1), date(2000, 12, 31), 365 / 366),
        (date(2000, 2, 29), date(2004, 2, 29), 4.0),
        (date(2000, 2, 29), date(2003, 3, 1), 3.0),
        (date(2000, 2, 29), date(2003, 2, 28), 2 + 364 / 365),
        (date(2000, 2, 29), date(2004, 2, 28), 3 + 364 / 365),
        (date(2000, 2, 28), date(2004, 2, 29), 4 + 1 / 366),
        (date(2020, 5, 5), date(2020, 5, 5), 0.0),
        (date(2020, 5, 5), date(2020, 5, 4), -1 + 365 / 366),
    ],
)
def test_an_exact_age_is_whole_on_birthdays_and_grows_every_day(born: date, on: date, years: float) -> None:
    assert decimal_age_years(born, on) == pytest.approx(years, abs=1e-12)


@given(st.dates(date(1900, 1, 1), date(2030, 1, 1)), st.integers(0, 40_000))
def test_the_whole_part_of_an_exact_age_is_the_age(born: date, days: int) -> None:
    on = born + timedelta(days)
    exact = decimal_age_years(born, on)
    assert math.floor(exact) == age_years(born, unix_ms(on.year, on.month, on.day, 4))
    assert 0.0027 < decimal_age_years(born, on + timedelta(1)) - exact < 0.0028
    assert exact == pytest.approx(days / 365.2425, abs=0.006)


def test_people_read_beijing_time() -> None:
    assert local_text(unix_ms(2026, 11, 22, 6, 5)) == "2026-11-22 14:05"
