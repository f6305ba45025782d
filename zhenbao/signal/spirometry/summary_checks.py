"""What cannot be taken as a device sent it: units, impossible values, numbers and words that contradict each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zhenbao.model.spirometry_summary import ComparedValue, SummaryConflict
from zhenbao.signal.spirometry.tables import settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zhenbao.model.spirometry_summary import DeviceLabel, SummaryValue


def normalised(values: Mapping[str, SummaryValue]) -> tuple[list[ComparedValue], list[SummaryConflict]]:
    """Every line in litres, litres a second, seconds, or a plain ratio, and what is wrong with its unit or size.

    A unit that is unknown or missing, or under which the value is impossible, leaves the value out: it is not guessed.
    Where another usual unit would make it possible, the conflict ``unit-mistaken`` names it.
    """
    lines: list[ComparedValue] = []
    conflicts: list[SummaryConflict] = []
    limits = settings("summary")["possible"]
    for parameter, value in values.items():
        wanted, least, most = (limits[parameter][key] for key in ("unit", "least", "most"))
        factor, conflict = _factor(parameter, value, wanted)
        if conflict is not None:
            conflicts.append(conflict)
        if factor is None:
            lines.append(ComparedValue(parameter, wanted, None, device_percent=value.percent_predicted))
            continue
        measured = None if value.measured is None else value.measured * factor
        if measured is not None and not least <= measured <= most:
            conflicts.append(_impossible(parameter, value, wanted, measured))
            # Its reference stands in the same doubtful unit.
            lines.append(ComparedValue(parameter, wanted, None, device_percent=value.percent_predicted))
            continue
        lines.append(_line(parameter, wanted, value, measured, factor))
    return lines, conflicts


def _factor(parameter: str, value: SummaryValue, wanted: str) -> tuple[float | None, SummaryConflict | None]:
    """Factor to the unit wanted; None where the unit does not say."""
    table = settings("summary")
    spelling = "".join(value.unit.lower().split())
    if not spelling:
        if wanted == "1":
            known = [n for n in (value.measured, value.predicted) if n is not None]
            return (0.01 if known and max(known) > table["ratio"]["per_cent_above"] else 1.0), None
        if value.measured is None:
            return None, None
        return None, SummaryConflict("unit-missing", parameter, numbers={"measured": value.measured})
    unit = table["units"].get(spelling)
    if unit is None or unit["to"] != wanted:
        return None, SummaryConflict("unit-unknown", parameter, told=value.unit, found=wanted)
    return float(unit["factor"]), None


def _impossible(parameter: str, value: SummaryValue, wanted: str, measured: float) -> SummaryConflict:
    """The value cannot be a person's; perhaps it is in another unit."""
    table = settings("summary")
    bounds = table["possible"][parameter]
    numbers = {"measured": measured, "least": bounds["least"], "most": bounds["most"]}
    if value.measured is None:
        return SummaryConflict("impossible", parameter, told=value.unit, numbers=numbers)
    # A plain number in a field that says mL or L/min fits as it stands.
    factors = {other: table["units"][other]["factor"] for other in table["mistaken"].get(wanted, ())} | {wanted: 1.0}
    fits = [unit for unit, factor in factors.items() if bounds["least"] <= value.measured * factor <= bounds["most"]]
    if fits:
        return SummaryConflict("unit-mistaken", parameter, told=value.unit, found=" / ".join(fits), numbers=numbers)
    return SummaryConflict("impossible", parameter, told=value.unit, numbers=numbers)


def _line(parameter: str, unit: str, value: SummaryValue, measured: float | None, factor: float) -> ComparedValue:
    def scaled(number: float | None) -> float | None:
        return None if number is None else number * factor

    predicted = scaled(value.predicted)
    percent = value.percent_predicted
    if percent is None and measured is not None and predicted:
        percent = 100 * measured / predicted
    return ComparedValue(parameter, unit, measured, predicted, percent, scaled(value.lln), value.z)


def check_lines(values: Mapping[str, ComparedValue]) -> list[SummaryConflict]:
    """Lines against each other, and each against itself: order, ratio, per cent of predicted."""
    table = settings("summary")
    conflicts: list[SummaryConflict] = []
    measured = {name: value.measured for name, value in values.items() if value.measured is not None}
    for small, large in table["order"]["pairs"]:
        if small in measured and large in measured:
            allowed = max(table["order"]["rounding"], table["order"]["rounding_of_larger"] * measured[large])
            if measured[small] > measured[large] + allowed:
                numbers = {"measured": measured[small], "other": measured[large]}
                conflicts.append(SummaryConflict("order", small, told=small, found=large, numbers=numbers))
    if {"FEV1", "FVC", "FEV1FVC"} <= measured.keys():
        own = measured["FEV1"] / measured["FVC"]
        if abs(own - measured["FEV1FVC"]) > table["ratio"]["apart"]:
            numbers = {"told": measured["FEV1FVC"], "found": own}
            conflicts.append(SummaryConflict("ratio-mismatch", "FEV1FVC", numbers=numbers))
    for name, value in values.items():
        if value.measured is not None and value.device_predicted and value.device_percent is not None:
            own = 100 * value.measured / value.device_predicted
            if abs(own - value.device_percent) > table["percent"]["apart"]:
                numbers = {"told": value.device_percent, "found": own}
                conflicts.append(SummaryConflict("percent-mismatch", name, numbers=numbers))
    return conflicts


