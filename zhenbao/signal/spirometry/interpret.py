"""From numbers to words, by two systems side by side, each with the numbers that decided.

Decision support for a physician's review, never a diagnosis: restriction is only suggested by spirometry (it needs
total lung capacity), and chronic obstructive disease can only be considered after a bronchodilator.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from zhenbao.model.spirometry import Interpretation, Reference
from zhenbao.signal.spirometry.tables import settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NOT_GRADED = "not-graded"
CANNOT_SAY = "cannot-say"
RatioRule = Literal["92-percent", "fixed"]

_ROUNDING = 1e-9
_FLOWS = (("mmef", ("MMEF", "FEF2575")), ("fef50", ("FEF50",)), ("fef75", ("FEF75",)))


def ats2021_pattern(ratio_z: float, fev1_z: float, fvc_z: float) -> str:
    """``normal obstructive possible-mixed possible-restriction non-specific`` (ERS/ATS 2021)."""
    if _is_low(ratio_z):
        return "possible-mixed" if _is_low(fvc_z) else "obstructive"
    if _is_low(fvc_z):
        return "possible-restriction"
    return "non-specific" if _is_low(fev1_z) else "normal"


def is_prism_z(ratio_z: float, fev1_z: float) -> bool:
    """Preserved ratio, impaired FEV1, by the lower limits of normal."""
    return not _is_low(ratio_z) and _is_low(fev1_z)


def is_dysanapsis_candidate(ratio_z: float, fev1_z: float) -> bool:
    """Low ratio with an FEV1 that is not low: large lungs behind normal airways may look like that (ERS/ATS 2021)."""
    return _is_low(ratio_z) and not _is_low(fev1_z)


def ats2021_severity(fev1_z: float) -> str:
    """``normal mild moderate severe``, by the z-score of FEV1 (ERS/ATS 2021)."""
    limits = settings("interpretation")["ats2021"]
    if not _is_low(fev1_z):
        return "normal"
    if fev1_z >= limits["z_mild_down_to"] - _ROUNDING:
        return "mild"
    return "moderate" if fev1_z >= limits["z_moderate_down_to"] - _ROUNDING else "severe"


def _is_low(z: float) -> bool:
    """Below the lower limit of normal; a value at the limit is not, whatever its last binary digit."""
    return bool(z < settings("interpretation")["ats2021"]["z_low"] - _ROUNDING)


def small_airway(flows_percent: Sequence[float | None]) -> str:
    """Whether at least two of MMEF, FEF50, FEF75 lie below 65 % of predicted.

    Args:
        flows_percent: the three in per cent of predicted; None where there is no measured or no predicted value.

    Returns:
        ``yes``, ``no``, or ``cannot-say`` where the unknown ones could turn the answer.
    """
    rule = settings("interpretation")["cn5"]
    low = sum(p is not None and p < rule["flow_percent"] - _ROUNDING for p in flows_percent)
    unknown = sum(p is None for p in flows_percent)
    if low >= rule["flows_low"]:
        return "yes"
    return "no" if low + unknown < rule["flows_low"] else CANNOT_SAY


def cn5_class(ratio_low: bool, fvc_percent: float, small_airways: str) -> str:
    """Code of the five Chinese classes: mixed, obstructive, restrictive, small-airway, normal; the first that fits.

    ``cannot-say`` where ratio and FVC are normal and flows that are missing would decide between the last two. This is
    the platform's code; what people read is :func:`cn5_shown`.
    """
    fvc_low = fvc_percent < settings("interpretation")["cn5"]["fvc_percent"] - _ROUNDING
    if ratio_low:
        return "mixed" if fvc_low else "obstructive"
    if fvc_low:
        return "restrictive"
    return {"yes": "small-airway", "no": "normal"}.get(small_airways, CANNOT_SAY)


def cn5_shown(class_: str, fev1_fvc: float, fev1_percent: float) -> str:
    """Key of the words for a class.

    The five classes have no place for an FEV1 below 80 % of predicted beside a normal ratio and FVC, and their code is
    then ``normal``; nobody must read that word. ``unclassified`` says that PRISm is to be looked into;
    ``unclassified-ratio`` that the fixed ratio disagrees with the ratio in per cent of predicted.
    """
    rules = settings("interpretation")
    if class_ not in ("normal", CANNOT_SAY) or fev1_percent >= rules["cn5"]["fev1_percent"] - _ROUNDING:
        return class_
    return "unclassified" if is_prism(fev1_fvc, fev1_percent) else "unclassified-ratio"


def cn5_severity(fev1_percent: float) -> str:
    """Severity of an impairment that was found, by FEV1 in per cent of predicted: five bands."""
    bands = settings("interpretation")["severity"]
    return next(str(b["severity"]) for b in bands if fev1_percent >= b["at_least"] - _ROUNDING)


def gold_grade(fev1_fvc: float, fev1_percent: float) -> str | None:
    """``1`` to ``4``, or None where the ratio after bronchodilator is not below 0.70."""
    if fev1_fvc >= settings("interpretation")["fixed_ratio"]["below"] - _ROUNDING:
        return None
    return next(
        str(row["grade"]) for row in settings("interpretation")["gold"] if fev1_percent >= row["at_least"] - _ROUNDING
    )


def is_prism(fev1_fvc: float, fev1_percent: float) -> bool:
    """Preserved ratio (at least 0.70), impaired FEV1 (below 80 % of predicted)."""
    rule = settings("interpretation")["prism"]
    return bool(
        fev1_fvc >= rule["ratio_at_least"] - _ROUNDING and fev1_percent < rule["fev1_percent_below"] - _ROUNDING
    )


def interpret(
    *,
    fev1_l: float,
    fvc_l: float,
    references: Mapping[str, Reference],
    mmef_l_s: float | None = None,
    fef50_l_s: float | None = None,
    fef75_l_s: float | None = None,
    post_bronchodilator: bool = False,
    ratio_rule: RatioRule = "92-percent",
    flow_references: Mapping[str, Reference] | None = None,
) -> Interpretation:
    """Interpret the values of a session of grade A, B or C.

    Args:
        fev1_l, fvc_l: reported values, in litres; above zero.
        references: of :func:`reference`, at least ``FEV1``, ``FVC`` and ``FEV1FVC``, all of one equation, whose name
            the result carries; an FEV1FVC in per cent (Jian) is recognised by its size.
        mmef_l_s, fef50_l_s, fef75_l_s: mean flow 25-75 %, and the flows when 50 % and 75 % have been exhaled (the
            Chinese and American naming; European MEF25 is FEF75).
        post_bronchodilator: GOLD is judged only then.
        ratio_rule: FEV1/FVC is low below 92 % of predicted (Chinese guideline), or below 0.70.
        flow_references: other references for ``MMEF FEF50 FEF75``, where ``references`` has none.

    Raises:
        ValueError: FEV1 or FVC is not above zero, or the references come from different equations.
    """
    if not (fev1_l > 0 and fvc_l > 0):
        raise ValueError("an interpretation needs an FEV1 and an FVC above zero")
    origins = {(references[key].equation, references[key].group) for key in ("FEV1", "FVC", "FEV1FVC")}
    if len(origins) != 1:
        raise ValueError(f"references of different equations: {sorted(origins)}")
    ((equation, group),) = origins
    ratio = fev1_l / fvc_l
    ratio_reference = references["FEV1FVC"]
    measured_ratio = 100 * ratio if ratio_reference.m > 2 else ratio
    fev1_percent, fvc_percent = references["FEV1"].percent(fev1_l), references["FVC"].percent(fvc_l)
    ratio_percent = ratio_reference.percent(measured_ratio)
    decided = {
        "fev1_fvc": ratio,
        "fev1fvc_percent_predicted": ratio_percent,
        "fev1_percent_predicted": fev1_percent,
        "fvc_percent_predicted": fvc_percent,
        "fev1fvc_z": ratio_reference.z(measured_ratio),
        "fev1_z": references["FEV1"].z(fev1_l),
        "fvc_z": references["FVC"].z(fvc_l),
    }
    flows: list[float | None] = []
    measured_flows = (mmef_l_s, fef50_l_s, fef75_l_s)
    known = {**(flow_references or {}), **references}
    for (name, keys), measured in zip(_FLOWS, measured_flows, strict=True):
        expected = next((known[key] for key in keys if key in known), None)
        flows.append(expected.percent(measured) if expected is not None and measured is not None else None)
        if flows[-1] is not None:
            decided[f"{name}_percent_predicted"] = flows[-1]

    rules = settings("interpretation")
    ratio_low = (
        ratio < rules["fixed_ratio"]["below"] - _ROUNDING
        if ratio_rule == "fixed"
        else ratio_percent < rules["cn5"]["ratio_percent"] - _ROUNDING
    )
    pattern = ats2021_pattern(decided["fev1fvc_z"], decided["fev1_z"], decided["fvc_z"])
    airways = small_airway(flows)
    class_ = cn5_class(ratio_low, fvc_percent, airways)
    prism_z = is_prism_z(decided["fev1fvc_z"], decided["fev1_z"])
    dysanapsis = is_dysanapsis_candidate(decided["fev1fvc_z"], decided["fev1_z"])
    found = Interpretation(
        ats2021_pattern=pattern,
        ats2021_severity=None if pattern == "normal" else ats2021_severity(decided["fev1_z"]),
        cn5_class=class_,
        cn5_severity=cn5_severity(fev1_percent) if class_ in ("obstructive", "restrictive", "mixed") else None,
        small_airway=airways,
        gold=gold_grade(ratio, fev1_percent) if post_bronchodilator else None,
        prism=is_prism(ratio, fev1_percent),
        decided_by=decided,
        equation=equation,
        group=group,
        cn5_shown=cn5_shown(class_, ratio, fev1_percent),
        prism_z=prism_z,
        dysanapsis=dysanapsis,
    )
    return replace(found, notes=_notes(found, post_bronchodilator))


def _notes(found: Interpretation, post_bronchodilator: bool) -> tuple[str, ...]:
    """What people should read beside the class."""
    near = settings("interpretation")["fixed_ratio_near"]
    ratio = found.decided_by["fev1_fvc"]
    said = {
        "prism-found": found.prism,
        "prism-by-z": found.prism_z and not found.prism,
        # Beside a low FVC the candidate is none: the pattern is then a possible mixed disorder.
        "dysanapsis": found.dysanapsis and found.ats2021_pattern == "obstructive",
        "ratio-near-limit": post_bronchodilator
        and near["at_least"] - _ROUNDING <= ratio <= near["at_most"] + _ROUNDING,
    }
    return tuple(key for key, holds in said.items() if holds)


def not_graded() -> Interpretation:
    """What is said of a session whose quality carries no class (grade D, E, F or U)."""
    return Interpretation(
        ats2021_pattern=NOT_GRADED,
        ats2021_severity=None,
        cn5_class=NOT_GRADED,
        cn5_severity=None,
        small_airway=CANNOT_SAY,
        gold=None,
        cn5_shown=NOT_GRADED,
    )
