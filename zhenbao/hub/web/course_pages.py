"""Comparison over time: drawings, and in words what changed since the last time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response
from markupsafe import Markup

from zhenbao.figures.course import CourseLine, CoursePoint, Mark, draw_course
from zhenbao.hub import chronic as care
from zhenbao.hub.access import Viewer
from zhenbao.hub.courses import KINDS, Course, Taken, courses, readings
from zhenbao.hub.store import identities, organisations
from zhenbao.hub.store.people import Session
from zhenbao.hub.web.present import Presenter
from zhenbao.hub.web.security import session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.observation import Observation
from zhenbao.model.patient import Patient
from zhenbao.model.time import local_time
from zhenbao.rules.comparison import Change

router = APIRouter()
_DRAWN = {
    "bp": (("bp_systolic", "bp_diastolic"),),
    "glucose": (("glucose_capillary",),),
    "spirometry": (("fev1", "fvc"),),
    "ecg": (("heart_rate_ecg",), ("ecg_qtc_fridericia",)),
    "spo2": (("spo2",),),
    "weight": (("body_weight",),),
}
"""What stands in one drawing: one unit each."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A course as the page shows it."""

    course: Course
    drawings: tuple[Markup, ...]
    told: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@router.get("/cases/{case_id}/trends")
def case_trends(request: Request, case_id: UUID) -> Response:
    """For whoever may open the case."""
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    case, _ = site.worklist.look(case_id, session.practitioner)
    seer = site.worklist.viewer(session.practitioner)
    with site.store.reading() as connection:
        persons = identities.same_person(connection, case.item.patient_id)
    opened = seer.grant(case.item) is not None or case.item.patient_id in seer.referred
    return _page(request, session, seer, persons, case.patient, f"/cases/{case_id}", opened=opened)


@router.get("/chronic/patients/{patient_id}/trends")
def patient_trends(request: Request, patient_id: UUID) -> Response:
    """For whoever may see the chronic patient."""
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    seer = site.worklist.viewer(session.practitioner)
    with site.store.reading() as connection:
        persons = care.persons(connection, seer, patient_id)
        patient = care.patient_of(connection, persons)
    return _page(request, session, seer, persons, patient, f"/chronic/patients/{patient_id}", opened=False)


def _page(
    request: Request,
    session: Session,
    seer: Viewer,
    persons: Sequence[UUID],
    patient: Patient | None,
    back: str,
    *,
    opened: bool,
) -> Response:
    site: Site = request.app.state.site
    presenter = site.presenter(request)
    with site.store.reading() as connection:
        taken, elsewhere = readings(connection, seer, persons, opened=opened)
        units = {unit.id: unit.name for unit in organisations.everyone(connection)}
    shown = [_shown(presenter, course, units) for course in courses(taken)]
    return site.page(
        request, "courses.html", session=session, patient=patient, back=back, shown=shown, elsewhere=elsewhere
    )


def _shown(p: Presenter, course: Course, units: dict[str, str]) -> Shown:
    return Shown(
        course,
        tuple(drawing for names in _DRAWN[course.code] if (drawing := _draw(p, course, names))),
        tuple(_told(p, course)),
        tuple(_row(p, each, course.code, units) for each in reversed(course.taken)),
    )


def _draw(p: Presenter, course: Course, names: tuple[str, ...]) -> Markup | None:
    unit = next(
        (each.reading.values[n].unit for each in reversed(course.taken) for n in names if n in each.reading.values), ""
    )
    lines = []
    for name in names:
        points = [
            CoursePoint(_day(each.reading), quantity.value, _mark(each.reading), _device(each.reading))
            for each in course.taken
            if (quantity := each.reading.values.get(name)) is not None and quantity.unit == unit
        ]
        if points:
            lines.append(CourseLine(p.quantity_name(name), tuple(points)))
    if not lines or max(len(line.points) for line in lines) < 2:
        return None
    drawn = draw_course(
        lines, title=p.text(f"observation.{course.code}"), unit=p.unit(unit), legend=p.words("hub.course.legend")
    )
    return Markup(drawn)  # noqa: S704 - our own drawing; every text in it was escaped


