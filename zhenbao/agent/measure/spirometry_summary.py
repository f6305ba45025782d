"""Spirometry that another device has computed: its numbers into the visit, marked as a summary without curves.

From a file (Xeek JSON, ndd XML, GDT) it is compared with the county's equation and judged as far as the device's own
quality letters carry. From a Contec SP10, whose protocol nobody has confirmed on a real device, it is kept as numbers
marked unverified, and nothing is concluded from it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from zhenbao.agent.capture import only_measurement
from zhenbao.agent.kit import Kit
from zhenbao.agent.limits import plausible
from zhenbao.agent.measure.saving import conclude
from zhenbao.agent.protocols import protocol
from zhenbao.agent.recovery import close_orphans
from zhenbao.agent.visit import Visit, kept_context, known_context
from zhenbao.model.errors import DeviceError, FrameError, InputError
from zhenbao.model.ids import uuid7
from zhenbao.model.observation import Observation
from zhenbao.model.quantity import Quantity
from zhenbao.model.time import BEIJING, decimal_age_years, local_time

if TYPE_CHECKING:
    from zhenbao.model.spirometry_summary import SpirometrySummary, SummaryAnalysis

OTHER_VISIT, NO_BLOW, IMPLAUSIBLE = "other-visit", "no-forced-blow", "implausible"
"""Why a test is not charted."""
UNVERIFIED = "unverified-device"
_AGE_APART_YEARS, _HEIGHT_APART_CM = 1.5, 3.0
"""A device asks for completed years and whole centimetres; more apart is another person, or a mistake."""


@dataclass(frozen=True, slots=True)
class _Test:
    """One test of a device, and what names it for ever."""

    summary: SpirometrySummary
    values: dict[str, Quantity]
    key: str
    analysis: SummaryAnalysis | None = None
    """None: nothing may be concluded from it."""


def take_summary_file(kit: Kit, visit: Visit, path: Path, *, sure: bool) -> None:
    """Chart the tests of a file that a spirometer wrote.

    Args:
        sure: the doctor has looked again: it is this person's, although the file tells another sex, age or height, or a
            time outside this visit.

    Raises:
        InputError: as :func:`zhenbao.formats.read_summary.read_summary_file`; ``summary-person``, ``summary-time``,
            ``summary-no-blow``, ``summary-implausible``; ``measuring``.
    """
    from zhenbao.formats.read_summary import read_summary_file
    from zhenbao.signal.spirometry.summary import analyse_summary

    arrived_s = kit.clock.monotonic_s()
    settings, patient = kit.settings, visit.patient
    tests = []
    for summary in read_summary_file(path):
        if (differing := _differing(kit, visit, summary)) and not sure:
            raise InputError("summary-person", what=kit.screen.words("agent.list_separator").join(differing))
        if not _of_this_visit(kit, visit, summary.measured_at) and not sure:
            raise InputError("summary-time", time=(summary.measured_at or "").replace("T", " "))
        analysis = analyse_summary(
            summary,
            equation=settings.spirometry_equation or None,
            ethnicity=settings.spirometry_group or None,
            flow_equation=settings.spirometry_flows or None,
            sex=str(patient.sex) if str(patient.sex) in ("male", "female") else None,
            age_years=_age(kit, visit, _device_time(summary.measured_at)),
            height_cm=patient.height_cm,
        )
        values = _values({v.parameter: v.measured for v in analysis.values})
        if not values:
            raise InputError("summary-no-blow")
        if not _believable(values):
            raise InputError("summary-implausible", fev1=values["fev1"].value, fvc=values["fvc"].value)
        tests.append(_Test(summary, values, _key(summary), analysis))
    with only_measurement(kit.home):
        close_orphans(kit, keep_encounter=visit.encounter.id)
        for test in tests:
            _conclude(kit, visit, test, arrived_s)


async def take_stored_tests(kit: Kit, visit: Visit) -> None:
    """Chart the tests that a Contec SP10 has stored in this visit; set aside the others. None is deleted on it.

    Raises:
        DeviceError: ``spirometer-not-set`` (no port in the settings), ``spirometer-silent``, ``spirometer-dialogue``,
            or its port is absent, denied, held by another program or lost; what came before is kept.
        FrameError: a test could not be read; the others are kept.
        InputError: ``measuring``.
    """
    from zhenbao.drivers.contec.driver import ContecSpirometer, FetchedTest
    from zhenbao.drivers.links.serial import open_serial

    if not kit.settings.spirometer_port:
        raise DeviceError("spirometer-not-set")
    with only_measurement(kit.home):
        close_orphans(kit, keep_encounter=visit.encounter.id)
        kit.screen.say("spirometer.connect")
        kit.screen.event("spirometer-wanted")
        driver = ContecSpirometer(kit.clock)
        fetched: list[FetchedTest] = []
        broke_off: DeviceError | FrameError | None = None
        async with open_serial(kit.settings.spirometer_port) as link:
            try:
                async for one in driver.read(link):
                    fetched.append(one)
            except (DeviceError, FrameError) as error:
                broke_off = error
        arrived_s = kit.clock.monotonic_s()
        aside: Counter[str] = Counter()
        charted = 0
        for one in fetched:
            summary = one.test.summary(driver.device)
            test = _Test(summary, _values({n: v.measured for n, v in summary.values.items()}), _raw_key(one.test.raw))
            if (reason := _why_not(kit, visit, test)) is not None:
                aside[reason] += kit.store.set_aside(test.key, "spirometry", reason, one.test.raw)
            else:
                charted += _conclude(kit, visit, test, arrived_s)
        _say_aside(kit, aside, charted)
        kit.screen.event("spirometer", fetched=len(fetched), charted=charted, set_aside=dict(+aside))
        if broke_off is not None:
            raise broke_off


def _why_not(kit: Kit, visit: Visit, test: _Test) -> str | None:
    """Why a stored test is not charted; None where it is."""
    if not test.values:
        return NO_BLOW
    if test.summary.measured_at is None or not _of_this_visit(kit, visit, test.summary.measured_at):
        return OTHER_VISIT
    return None if _believable(test.values) else IMPLAUSIBLE


def _say_aside(kit: Kit, aside: Counter[str], charted: int) -> None:
    if others := aside[OTHER_VISIT]:
        kit.screen.say("spirometer.others", count=others)
    for reason in (NO_BLOW, IMPLAUSIBLE):
        if aside[reason]:
            kit.screen.say("spirometer.aside", count=aside[reason], reason=kit.screen.words(f"quarantine.{reason}"))
    if not charted:
        kit.screen.say("spirometer.none")


def _conclude(kit: Kit, visit: Visit, test: _Test, arrived_s: float) -> bool:
    observation = _observation(kit, visit, test)
    _say(kit, test, observation)
    nothing = "agent.nothing_found" if test.analysis and test.analysis.interpretation else "agent.not_judged"
    return conclude(kit, visit, observation, last_sample_s=arrived_s, nothing_found=nothing)


def _observation(kit: Kit, visit: Visit, test: _Test) -> Observation:
    now_ms = kit.clock.now_ms()
    summary, analysis = test.summary, test.analysis
    live = _of_this_visit(kit, visit, summary.measured_at)
    at = _device_time(summary.measured_at)
    measured_ms = now_ms if live or at is None else _instant_ms(at)
    context = kept_context(known_context(visit.patient, visit.encounter, now_ms))
    notes = ["device-summary", *(["summary-person"] if _differing(kit, visit, summary) else [])]
    if analysis is None:
        notes += ["ungraded", UNVERIFIED]
    else:
        notes += ["summary-conflicts"] if analysis.conflicts else []
        notes += [] if live else ["summary-earlier"]
        context |= {"device_grade": analysis.device_grade} if analysis.device_grade else {}
    return Observation(
        uuid7(now_ms),
        visit.patient.id,
        visit.encounter.id,
        kit.settings.kit_id,
        "spirometry",
        "preliminary",
        measured_ms,
        summary.device if summary.device.driver != "file" else replace(summary.device, driver=f"file:{summary.format}"),
        test.values,
        context=context,
        findings=analysis.findings if analysis else (),
        device_time=at.isoformat(timespec="seconds") if at else None,
        device_key=test.key,
        notes=tuple(notes),
    )


def _say(kit: Kit, test: _Test, observation: Observation) -> None:
    words, analysis = kit.screen.words, test.analysis
    values = {name: quantity.value for name, quantity in test.values.items()}
    time = (test.summary.measured_at or words("spirometer.time_unknown")).replace("T", " ")[:19]
    kit.screen.say("spirometer.result", fev1=values["fev1"], fvc=values["fvc"], ratio=values["fev1_fvc"], time=time)
    if test.summary.label:
        kit.screen.say("spirometer.label", label=words("agent.list_separator").join(test.summary.label.split("\n")))
    if analysis is not None and analysis.interpretation is not None:
        severity = analysis.interpretation.cn5_severity
        kit.screen.say(
            "agent.spirometry_class",
            pattern=words(f"spirometry_class.{analysis.interpretation.shown_class}"),
            severity=words("agent.severity", severity=words(f"spirometry_severity.{severity}")) if severity else "",
            equation=words(f"equation.{analysis.equation}") if analysis.equation else "",
        )
    for note in observation.notes:
        kit.screen.say("spirometer.note", text=words(f"note.{note}"))


def _values(measured: dict[str, float | None]) -> dict[str, Quantity]:
    """FEV1, FVC and their ratio; empty where one of the two is missing."""
    fev1, fvc = measured.get("FEV1"), measured.get("FVC")
    if not fev1 or not fvc:
        return {}
    ratio = Quantity(round(100 * fev1 / fvc, 1), "%")
    return {"fev1": Quantity(fev1, "L"), "fvc": Quantity(fvc, "L"), "fev1_fvc": ratio}


def _believable(values: dict[str, Quantity]) -> bool:
    return values["fev1"].value <= values["fvc"].value and all(plausible(n, values[n]) for n in ("fev1", "fvc"))


def _differing(kit: Kit, visit: Visit, summary: SpirometrySummary) -> list[str]:
    """In what the device was told of another person than the one in the chair."""
    words, patient = kit.screen.words, visit.patient
    told = []
    if summary.sex and str(patient.sex) in ("male", "female") and summary.sex != str(patient.sex):
        told.append(words(f"sex.{summary.sex}"))
    at = _device_time(summary.measured_at)
    age = _age(kit, visit, at)
    if summary.age_years and age is not None and abs(summary.age_years - age) > _AGE_APART_YEARS:
        told.append(words("agent.years", age=round(summary.age_years)))
    if summary.height_cm and patient.height_cm and abs(summary.height_cm - patient.height_cm) > _HEIGHT_APART_CM:
        told.append(f"{summary.height_cm:g} cm")
    return told


def _of_this_visit(kit: Kit, visit: Visit, measured_at: str | None) -> bool:
    """Whether the device's time lies in this visit; a test without a time is taken for one of now."""
    at = _device_time(measured_at)
    if at is None:
        return True
    clock, measured_ms = protocol("clock"), _instant_ms(at)
    since_ms = visit.encounter.started_ms - 1000 * clock["before_visit_s"]
    return bool(since_ms <= measured_ms <= kit.clock.now_ms() + 1000 * clock["device_clock_warning_s"])


def _device_time(measured_at: str | None) -> datetime | None:
    """The device's own wall time; None where it tells none that can be read."""
    try:
        at = datetime.fromisoformat(measured_at or "")
    except ValueError:
        return None
    return at.astimezone(BEIJING).replace(tzinfo=None) if at.tzinfo else at


def _instant_ms(at: datetime) -> int:
    return round(at.replace(tzinfo=BEIJING).timestamp() * 1000)


def _age(kit: Kit, visit: Visit, at: datetime | None = None) -> float | None:
    """The patient's age, at the test where its time is known."""
    born = visit.patient.birth_date
    return decimal_age_years(born, (at or local_time(kit.clock.now_ms())).date()) if born else None


def _key(summary: SpirometrySummary) -> str:
    return f"{summary.format}|{summary.measured_at or ''}|{_digest(msgspec.json.encode(summary, order='sorted'))}"


def _raw_key(raw: bytes) -> str:
    return f"contec-sp10|{_digest(raw)}"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
