"""Reference values of the flows at parts of the volume, from an equation that the county has chosen for them."""

from __future__ import annotations

from zhenbao.model.errors import InputError
from zhenbao.model.spirometry import FLOW_EQUATIONS, Reference
from zhenbao.signal.spirometry.reference import SEXES, Z_LIMIT
from zhenbao.signal.spirometry.tables import settings


def flow_reference(equation: str, *, sex: str, age_years: float, height_cm: float) -> dict[str, Reference]:
    """``FEF25 FEF50 FEF75`` (flow when that much of FVC has been exhaled) of one person, L/s; empty outside its ages.

    The residual spread is the same for everybody, so a reference is a normal distribution: ``l`` is 1.

    Args:
        equation: ``eccs1993``.
        sex: ``M`` or ``F``, or as :class:`zhenbao.model.identity.Sex`.
        age_years: decimal years.
        height_cm: standing height, in centimetres.

    Raises:
        InputError: ``reference-equation`` or ``reference-sex``.
    """
    if equation not in FLOW_EQUATIONS:
        raise InputError("reference-equation", equation=equation[:32], known=", ".join(FLOW_EQUATIONS))
    if sex not in SEXES:
        raise InputError("reference-sex")
    facts = settings("flows")[equation]
    if not facts["age_min"] <= age_years <= facts["age_max"]:
        return {}
    age = max(age_years, facts["age_young"])
    found = {}
    for name, (constant, per_m, per_year, sd) in facts[SEXES[sex]].items():
        median = constant + per_m * height_cm / 100 + per_year * age
        if median > 0:
            low, high = median - Z_LIMIT * sd, median + Z_LIMIT * sd
            found[name] = Reference(1.0, median, sd / median, median, low, high, equation)
    return found


def flow_equation_name(equation: str) -> str:
    """The equation's name as it stands on a report."""
    return str(settings("flows")[equation]["name"])
