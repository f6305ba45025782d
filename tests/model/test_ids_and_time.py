"""RFC 9562's own example, and ages across midnight in Beijing."""

from datetime import UTC, date, datetime

from zhenbao.model.ids import uuid7
from zhenbao.model.time import age_years, local_text


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


def test_people_read_beijing_time() -> None:
    assert local_text(unix_ms(2026, 11, 22, 6, 5)) == "2026-11-22 14:05"
