"""A signed report as pages: its own words first, then the tracings that it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zhenbao.hub.report_text import choices_line
from zhenbao.hub.web.drawings import blow_curves
from zhenbao.paper import Bounds, Examined, PrintedReport, Section, SpirometryReport, ecg_page, report_sheets
from zhenbao.paper.spirometry import spirometry_page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from zhenbao.hub.case import Case, SignedReport
    from zhenbao.hub.web.present import Presenter
    from zhenbao.model.observation import Observation
    from zhenbao.model.recording import Recording
    from zhenbao.paper import Sheet


def sheets_of(
    case: Case, report: SignedReport, recordings: Mapping[UUID, Sequence[Recording]], p: Presenter
) -> list[Sheet]:
    """All pages of one report.

    Args:
        case: the report's, as the one who prints it sees it.
        report: signed.
        recordings: the waveforms that arrived, by reading.
        p: how values are written, in the language of the one who prints.
    """
    covered = [reading for reading, _ in case.readings if reading.id in report.observation_ids]
    pages = [(page, reading) for reading in covered for page in _tracings(case, reading, recordings, p)]
    sheets = report_sheets(_printed(case, report, covered, p, traced=bool(pages)), words=p.words)
    return sheets + [page for page, _ in pages]


def _printed(
    case: Case, report: SignedReport, covered: Sequence[Observation], p: Presenter, *, traced: bool
) -> PrintedReport:
    w = p.words
    kit = p.kit(case.item.kit_id)
    name = p.specialty(report.specialty)
    time = p.full_time(report.signed_ms)
    sections = []
    if case.encounter is not None:
        told = f"{case.encounter.reason or w('hub.no_reason')} · {p.context('chest_pain', case.encounter.chest_pain)}"
        sections.append(Section(w("hub.report.history"), (told,)))
    lines = tuple(_reading_line(reading, p) for reading in covered)
    sections.append(Section(w("hub.report.values"), (*lines, *((w("hub.report.tracing"),) if traced else ()))))
    conclusion = tuple(t for t in (choices_line(report.form.choices, w), report.conclusion) if t)
    sections.append(Section(w("hub.report.conclusion"), conclusion, large=True))
    sections.append(Section(w("hub.report.advice"), (report.advice,), large=True))
    sections.append(Section(w("hub.report.urgency"), (p.text(f"urgency.{report.urgency}"),)))
    if report.form.reason:
        sections.append(Section(w("hub.report.reason"), (report.form.reason,)))
    earlier = next((r for r in case.reports if r.id == report.form.amends_id), None)
    if earlier is not None:
        by = w("hub.signed_by", name=earlier.practitioner, specialty=p.specialty(earlier.specialty),
               time=p.full_time(earlier.signed_ms))  # fmt: skip
        texts = (by, choices_line(earlier.form.choices, w), earlier.conclusion, earlier.advice)
        sections.append(Section(w("hub.report.earlier"), tuple(t for t in texts if t)))
    return PrintedReport(
        title=w("hub.report.print_title"),
        stage=w(f"hub.report.stages.{report.form.stage}"),
        caution=w("hub.report.amended") if report.amended_by is not None else "",
        person=(
            _person(case, p),
            f"{kit.village or kit.id} · {w('hub.report.case_code', code=p.case_code(case.item.id))}",
        ),
        sections=tuple(sections),
        signed=(
            w("hub.report.page_foot", name=report.practitioner, specialty=name, time=time),
            w("hub.report.seal", signature=report.signature),
            w("hub.report.device_note"),
        ),
    )


def _person(case: Case, p: Presenter) -> str:
    if case.patient is None:
        return p.words("hub.patient_missing")
    number = f"{p.words('hub.number')} {p.number(case.patient)}"
    return f"{case.patient.name} · {p.person(case.patient, case.item.effective_ms)} · {number}"


def _reading_line(reading: Observation, p: Presenter) -> str:
    values = p.words("hub.list_separator").join(
        f"{p.quantity_name(key)} {p.quantity(value)}" for key, value in reading.values.items()
    )
    typed = f" · {p.words('hub.typed')}" if reading.typed else ""
    name = p.text(f"observation.{reading.code}", reading.code)
    return f"{name} {p.full_time(reading.effective_ms)} {values}{typed}".rstrip()


def _tracings(
    case: Case, reading: Observation, recordings: Mapping[UUID, Sequence[Recording]], p: Presenter
) -> list[Sheet]:
    """The pages of one reading; a recording that cannot be drawn is left to the case page, which says so."""
    pages: list[Sheet] = []
    arrived = recordings.get(reading.id, ())
    whose = f"{_person(case, p)}"
    code = p.words("hub.report.case_code", code=p.case_code(case.item.id))
    taken = f"{p.words('hub.taken')} {p.full_time(reading.effective_ms)}"
    try:
        for recording in arrived:
            if recording.unit == "mV" and reading.ecg is not None and reading.ecg.fs_hz == recording.fs_hz:
                pages += ecg_page(recording, reading.ecg, words=p.words, patient=(whose, f"{taken} · {code}"))
        if reading.spirometry is not None and (test := _spirometry(case, reading, arrived, p)) is not None:
            pages.append(spirometry_page(test, words=p.words))
    except (ArithmeticError, LookupError, ValueError):
        return pages
    return pages


def _spirometry(
    case: Case, reading: Observation, arrived: Sequence[Recording], p: Presenter
) -> SpirometryReport | None:
    from zhenbao.signal.spirometry import equation_name
    from zhenbao.signal.spirometry.tables import settings

    test = reading.spirometry
    curves = blow_curves(reading, arrived)
    if test is None or len(curves) != len(test.blows) or not curves:
        return None
    rules = settings("interpretation")
    z = tuple(rules["ats2021"][key] for key in ("z_low", "z_mild_down_to", "z_moderate_down_to"))
    code = p.words("hub.report.case_code", code=p.case_code(case.item.id))
    return SpirometryReport(
        before=Examined(test, tuple(curves), tuple(range(1, len(curves) + 1))),
        equation=equation_name(test.equation),
        bounds=Bounds(z, rules["cn5"]["fev1_percent"]),
        post_only=bool(test.post_bronchodilator),
        sex=test.sex,
        age_years=test.age_years,
        height_cm=test.height_cm,
        taken=p.full_time(reading.effective_ms),
        device=f"{reading.device.maker} {reading.device.model}".strip() or None,
        person=f"{case.patient.name if case.patient else ''} {code}".strip(),
    )
