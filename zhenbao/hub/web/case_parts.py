"""What the case page shows around the readings: tracings, trends, second readings, consultations, the discussion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import Request

from zhenbao.hub import consult, thread
from zhenbao.hub.report_text import choice_name, choices_line
from zhenbao.hub.store import consults, people, records, second_readings, slots
from zhenbao.hub.store.thread import CHANNELS, WRITTEN
from zhenbao.hub.web import ecg_view
from zhenbao.hub.web.ecg_view import Tracing, View, tracing
from zhenbao.hub.web.trends import trends
from zhenbao.rules.report_templates import report_template

if TYPE_CHECKING:
    from uuid import UUID

    from zhenbao.hub.case import Case, SignedReport
    from zhenbao.hub.store.people import Session
    from zhenbao.hub.web.site import Site
    from zhenbao.model.observation import Observation


def case_parts(site: Site, request: Request, session: Session, case: Case) -> dict[str, Any]:
    """The values of the page's includes."""
    words, person = site.words(request), session.practitioner
    seer = site.worklist.viewer(person)
    with site.store.reading() as connection:
        second = second_readings.of_case(connection, case.item.id)
        asked = consults.of_case(connection, case.item.id)
        wished = slots.of_consults(connection, [one.id for one in asked])
        logins = {r.reader for r in second if r.reader} | {c.expert for c in asked}
        named = {login: found.name for login in logins if (found := people.find(connection, login)) is not None}
        experts = consult.experts(connection)
    return {
        "base": f"/cases/{case.item.id}",
        "beside": _beside(case),
        "trends": trends(case, words),
        "posts": thread.read(site.store, case.item.id, person),
        "post_kinds": WRITTEN,
        "channels": CHANNELS,
        "may_discuss": seer.may("discuss", case.item),
        "may_second": seer.may("second-read", case.item),
        "second": second,
        "consults": asked,
        "slots": wished,
        "may_consult": seer.may("consult", case.item) and bool(experts),
        "names": named,
        "choice_groups": report_template(person.specialty),
        "choice_name": lambda key: choice_name(key, words),
        "choices_line": lambda keys: choices_line(keys, words),
        "amendable": amendable(case),
        "has_final": any(report.form.stage != "preliminary" for report in case.reports),
    } | ecg_options()


def ecg_options() -> dict[str, Any]:
    """What can be chosen above an ECG."""
    return {"gains": ecg_view.GAINS_MM_MV, "speeds": ecg_view.SPEEDS_MM_S, "filters": ecg_view.FILTERS}


def tracings(site: Site, request: Request, reading: Observation) -> list[Tracing]:
    """The ECGs of a reading, as they are shown at first."""
    with site.store.reading() as connection:
        recordings = records.recordings_of(connection, reading.id)
    return [tracing(reading, r, View(), site.words(request)) for r in recordings if r.unit == "mV"]


def amendable(case: Case) -> list[SignedReport]:
    """The reports that can be corrected, the newest first."""
    return [r for r in reversed(case.reports) if r.form.stage != "preliminary" and r.amended_by is None]


def _beside(case: Case) -> dict[UUID, Observation]:
    """For each ECG of the case, the newest earlier one to lay beside it."""
    earlier = [r for visit in case.earlier for r in visit.readings if r.code == "ecg" and r.recordings]
    found = {}
    for reading, _ in case.readings:
        older = [r for r in earlier if r.effective_ms < reading.effective_ms]
        if reading.code == "ecg" and older:
            found[reading.id] = max(older, key=lambda r: r.effective_ms)
    return found
