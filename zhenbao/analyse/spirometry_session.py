"""From the blows of a file to what stands on the page."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from zhenbao.model.errors import InputError
from zhenbao.paper import Bounds, Change, Examined, SpirometryReport
from zhenbao.paper.spirometry_report import CARRYING
from zhenbao.signal.spirometry import (
    EQUATIONS,
    analyse_session,
    bronchodilator_response,
    btps_factor,
    equation_name,
)
from zhenbao.signal.spirometry.curve import clean
from zhenbao.signal.spirometry.tables import settings

if TYPE_CHECKING:
    from zhenbao.analyse.spirometry import Person
    from zhenbao.figures.aligned import Curve
    from zhenbao.formats.spirometry_file import SpirometryFile
    from zhenbao.model.spirometry import SpirometryAnalysis
    from zhenbao.words import Words


def report_of(
    before: SpirometryFile,
    after: SpirometryFile | None,
    person: Person,
    words: Words,
    *,
    post_only: bool = False,
    ambient_c: float | None = None,
    pressure_kpa: float = 101.325,
    taken: str | None = None,
    device: str | None = None,
) -> SpirometryReport:
    """Analyse one session, or one before and one after a bronchodilator.

    Args:
        post_only: ``before`` was itself blown after a bronchodilator.
        ambient_c, pressure_kpa: of the gas in the sensor, for a file that is not at BTPS.
        taken, device: printed as they are.

    Raises:
        InputError: an unknown equation or group, or ``analyse-btps``.
    """
    if person.equation is not None and person.equation not in EQUATIONS:
        raise InputError("reference-equation", equation=person.equation[:32], known=", ".join(EQUATIONS))
    known = True
    for read in (before, after):
        if read is not None:
            if (read.btps == "no" and ambient_c is None) or (read.btps == "yes" and ambient_c is not None):
                raise InputError("analyse-btps-missing" if read.btps == "no" else "analyse-btps-already")
            known = known and (read.btps == "yes" or ambient_c is not None)
    factor = 1.0 if ambient_c is None else btps_factor(ambient_c, pressure_kpa)
    first = _examined(before, person, factor, post_bronchodilator=post_only)
    second = _examined(after, person, factor, post_bronchodilator=True) if after is not None else None
    rules = settings("interpretation")
    return SpirometryReport(
        before=first,
        equation=_equation(first.analysis, words),
        bounds=Bounds(
            (
                rules["ats2021"]["z_low"],
                rules["ats2021"]["z_mild_down_to"],
                rules["ats2021"]["z_moderate_down_to"],
            ),
            rules["cn5"]["fev1_percent"],
        ),
        after=second,
        changes=_changes(first.analysis, second.analysis) if second is not None else {},
        post_only=post_only,
        sex=person.sex,
        age_years=person.age_years,
        height_cm=person.height_cm,
        taken=taken,
        device=device,
        btps_known=known,
    )


def _examined(read: SpirometryFile, person: Person, factor: float, *, post_bronchodilator: bool) -> Examined:
    blows = [(np.asarray(blow.time_s), np.asarray(blow.values) * factor) for blow in read.blows]
    analysis = analyse_session(
        blows,
        sex=person.sex,
        age_years=person.age_years,
        height_cm=person.height_cm,
        equation=person.equation,
        ethnicity=person.ethnicity,
        flow_equation=person.flow_equation,
        post_bronchodilator=post_bronchodilator,
        measured=read.measured,
    )
    curves = tuple(
        (time.tolist(), values.tolist()) if read.measured == "flow" else _flow(time, values) for time, values in blows
    )
    return Examined(analysis, curves, tuple(blow.number for blow in read.blows), read.incomplete)


def _flow(time_s: np.ndarray, volume_l: np.ndarray) -> Curve:
    """Flow of a curve of volume, for drawing, by the measurement's own rules; a hole stays one."""
    curve = clean(time_s, flow_l_s=None, volume_l=volume_l)
    if curve is None:
        return [], []
    times, flows = curve.time_s.tolist(), curve.flow_l_s.tolist()
    for start, stop in reversed(curve.gaps):
        place = int(np.searchsorted(curve.time_s, stop))
        times.insert(place, (start + stop) / 2)
        flows.insert(place, float("nan"))
    return times, flows


def _equation(analysis: SpirometryAnalysis, words: Words) -> str:
    """The equation's name, with the group where it has groups."""
    name = equation_name(analysis.equation)
    if not analysis.group:
        return name
    return words("spirometry_page.group", equation=name, group=words(f"gli_group.{analysis.group}"))


def _changes(before: SpirometryAnalysis, after: SpirometryAnalysis) -> dict[str, Change]:
    """What the quality carries of the bronchodilator response."""
    changes = {}
    for name, grades, first, last in (
        ("FEV1", (before.session.fev1_grade, after.session.fev1_grade), before.session.fev1_l, after.session.fev1_l),
        ("FVC", (before.session.fvc_grade, after.session.fvc_grade), before.session.fvc_l, after.session.fvc_l),
    ):
        if not first or last is None or not set(grades) <= set(CARRYING):
            continue
        change = Change(first, last, 100 * (last - first) / first)
        if name in before.references:
            judged = bronchodilator_response(first, last, before.references[name].predicted)
            change = replace(
                change,
                percent_of_predicted=judged.percent_of_predicted,
                positive_2021=judged.positive_2021,
                positive_2005=judged.positive_2005,
            )
        changes[name] = change
    return changes
