"""Resident identity numbers (公民身份号码, GB 11643-1999) and how much of them is shown."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from zhenbao.model.errors import InputError

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
_OLDEST_YEARS = 120


class Sex(StrEnum):
    """GB/T 2261.1, by FHIR's names."""

    UNKNOWN = "unknown"
    MALE = "male"
    FEMALE = "female"
    UNSPECIFIED = "unspecified"


@dataclass(frozen=True, slots=True)
class ResidentNumber:
    """A checked 18-character resident number and what it states."""

    number: str
    birth_date: date
    sex: Sex

    @property
    def tail(self) -> str:
        """The last four characters: what a doctor compares with the card."""
        return self.number[-4:]

    @property
    def masked(self) -> str:
        """First four and last four characters, for screens."""
        return f"{self.number[:4]}**********{self.tail}"


def check_character(first17: str) -> str:
    """The check character of the first 17 digits (GB 11643-1999, ISO 7064 MOD 11-2)."""
    return _CHECKS[sum(w * int(d) for w, d in zip(_WEIGHTS, first17, strict=True)) % 11]


def parse_resident_number(text: str, today: date) -> ResidentNumber:
    """Check a resident number as typed or scanned.

    Args:
        text: 18 characters; spaces are ignored and a small x is accepted.
        today: the local date, to refuse births in the future and ages over 120.

    Raises:
        InputError: with codes ``id-length``, ``id-characters``, ``id-date``, ``id-age`` or ``id-check``;
            its words say what to look at on the card. The number itself is not in the error.
    """
    number = "".join(text.split()).upper()
    if len(number) != 18:
        raise InputError("id-length", length=len(number))
    for position, character in enumerate(number, start=1):
        if not (character.isascii() and character.isdigit()) and not (position == 18 and character == "X"):
            raise InputError("id-characters", position=position)
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        raise InputError("id-date") from None
    if born > today or today.year - born.year > _OLDEST_YEARS:
        raise InputError("id-age")
    if check_character(number[:17]) != number[17]:
        raise InputError("id-check")
    return ResidentNumber(number, born, Sex.MALE if int(number[16]) % 2 else Sex.FEMALE)
