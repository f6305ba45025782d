"""A person's reference values under what the county chose, and what nobody chose."""

from __future__ import annotations

from dataclasses import dataclass

from zhenbao.model.errors import InputError
from zhenbao.model.spirometry import FLOW_EQUATIONS, Reference
from zhenbao.signal.spirometry.flows import flow_reference
from zhenbao.signal.spirometry.reference import SEXES, equation_facts, group_of, reference
from zhenbao.signal.spirometry.tables import settings


@dataclass(frozen=True, slots=True)
class Predicted:
    """References by parameter, or none and why."""

    equation: str
    group: str
    """Empty where the equation has none."""
    references: dict[str, Reference]
    limits: tuple[str, ...]
    """Why there are none, or none for the flows."""
    not_chosen: tuple[str, ...]
    """Keys of limits for what nobody chose."""


def predicted_for(
    equation: str | None,
    group: str | None,
    flow_equation: str | None,
    *,
    sex: str | None,
    age_years: float | None,
    height_cm: float | None,
) -> Predicted:
    """Reference values of one person.

    Args:
        equation, group, flow_equation: the county's choices; None: not chosen. See :func:`reference` and
            :func:`flow_reference`.
        sex, age_years, height_cm: None is unknown.

    Raises:
        InputError: ``reference-equation`` or ``reference-ethnicity``.
    """
    if flow_equation is not None and flow_equation not in FLOW_EQUATIONS:
        raise InputError("reference-equation", equation=flow_equation[:32], known=", ".join(FLOW_EQUATIONS))
    taken, taken_group, not_chosen = _choice(equation, group)
    references, limits = _references(taken, sex, age_years, height_cm, taken_group)
    if references and flow_equation is not None and sex is not None and age_years is not None and height_cm is not None:
        flows = flow_reference(flow_equation, sex=sex, age_years=age_years, height_cm=height_cm)
        limits += [] if flows else ["flows-outside-reference"]
        references = {**flows, **references}
    return Predicted(taken, taken_group or "", references, tuple(limits), tuple(not_chosen))


def _choice(equation: str | None, ethnicity: str | None) -> tuple[str, str | None, list[str]]:
    """The equation and group that are taken, and keys of limits for what nobody chose."""
    not_chosen = []
    if equation is None:
        equation = str(settings("equations")["if_not_chosen"]["equation"])
        not_chosen.append("equation-not-chosen")
    facts = equation_facts(equation)
    group = group_of(facts, ethnicity) or None
    if group is not None and ethnicity is None:
        not_chosen.append("group-not-chosen")
    return equation, group, not_chosen


def _references(
    equation: str, sex: str | None, age_years: float | None, height_cm: float | None, ethnicity: str | None
) -> tuple[dict[str, Reference], list[str]]:
    """The references, or none and why."""
    missing = [
        f"no-{name}"
        for name, known in (
            ("sex", sex in SEXES),
            ("age", age_years is not None),
            ("height", height_cm is not None),
        )
        if not known
    ]
    if missing or sex is None or age_years is None or height_cm is None:
        return {}, missing
    try:
        found = reference(equation, sex=sex, age_years=age_years, height_cm=height_cm, ethnicity=ethnicity)
    except InputError as error:
        if error.code not in ("reference-age", "reference-height"):
            raise
        return {}, ["age-outside-reference" if error.code == "reference-age" else "height-implausible"]
    return found, []
