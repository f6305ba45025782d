"""Results that a device computed itself, compared: what can be recomputed is, both stand side by side, and what cannot
be taken as it stands is flagged as data.

Nothing of the device is corrected. Without the curves there is no grade of ours; the device's letters stay its own.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from zhenbao.model.quantity import Quantity
from zhenbao.model.spirometry_summary import ComparedValue, SummaryAnalysis, SummaryConflict
from zhenbao.signal.spirometry.interpret import cn5_class, cn5_severity, interpret, not_graded, small_airway
from zhenbao.signal.spirometry.label import read_label
from zhenbao.signal.spirometry.predicted import predicted_for
from zhenbao.signal.spirometry.reference import ratio_scale
from zhenbao.signal.spirometry.summary_checks import check_label, check_lines, check_reference, normalised
from zhenbao.signal.spirometry.tables import settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zhenbao.model.finding import Finding
    from zhenbao.model.spirometry import Interpretation, Reference
    from zhenbao.model.spirometry_summary import SpirometrySummary

_WORST_LAST = "ABCDEUF"
_CARRYING = "ABC"
_ROUNDING = 1e-9
_KEYS = {"MMEF": ("MMEF", "FEF2575")}
"""Names of a parameter in the reference equations, where they differ from ours."""
_STOPPING = ("order", "ratio-mismatch")
"""A class is not made of values that contradict each other."""


def analyse_summary(
    summary: SpirometrySummary,
    *,
    equation: str | None = None,
    ethnicity: str | None = None,
    flow_equation: str | None = None,
    sex: str | None = None,
    age_years: float | None = None,
    height_cm: float | None = None,
    post_bronchodilator: bool | None = None,
) -> SummaryAnalysis:
    """Recompute and compare a summary.

    Args:
        summary: as read from the device's file.
        equation, ethnicity, flow_equation: the county's choices, see :func:`analyse_session`.
        sex, age_years, height_cm: of the patient, where they are known better than the file tells; see
            :func:`analyse_session`.
        post_bronchodilator: whether it was blown after a bronchodilator; None takes the file's word, and an unsaid one
            is treated as before.

    Raises:
        InputError: ``reference-equation`` or ``reference-ethnicity``.
    """
    predicted = predicted_for(
        equation,
        ethnicity,
        flow_equation,
        sex=sex or summary.sex,
        age_years=age_years or summary.age_years,
        height_cm=height_cm or summary.height_cm,
    )
    references, limits = predicted.references, list(predicted.limits)
    values, conflicts = normalised(summary.values)
    after = summary.stage == "post" if post_bronchodilator is None else post_bronchodilator
    compared = tuple(_with_reference(value, predicted.equation, references) for value in values)
    by_name = {value.parameter: value for value in compared}
    conflicts += check_lines(by_name)
    conflicts += check_reference(by_name, summary.equation)
    grade = device_grade(summary.quality)
    ratio = _ratio(by_name)
    own_class, own_severity, own_airways = _by_device(by_name)
    interpretation = None
    if grade is not None and grade not in _CARRYING:
        limits.append("summary-device-quality-low")
        interpretation = not_graded()
    elif references and ratio is not None and not _stopped(conflicts):
        interpretation = interpret(
            fev1_l=by_name["FEV1"].measured or math.nan,
            fvc_l=by_name["FVC"].measured or math.nan,
            references=references,
            mmef_l_s=_measured(by_name, "MMEF"),
            fef50_l_s=_measured(by_name, "FEF50"),
            fef75_l_s=_measured(by_name, "FEF75"),
            post_bronchodilator=after,
        )
    label = read_label(summary.label)
    conflicts += check_label(label, "device", own_class, own_severity, own_airways)
    if interpretation is not None:
        conflicts += check_label(
            label, "ours", interpretation.cn5_class, interpretation.cn5_severity, interpretation.small_airway
        )
    if ratio is None:
        limits.append("summary-no-fev1-fvc")
    elif _stopped(conflicts):
        limits.append("summary-contradicts-itself")
    if grade is None:
        limits.append("summary-device-quality-unknown")
    if interpretation is not None and interpretation.decided_by:
        limits += _limits_of(interpretation, after, summary.stage is not None or post_bronchodilator is not None)
    if references:
        limits += predicted.not_chosen
    limits += ["summary-no-curve", "screening-only"]
    return SummaryAnalysis(
        values=compared,
        equation=predicted.equation,
        fev1_fvc=ratio,
        label=label,
        device_grade=grade,
        device_class=own_class,
        device_severity=own_severity,
        interpretation=interpretation,
        conflicts=tuple(conflicts),
        findings=_findings(by_name, interpretation, grade, after),
        limits=tuple(dict.fromkeys(limits)),
    )


def device_grade(quality: Mapping[str, str]) -> str | None:
    """The worst letter among the device's own grades; None where there is none.

    Some devices number their letters (``D1``), some put them into a sentence (``综合质控结果：B级``).
    """
    letters = [
        found.group(1)
        for text in quality.values()
        if (found := re.search(r"(?<![A-Za-z])([A-FU])[0-9]?(?![A-Za-z0-9])", text)) is not None
    ]
    return max(letters, key=_WORST_LAST.index, default=None)


def _with_reference(value: ComparedValue, equation: str, references: Mapping[str, Reference]) -> ComparedValue:
    """The value with the county's predicted, LLN and z beside the device's."""
    keys = _KEYS.get(value.parameter, (value.parameter,))
    found = next((references[key] for key in keys if key in references), None)
    if found is None:
        return value
    scale = ratio_scale(equation) if value.parameter == "FEV1FVC" else 1.0
    told = replace(value, predicted=found.predicted / scale, lln=found.lln / scale)
    if value.measured is None or value.measured <= 0:
        return told
    return replace(told, percent=found.percent(value.measured * scale), z=found.z(value.measured * scale))


def _measured(values: Mapping[str, ComparedValue], parameter: str) -> float | None:
    value = values.get(parameter)
    return None if value is None else value.measured


def _ratio(values: Mapping[str, ComparedValue]) -> float | None:
    fev1, fvc = _measured(values, "FEV1"), _measured(values, "FVC")
    return fev1 / fvc if fev1 and fvc else None


def _stopped(conflicts: list[SummaryConflict]) -> bool:
    return any(c.code in _STOPPING and c.parameter in ("FEV1", "FEV1FVC") for c in conflicts)


def _by_device(values: Mapping[str, ComparedValue]) -> tuple[str | None, str | None, str]:
    """Class, severity and small airways by the five-class rule on the device's own percentages of predicted."""
    percent = {name: value.device_percent for name, value in values.items()}
    airways = small_airway([percent.get(name) for name in ("MMEF", "FEF50", "FEF75")])
    fev1, fvc, ratio = (percent.get(name) for name in ("FEV1", "FVC", "FEV1FVC"))
    if ratio is None and (line := values.get("FEV1FVC")) and line.device_predicted and (own := _ratio(values)):
        ratio = 100 * own / line.device_predicted
    if fev1 is None or fvc is None or ratio is None:
        return None, None, airways
    low = ratio < settings("interpretation")["cn5"]["ratio_percent"] - _ROUNDING
    class_ = cn5_class(low, fvc, airways)
    severity = cn5_severity(fev1) if class_ in ("obstructive", "restrictive", "mixed") else None
    return class_, severity, airways