def _told(p: Presenter, course: Course) -> list[str]:
    """What changed, in words."""
    if course.last is None:
        return [p.words("hub.course.too_few")]
    told = [_change(p, change) for change in course.changes]
    now, before = course.taken[-1].reading, course.last
    if now.ecg is not None and before.ecg is not None and now.ecg.rhythm != before.ecg.rhythm:
        rhythms = [p.text(f"rhythm.{r.ecg.rhythm}") for r in (before, now) if r.ecg is not None]
        told.append(p.words("hub.course.rhythm", before=rhythms[0], now=rhythms[1]))
    for key, rules in (("findings_new", course.new_rules), ("findings_gone", course.gone_rules)):
        if rules:
            names = p.words("hub.list_separator").join(p.rule(rule) for rule in rules)
            told.append(p.words(f"hub.course.{key}", names=names))
    if course.code == "spirometry":
        told += _spirometry(p, course.taken)
    return told


def _change(p: Presenter, change: Change) -> str:
    name, unit = p.quantity_name(change.name), p.unit(change.unit)
    if change.beyond_range:
        return p.words("comparison.beyond", name=name)
    before, now = _number(change.before), _number(change.now)
    if change.direction == "same":
        if change.within is None or change.before == change.now:
            return p.words("comparison.equal", name=name, now=now, unit=unit)
        within = _number(change.within)
        return p.words("comparison.same", name=name, before=before, now=now, unit=unit, within=within)
    difference = _number(abs(change.now - change.before))
    return p.words(
        f"comparison.{change.direction}", name=name, difference=difference, unit=unit, before=before, now=now
    )


def _spirometry(p: Presenter, taken: Sequence[Taken]) -> list[str]:
    """Whether a change is more than chance, by the published limits; grades below C are not compared."""
    from zhenbao.signal.spirometry import past_test
    from zhenbao.signal.spirometry import trend as course_of

    tests = [past_test(t.reading.spirometry, _day(t.reading)) for t in taken if t.reading.spirometry is not None]
    if len(tests) < 2:
        return []
    found, words = course_of(tests), p.words
    told = []
    if (slope := found.ml_per_year) is not None:
        told.append(
            words("hub.course.spirometry.slope", per_year=slope.per_year, low=slope.low, high=slope.high,
                  tests=slope.tests)
        )  # fmt: skip
    if (change := found.since_last) is not None:
        told.append(
            words(
                "hub.course.spirometry.since",
                since=change.since.isoformat(),
                change=change.change_l,
                percent=change.percent,
                verdict=words(f"spirometry_change.{change.significant}"),
                rule=words(f"spirometry_rule.{change.rule}"),
            )
        )
    for left in found.left_out:
        reason = words(f"spirometry_trend.{left.reason}")
        told.append(words("hub.course.spirometry.left_out", date=left.taken_on.isoformat(), reason=reason))
    return told + [words(f"spirometry_trend.{reason}") for reason in found.reasons]


def _row(p: Presenter, taken: Taken, code: str, units: dict[str, str]) -> tuple[str, ...]:
    reading = taken.reading
    values = p.words("hub.list_separator").join(
        f"{p.quantity_name(n)} {p.quantity(reading.values[n])}" for n in KINDS[code] if n in reading.values
    )
    return (
        p.when(reading.effective_ms),
        values,
        units.get(taken.org_id, taken.org_id),
        p.words("hub.recognition.typed") if reading.typed else p.device(reading),
        p.result_quality(reading),
    )


def _mark(reading: Observation) -> Mark:
    if reading.typed:
        return "typed"
    poor = reading.status != "preliminary" or (reading.ecg is not None and not reading.ecg.quality.acceptable)
    if reading.spirometry is not None:
        session = reading.spirometry.session
        poor = poor or max(str(session.fev1_grade), str(session.fvc_grade)) not in ("A", "B", "C")
    return "poor" if poor else "measured"


def _device(reading: Observation) -> str:
    return f"{reading.device.driver} {reading.device.model} {reading.device.serial}"


def _day(reading: Observation) -> date:
    return local_time(reading.effective_ms).date()


def _number(value: float) -> str:
    return f"{round(value, 2):g}"
