"""A whole session at once: measure, grade, compare with the reference, interpret, and apply the county's rules."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from zhenbao.model.quantity import Quantity
from zhenbao.model.spirometry import Blow, Interpretation, SpirometryAnalysis
from zhenbao.signal.spirometry.blow import analyse_blow
from zhenbao.signal.spirometry.interpret import CANNOT_SAY, interpret, not_graded
from zhenbao.signal.spirometry.predicted import predicted_for
from zhenbao.signal.spirometry.reference import SEXES, ratio_scale
from zhenbao.signal.spirometry.session import grade_session, largest_fvc
from zhenbao.signal.spirometry.trend import past_test, trend

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from numpy.typing import ArrayLike

    from zhenbao.model.finding import Finding
    from zhenbao.signal.spirometry.past_test import PastTest

_GRADES = "ABCDEUF"
_CARRYING = "ABC"


def analyse_session(
    curves: Sequence[tuple[ArrayLike, ArrayLike]],
    *,
    sex: str | None,
    age_years: float | None,
    height_cm: float | None,
    equation: str | None = None,
    ethnicity: str | None = None,
    post_bronchodilator: bool = False,
    measured: Literal["flow", "volume"] = "flow",
    flow_equation: str | None = None,
    taken_on: date | None = None,
    earlier: Sequence[PastTest] = (),
) -> SpirometryAnalysis:
    """Judge a session of spirometry.

    Args:
        curves: (time_s, flow_l_s) of each blow in the order they were blown; see :func:`analyse_blow`.
        sex, age_years, height_cm: of the patient; whatever is unknown (None) leaves the result without reference and
            class, and ``limits`` say so. Sex is ``M``/``F`` or ``Sex.MALE``/``Sex.FEMALE``.
        equation, ethnicity: the county's choice, see :func:`reference`. None: it has not chosen; what is taken stands
            in the result, and ``limits`` say that nobody chose it.
        post_bronchodilator: all blows were blown after a bronchodilator.
        measured: ``volume``: the second of each pair is exhaled volume in litres, of a device that sends volume.
        flow_equation: the county's choice for FEF25, FEF50 and FEF75 where ``equation`` has none, see
            :func:`flow_reference`. None: what hangs on them is not judged.
        taken_on: the day of this session.
        earlier: the same person's earlier tests; a fall of FEV1 since the last comparable one, a year or more ago, is
            then a finding. See :func:`trend`.

    Raises:
        InputError: ``reference-equation`` or ``reference-ethnicity``.
    """
    blows: list[Blow] = []
    for time_s, values in curves:
        flow_l_s, volume_l = (values, None) if measured == "flow" else (None, values)
        prior_fvc_l = largest_fvc(blows)
        blows.append(
            analyse_blow(time_s, flow_l_s=flow_l_s, volume_l=volume_l, age_years=age_years, prior_fvc_l=prior_fvc_l)
        )
    session = grade_session(blows, age_years)
    predicted = predicted_for(equation, ethnicity, flow_equation, sex=sex, age_years=age_years, height_cm=height_cm)
    references, limits = predicted.references, list(predicted.limits)
    worse = max(session.fev1_grade, session.fvc_grade, key=_GRADES.index)
    interpretation: Interpretation | None = None
    if worse not in _CARRYING:
        limits.append("quality-too-low")
        interpretation = not_graded()
    elif references and session.fev1_l and session.fvc_l:
        best = blows[session.best_blow] if session.best_blow is not None else None
        interpretation = interpret(
            fev1_l=session.fev1_l,
            fvc_l=session.fvc_l,
            references=references,
            mmef_l_s=best.fef2575_l_s if best else None,
            fef50_l_s=best.fef50_l_s if best else None,
            fef75_l_s=best.fef75_l_s if best else None,
            post_bronchodilator=post_bronchodilator,
        )
        limits += _limits_of(interpretation, post_bronchodilator)
    if references:
        limits += predicted.not_chosen
    limits.append("screening-only")
    found = SpirometryAnalysis(
        blows=tuple(blows),
        session=session,
        equation=predicted.equation,
        references=references,
        interpretation=interpretation,
        findings=(),
        limits=tuple(limits),
        group=predicted.group,
        equation_chosen=not predicted.not_chosen,
        sex=SEXES.get(sex or "", ""),
        age_years=age_years,
        height_cm=height_cm,
        post_bronchodilator=post_bronchodilator,
    )
    fall = _fall(found, taken_on, earlier) if taken_on is not None and earlier else "unknown"
    return replace(found, findings=_findings(found, worse, fall))


def _fall(found: SpirometryAnalysis, taken_on: date, earlier: Sequence[PastTest]) -> str:
    """Whether FEV1 fell by more than chance and age since a test a year or more ago: ``yes no unknown``."""
    # A clock that was once wrong may have dated a kept test after this one; the fall asked for is this session's.
    before = [test for test in earlier if test.taken_on <= taken_on]
    last = trend([*before, past_test(found, taken_on)]).since_last
    if last is None or last.rule != "year" or last.significant == "cannot-say":
        return "unknown"
    return "yes" if last.significant == "yes" and last.change_l < 0 else "no"


def _limits_of(interpretation: Interpretation, post_bronchodilator: bool) -> list[str]:
    limits = []
    if interpretation.small_airway == "cannot-say":
        limits.append("small-airway-cannot-say")
    if interpretation.cn5_class in ("restrictive", "mixed") or interpretation.ats2021_pattern in (
        "possible-restriction",
        "possible-mixed",
    ):
        limits.append("restriction-needs-lung-volumes")
    if not post_bronchodilator:
        limits.append("before-bronchodilator")
    return limits


def _findings(found: SpirometryAnalysis, grade: str, fall: str) -> tuple[Finding, ...]:
    """What the rules say of the reported values."""
    from zhenbao.rules import evaluate

    session, interpretation = found.session, found.interpretation
    values: dict[str, Quantity] = {}
    context = {"grade": grade, "post_bronchodilator": "yes" if found.post_bronchodilator else "no", "fev1_fall": fall}
    if grade in _CARRYING and session.fev1_l is not None and session.fvc_l is not None and session.fev1_fvc is not None:
        values["fev1"] = Quantity(session.fev1_l, "L")
        values["fvc"] = Quantity(session.fvc_l, "L")
        if found.references:
            measured_ratio = session.fev1_fvc * ratio_scale(found.equation)
            for key, parameter, measured in (
                ("fev1_percent_predicted", "FEV1", session.fev1_l),
                ("fvc_percent_predicted", "FVC", session.fvc_l),
                ("fev1fvc_percent_predicted", "FEV1FVC", measured_ratio),
            ):
                percent = found.references[parameter].percent(measured)
                if math.isfinite(percent):
                    values[key] = Quantity(percent, "%")
    # Without predicted values there is no class; that must not look like "nothing found".
    context["pattern"] = interpretation.shown_class if interpretation is not None else CANNOT_SAY
    context["prism"] = "yes" if interpretation is not None and interpretation.prism else "no"
    return evaluate("spirometry", values, context)