def _limits_of(interpretation: Interpretation, after: bool, said: bool) -> list[str]:
    limits = []
    if interpretation.small_airway == "cannot-say":
        limits.append("small-airway-cannot-say")
    if interpretation.cn5_class in ("restrictive", "mixed"):
        limits.append("restriction-needs-lung-volumes")
    if not after:
        limits.append("before-bronchodilator" if said else "summary-stage-unknown")
    return limits


def _findings(
    values: Mapping[str, ComparedValue], interpretation: Interpretation | None, grade: str | None, after: bool
) -> tuple[Finding, ...]:
    """What the rules say of the values under the county's equation; the grade they see is the device's."""
    from zhenbao.rules import evaluate

    if interpretation is None:
        return ()
    context = {
        "post_bronchodilator": "yes" if after else "no",
        "pattern": interpretation.shown_class,
        "prism": "yes" if interpretation.prism else "no",
    }
    if grade is not None:
        context["grade"] = grade
    told = {name: Quantity(value.measured, "L") for name, value in _both(values) if value.measured is not None}
    if interpretation.decided_by:
        for key in ("fev1_percent_predicted", "fvc_percent_predicted", "fev1fvc_percent_predicted"):
            told[key] = Quantity(interpretation.decided_by[key], "%")
    return evaluate("spirometry", told, context)


def _both(values: Mapping[str, ComparedValue]) -> list[tuple[str, ComparedValue]]:
    return [(name.lower(), values[name]) for name in ("FEV1", "FVC") if name in values]