def check_reference(values: Mapping[str, ComparedValue], equation: str | None) -> list[SummaryConflict]:
    """The device's reference: its name, its predicted values beside the county's, its limits and its z."""
    table = settings("summary")
    conflicts: list[SummaryConflict] = []
    if any(value.device_predicted is not None for value in values.values()):
        if not equation:
            conflicts.append(SummaryConflict("equation-missing"))
        elif not any(character.isalpha() for character in equation):
            conflicts.append(SummaryConflict("equation-code", told=equation))
    for name, value in values.items():
        if value.device_predicted and value.predicted:
            apart = 100 * (value.device_predicted / value.predicted - 1)
            if abs(apart) > table["predicted"]["apart_percent"]:
                numbers = {"told": value.device_predicted, "found": value.predicted, "percent": apart}
                conflicts.append(SummaryConflict("predicted-differs", name, numbers=numbers))
    return conflicts + _pseudo_z(values)


def _pseudo_z(values: Mapping[str, ComparedValue]) -> list[SummaryConflict]:
    """Limits that are a fixed part of predicted, and a z that is made of them, or cut."""
    rule = settings("summary")["pseudo_z"]
    fixed = {
        name: part for name, value in values.items() if (part := _fixed_part(value, rule["fixed_within"])) is not None
    }
    conflicts: list[SummaryConflict] = []
    if len(fixed) < rule["least_lines"]:
        fixed = {}
    for name, part in fixed.items():
        conflicts.append(SummaryConflict("lln-fixed", name, numbers={"part": part}))
    for name, value in values.items():
        z, measured, predicted, lln = value.device_z, value.measured, value.device_predicted, value.device_lln
        if z is None:
            continue
        numbers = {"told": z} if value.z is None else {"told": z, "found": value.z}
        line = None
        if measured is not None and predicted is not None and lln is not None and predicted > lln:
            line = rule["line_z"] * (measured - predicted) / (predicted - lln)
            numbers["line"] = line
        if line is not None and abs(z) == rule["clamp_z"] and abs(line) > rule["clamp_z"] + rule["within_z"]:
            conflicts.append(SummaryConflict("z-cut", name, numbers=numbers))
        elif line is not None and name in fixed and abs(z - line) <= rule["within_z"]:
            conflicts.append(SummaryConflict("pseudo-z", name, numbers=numbers))
    return conflicts


def _fixed_part(value: ComparedValue, within: float) -> float | None:
    """The part of predicted at which the device's limit stands, if it is one that devices fix."""
    rule = settings("summary")["pseudo_z"]
    if value.device_lln is None or not value.device_predicted:
        return None
    if value.parameter == "FEV1FVC":
        return rule["fixed_ratio"] if abs(value.device_lln - rule["fixed_ratio"]) <= 1e-6 else None
    part = value.device_lln / value.device_predicted
    return next((float(fixed) for fixed in rule["fixed_parts"] if abs(part - fixed) <= within), None)


def check_label(
    label: DeviceLabel, against: str, class_: str | None, severity: str | None, airways: str
) -> list[SummaryConflict]:
    """The device's words against numbers.

    Args:
        label: as read.
        against: ``device`` for the device's own percentages, ``ours`` for the county's equation.
        class_, severity, airways: what those numbers give.
    """
    conflicts: list[SummaryConflict] = []
    if label.unread and against == "device":
        conflicts.append(SummaryConflict("label-unread"))
    if class_ in (None, "not-graded") or label.class_ is None:
        return conflicts
    # "cannot-say": ratio and FVC are not low, the flows would decide between these two.
    unsure = class_ == "cannot-say" and label.class_ in ("normal", "small-airway")
    if label.class_ != class_ and not unsure:
        conflicts.append(SummaryConflict(f"label-class-{against}", told=label.class_, found=class_))
    if label.severity is not None and severity is not None and label.severity != severity:
        conflicts.append(SummaryConflict(f"label-severity-{against}", told=label.severity, found=severity))
    if label.small_airway and airways == "no" and label.class_ != "small-airway":
        conflicts.append(SummaryConflict(f"label-small-airway-{against}"))
    return conflicts
