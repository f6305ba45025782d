"""GB 11643-1999. Numbers from the standard's public samples and on the unassigned area 999999; none is a person's."""

from datetime import date

import pytest

from zhenbao.model.errors import InputError
from zhenbao.model.identity import Sex, check_character, parse_resident_number

TODAY = date(2026, 11, 22)


@pytest.mark.parametrize(
    ("number", "born", "sex"),
    [
        pytest.param("11010519491231002X", date(1949, 12, 31), Sex.FEMALE, id="the standard's sample"),
        pytest.param("999999196001010020", date(1960, 1, 1), Sex.FEMALE, id="even sequence"),
        pytest.param("999999195602290019", date(1956, 2, 29), Sex.MALE, id="leap day"),
        pytest.param("99999919480101002x", date(1948, 1, 1), Sex.FEMALE, id="small x"),
        pytest.param("999999 20100615 0034", date(2010, 6, 15), Sex.MALE, id="spaces from a scanner"),
    ],
)
def test_a_right_number_tells_birth_and_sex(number: str, born: date, sex: Sex) -> None:
    resident = parse_resident_number(number, TODAY)
    assert (resident.birth_date, resident.sex) == (born, sex)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param("340524198001010013", "id-check", id="public sample with a wrong check character"),
        pytest.param("999999195602290018", "id-check", id="last digit mistyped"),
        pytest.param("999999195602209019", "id-check", id="two digits swapped"),
        pytest.param("999999195502290019", "id-date", id="no 29 February in 1955"),
        pytest.param("999999195613010019", "id-date", id="month 13"),
        pytest.param("440524188001010014", "id-age", id="born 1880"),
        pytest.param("99999920270101001X", "id-age", id="born in the future"),
        pytest.param("99999919560229001", "id-length", id="17 characters"),
        pytest.param("", "id-length", id="nothing"),
        pytest.param("9999991956O2290019", "id-characters", id="letter O for zero"),
        pytest.param("99999919560229X019", "id-characters", id="X in the middle"),
        pytest.param("٩99999195602290019", "id-characters", id="a digit of another script"),
    ],
)
def test_a_wrong_number_is_refused_with_its_reason_and_without_itself(number: str, code: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_resident_number(number, TODAY)
    assert refused.value.code == code
    assert not number or number not in str(refused.value)


def test_one_wrong_digit_is_always_noticed() -> None:
    """ISO 7064 MOD 11-2 catches every single substitution: all 17 x 9 of one number."""
    first17 = "99999919560229001"
    right = check_character(first17)
    for position, digit in enumerate(first17):
        for other in set("0123456789") - {digit}:
            assert check_character(first17[:position] + other + first17[position + 1 :]) != right


def test_what_a_screen_shows() -> None:
    resident = parse_resident_number("999999195602290019", TODAY)
    assert (resident.tail, resident.masked) == ("0019", "9999**********0019")
