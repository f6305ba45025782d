"""Glucose Measurement Context (2A34): what the patient told the meter about a result.

Source: Bluetooth Glucose Service 1.0.1, section 3.2. Numbers of the tables that are reserved read as None.
"""

from dataclasses import dataclass
from decimal import Decimal

from zhenbao.drivers.medfloat import Special
from zhenbao.drivers.reader import Reader
from zhenbao.model.quantity import Quantity

_CARBOHYDRATE, _MEAL, _TESTER, _EXERCISE, _MEDICATION, _LITRE, _HBA1C, _EXTENDED = (1 << bit for bit in range(8))
_DURATION_OVERRUN = 0xFFFF

CARBOHYDRATES = {1: "breakfast", 2: "lunch", 3: "dinner", 4: "snack", 5: "drink", 6: "supper", 7: "brunch"}
MEALS = {1: "before-meal", 2: "after-meal", 3: "fasting", 4: "casual", 5: "bedtime"}
TESTERS = {1: "self", 2: "health-care-professional", 3: "laboratory"}
HEALTH = {1: "minor-issues", 2: "major-issues", 3: "during-menses", 4: "under-stress", 5: "no-issues"}
MEDICATIONS = {
    1: "rapid-acting-insulin",
    2: "short-acting-insulin",
    3: "intermediate-acting-insulin",
    4: "long-acting-insulin",
    5: "pre-mixed-insulin",
}


@dataclass(frozen=True, slots=True)
class GlucoseContext:
    """What belongs to the measurement of the same sequence number."""

    sequence: int
    meal: str | None = None
    carbohydrate: str | None = None
    carbohydrate_amount: Quantity | None = None
    """In ``g``."""
    tester: str | None = None
    health: str | None = None
    exercise_s: int | None = None
    exercise_percent: int | None = None
    medication: str | None = None
    medication_amount: Quantity | None = None
    """In ``mg`` or ``mL``."""
    hba1c: Quantity | None = None
    """In ``%``."""


def decode_context(frame: bytes) -> GlucoseContext:
    """The value of characteristic 2A34.

    Extended flags, whatever their bits, are skipped; the service defines none. Where one is set, bytes after the known
    fields are tolerated, because a later edition may have put something there.

    Raises:
        FrameError: a field that a flag announces is missing, or bytes are left over.
    """
    reader = Reader(frame)
    flags = reader.u8("flags")
    sequence = reader.u16("sequence number")
    extended = reader.u8("extended flags") if flags & _EXTENDED else 0
    carbohydrate = meal = tester = health = medication = None
    carbohydrate_amount = medication_amount = hba1c = None
    exercise_s = exercise_percent = None
    if flags & _CARBOHYDRATE:
        carbohydrate = CARBOHYDRATES.get(reader.u8("carbohydrate"))
        carbohydrate_amount = _amount(reader.sfloat("carbohydrate in kg"), 3, "g")
    if flags & _MEAL:
        meal = MEALS.get(reader.u8("meal"))
    if flags & _TESTER:
        both = reader.u8("tester and health")
        tester, health = TESTERS.get(both & 0xF), HEALTH.get(both >> 4)
    if flags & _EXERCISE:
        seconds = reader.u16("exercise duration")
        exercise_s = None if seconds == _DURATION_OVERRUN else seconds
        exercise_percent = reader.u8("exercise intensity")
    if flags & _MEDICATION:
        medication = MEDICATIONS.get(reader.u8("medication"))
        # kg to mg and L to mL.
        power, unit = (3, "mL") if flags & _LITRE else (6, "mg")
        medication_amount = _amount(reader.sfloat("medication amount"), power, unit)
    if flags & _HBA1C:
        hba1c = _amount(reader.sfloat("HbA1c"), 0, "%")
    if not extended:
        reader.end()
    return GlucoseContext(
        sequence,
        meal,
        carbohydrate,
        carbohydrate_amount,
        tester,
        health,
        exercise_s,
        exercise_percent,
        medication,
        medication_amount,
        hba1c,
    )


def _amount(number: Decimal | Special, power: int, unit: str) -> Quantity | None:
    return None if isinstance(number, Special) else Quantity(float(number.scaleb(power)), unit)
