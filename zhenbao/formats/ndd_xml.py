"""Results of ndd spirometers (EasyOne, EasyOn-PC) as their software hands them to a record system: XML, root ``ndd``.

Patients / Patient / Intervals / Interval / Tests / Test, with the best values of a test as ``ResultParameter`` elements
(``DataValue Unit PredictedValue LLNormalValue``) and its blows as ``Trial``. Height is in metres.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zhenbao.formats.safe_xml import parse_xml
from zhenbao.formats.summary_text import MOST_SUMMARIES, age_at, clean, day, height_cm, number
from zhenbao.model.errors import InputError
from zhenbao.model.observation import Device
from zhenbao.model.spirometry_summary import SpirometrySummary, SummaryValue

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_PARAMETERS = {
    **{
        name: name
        for name in ("FVC", "FEV1", "FEV3", "FEV6", "PEF", "FEF25", "FEF50", "FEF75", "FET", "BEV", "FIVC", "PIF")
    },
    "FEV1_FVC": "FEV1FVC",
    "FEF2575": "MMEF",
}
_FORCED = ("FVC", "FVL")
_STAGES = {"pre": "pre", "post": "post"}
_SEXES = {"male": "male", "female": "female"}
_MOST_TRIALS = 20


def read_ndd(data: bytes) -> tuple[SpirometrySummary, ...]:
    """A summary for each forced test, in the file's order.

    Raises:
        InputError: ``xml-doctype``, ``summary-damaged``, ``summary-number``, ``summary-twice``, ``summary-people``
            (tests of several patients), ``summary-many`` or ``summary-empty``.
    """
    root = parse_xml(data)
    if root.tag != "ndd":
        raise InputError("summary-unknown")
    tested = [p for p in root.iterfind("Patients/Patient") if p.find("Intervals/Interval/Tests/Test") is not None]
    if len(tested) > 1:
        raise InputError("summary-people", count=len(tested))
    found = [
        _summary(test, interval)
        for patient in tested
        for interval in patient.iterfind("Intervals/Interval")
        for test in interval.iterfind("Tests/Test")
        if test.get("TypeOfTest") in _FORCED
    ]
    kept = tuple(s for s in found if any(v.measured is not None for v in s.values.values()))
    if not kept:
        raise InputError("summary-empty")
    if len(kept) > MOST_SUMMARIES:
        raise InputError("summary-many", count=len(kept), most=MOST_SUMMARIES)
    return kept


def _summary(test: Element, interval: Element) -> SpirometrySummary:
    values, left_out = _values(test)
    person = test.find("PatientDataAtTestTime")
    moment = _text(test, "TestDate")
    sex = _text(person, "Gender").lower()
    grade = clean(_text(test, "QualityGrade"), 60)
    set_names = [_text(interval, "PredictedSet/Spiro"), _text(interval, "PredictedSet/EthnicCorrection")]
    return SpirometrySummary(
        format="ndd-xml",
        values=values,
        quality={"session": grade} if grade else {},
        label=clean(_text(test, "Systeminterpretation")) or None,
        equation=clean(" ".join(name for name in set_names[:1] if name), 60) or None,
        measured_at=clean(moment, 32) if day(moment[:10], "%Y-%m-%d") else None,
        stage=_STAGES.get((test.get("StageType") or "").lower()),
        sex=_SEXES.get(sex),
        age_years=age_at(day(_text(person, "DateOfBirth")[:10], "%Y-%m-%d"), day(moment[:10], "%Y-%m-%d")),
        height_cm=height_cm(number(_text(person, "Height"), "Height")),
        device=Device(
            "file",
            "ndd",
            clean(_text(test, "Device/DeviceType"), 32),
            clean(_text(test, "Device/SerialNumber"), 48),
            clean(_text(test, "SWVersion"), 32),
        ),
        left_out=tuple(left_out),
    )


def _values(test: Element) -> tuple[dict[str, SummaryValue], list[str]]:
    """The best values, and what else stands in the table."""
    trials = sorted(
        test.findall("Trials/Trial")[:_MOST_TRIALS], key=lambda t: number(_text(t, "Number"), "Number") or 0
    )
    tries = [{p.get("ID"): p for p in trial.iterfind("ResultParameters/ResultParameter")} for trial in trials]
    values: dict[str, SummaryValue] = {}
    left_out: list[str] = []
    for line in test.iterfind("BestValues/ResultParameter"):
        name = line.get("ID") or ""
        if name not in _PARAMETERS:
            left_out.append(clean(name, 24))
            continue
        if _PARAMETERS[name] in values:
            raise InputError("summary-twice", field=name)
        blown = [number(_text(table[name], "DataValue"), name) if name in table else None for table in tries]
        values[_PARAMETERS[name]] = SummaryValue(
            measured=number(_text(line, "DataValue"), name),
            unit=clean(_text(line, "Unit"), 16),
            predicted=number(_text(line, "PredictedValue"), name),
            lln=number(_text(line, "LLNormalValue"), name),
            uln=number(_text(line, "ULNormalValue"), name),
            tries=tuple(blown) if any(value is not None for value in blown) else (),
        )
    return values, left_out


def _text(element: Element | None, path: str) -> str:
    """Text of the first element at the path; empty where there is none."""
    found = None if element is None else element.find(path)
    return "" if found is None or found.text is None else found.text.strip()
