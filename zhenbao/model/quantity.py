"""A number that never travels without its unit."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value in a UCUM unit (``mm[Hg]``, ``mmol/L``, ``mg/dL``, ``/min``, ``L``, ``%``).

    ``comparator`` is set where the device shows HI (``>``) or LO (``<``): the true value lies beyond ``value``.
    """

    value: float
    unit: str
    comparator: Literal["<", ">"] | None = None
