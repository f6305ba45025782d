"""The worklist and the case pages."""

from __future__ import annotations

import hashlib
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from markupsafe import Markup

from zhenbao import rules
from zhenbao.hub.access import break_glass
from zhenbao.hub.permission import CLINICAL
from zhenbao.hub.recognition import offered
from zhenbao.hub.store import people, records
from zhenbao.hub.store.files import StoredFile
from zhenbao.hub.web.drawings import draw
from zhenbao.hub.web.pictures import preview_frames
from zhenbao.hub.web.security import check_csrf, session_of
from zhenbao.hub.web.site import Site
from zhenbao.hub.worklist import Case, Draft, Overview, Shown
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Urgency
from zhenbao.model.observation import Observation

router = APIRouter()
_REFRESH_MS = 30_000


@router.get("/")
def worklist_page(request: Request, shown: str = "open", specialty: str = "") -> Response:
    return _list(request, "worklist.html", shown, specialty)


@router.get("/rows")
def worklist_rows(request: Request, shown: str = "open", specialty: str = "", state: str = "") -> Response:
    """The list alone; 204 where it is as it was: a phone that asks every three seconds pays for news only."""
    return _list(request, "rows.html", shown, specialty, known=state)


@router.get("/cases/{case_id}")
def case_page(request: Request, case_id: UUID, more: bool = False) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    try:
        return _case_page(request, site.worklist.open_case(case_id, session.practitioner), more=more)
    except InputError as denied:
        if not denied.code.startswith("denied-"):
            raise
        return _denied_page(request, case_id, denied)


@router.post("/cases/{case_id}/break-glass")
def emergency_look(
    request: Request,
    case_id: UUID,
    csrf: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    try:
        break_glass(site.store, session.practitioner, site.worklist.patient_of(case_id), reason)
    except InputError as error:
        return _denied_page(request, case_id, error)
    return RedirectResponse(f"/cases/{case_id}", 303)


@router.get("/cases/{case_id}/delivery")
def delivery(request: Request, case_id: UUID) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    case, unseen = site.worklist.look(case_id, session.practitioner)
    return site.page(request, "delivery.html", session=session, case=case, unseen=unseen)


@router.get("/cases/{case_id}/earlier/{observation_id}")
def earlier_ecg(request: Request, case_id: UUID, observation_id: UUID) -> Response:
    """The drawing of an earlier ECG of the same person, to compare."""
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    case, _ = site.worklist.look(case_id, session.practitioner)
    reading = next((r for visit in case.earlier for r in visit.readings if r.id == observation_id), None)
    if reading is None:
        raise InputError("case-unknown")
    drawings, _ = _drawings(site, request, reading)
    return site.page(request, "compare.html", session=session, reading=reading, drawings=drawings)


@router.post("/cases/{case_id}/assign")
def assign(
    request: Request,
    case_id: UUID,
    login: Annotated[str, Form()] = "",
    csrf: Annotated[str, Form()] = "",
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    site.worklist.assign(case_id, login, session.practitioner)
    return RedirectResponse("/", 303)


@router.post("/cases/{case_id}/draft")
def draft(
    request: Request,
    case_id: UUID,
    csrf: Annotated[str, Form()] = "",
    conclusion: Annotated[str, Form()] = "",
    advice: Annotated[str, Form()] = "",
    urgency: Annotated[str, Form()] = "",
) -> Response:
    """What is being written, kept while it is written."""
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    site.reports.save_draft(case_id, session.practitioner, conclusion=conclusion, advice=advice, urgency=urgency)
    presenter = site.presenter(request)
    time = presenter.full_time(presenter.now_ms)[11:]
    return HTMLResponse(Markup.escape(presenter.words("hub.draft_saved_at", time=time)))


@router.post("/cases/{case_id}/report")
def report(
    request: Request,
    case_id: UUID,
    csrf: Annotated[str, Form()] = "",
    sign: Annotated[str, Form()] = "",
    conclusion: Annotated[str, Form()] = "",
    advice: Annotated[str, Form()] = "",
    urgency: Annotated[str, Form()] = "",
    after: Annotated[str, Form()] = "",
    checked: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    person = session.practitioner
    try:
        if sign:
            if checked != "yes":
                raise InputError("report-unchecked")
            _check_signature(site, request, person.login, password)
            site.reports.sign(
                case_id, person, conclusion=conclusion, advice=advice, urgency=urgency, after=_id_or_none(after)
            )
        else:
            site.reports.save_draft(case_id, person, conclusion=conclusion, advice=advice, urgency=urgency)
    except InputError as error:
        # Nothing that was typed is lost by a mistake.
        case, _ = site.worklist.look(case_id, person)
        typed = {"conclusion": conclusion, "advice": advice, "urgency": urgency}
        return _case_page(request, case, more=True, error=error, typed=typed)
    more = "" if sign else "?more=1"
    return RedirectResponse(f"/cases/{case_id}{more}#report", 303)


def _list(request: Request, template: str, shown: str, specialty: str, *, known: str = "") -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    person = session.practitioner
    kind: Shown = "archive" if shown == "archive" else "open"
    overview = site.worklist.overview(person, shown=kind, specialty=specialty or None)
    state = _state(overview, site.store.clock.now_ms())
    if state == known:
        return Response(status_code=204)
    with site.store.reading() as connection:
        specialists = [p for p in people.everyone(connection) if p.role in CLINICAL]
    seer = site.worklist.viewer(person)
    return site.page(
        request,
        template,
        session=session,
        here=kind,
        shown=kind,
        specialty=specialty,
        specialties=[key for key, value in rules.specialties().items() if value.kind == "department"],
        urgencies=list(Urgency)[:-1],
        state=state,
        rows=overview.rows,
        counts=overview.counts,
        arrival=overview.arrival_ms,
        aside=overview.quarantined if person.role == "operator" else 0,
        operator=person.role == "operator",
        specialists=specialists,
        may_open=lambda item: seer.may("open", item),
    )


def _state(overview: Overview, now_ms: int) -> str:
    """Names what a list shows; another one after half a minute, so that its times never stand still for long."""
    late = [_over(row.item.ack_due_ms, now_ms) + _over(row.item.report_due_ms, now_ms) for row in overview.rows]
    return hashlib.sha256(repr((overview, late, now_ms // _REFRESH_MS)).encode()).hexdigest()[:16]


def _over(due_ms: int | None, now_ms: int) -> int:
    return int(due_ms is not None and due_ms < now_ms)


def _check_signature(site: Site, request: Request, login: str, password: str) -> None:
    """Signing asks for the password once more: a browser left open must not sign.

    Raises:
        InputError: ``sign-password``, or ``login-rest`` after too many wrong ones.
    """
    address = request.client.host if request.client else ""
    site.brake.check(login, address)
    with site.store.reading() as connection:
        right = people.confirm(connection, login, password)
    if not right:
        site.brake.wrong(login, address)
        raise InputError("sign-password")
    site.brake.right(login, address)


def _denied_page(request: Request, case_id: UUID, error: InputError) -> Response:
    """Why not; and for who may, the way to look all the same."""
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    seer = site.worklist.viewer(session.practitioner)
    return site.page(
        request,
        "denied.html",
        session=session,
        status=403,
        case_id=case_id,
        error=site.words(request).error(error),
        code=error.code,
        may_break=seer.allowed("break-glass"),
    )


def _case_page(
    request: Request,
    case: Case,
    *,
    more: bool = False,
    error: InputError | None = None,
    typed: dict[str, str] | None = None,
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    seer = site.worklist.viewer(session.practitioner)
    drawn = {reading.id: _drawings(site, request, reading) for reading, _ in case.readings}
    written = typed or _typed(case.draft, case.item.urgency)
    with site.store.reading() as connection:
        earlier_results = offered(connection, case.item, site.store.clock.now_ms())
    return site.page(
        request,
        "case.html",
        session=session,
        status=200 if error is None else 409,
        case=case,
        unseen=0,
        drawings={id_: drawings for id_, (drawings, _) in drawn.items()},
        waiting={id_: waiting for id_, (_, waiting) in drawn.items()},
        files=_by_reading(case),
        preview_frames=preview_frames,
        offered=earlier_results,
        urgencies=list(Urgency),
        grant=seer.grant(case.item),
        may_report=seer.may("report", case.item),
        typed=written,
        writing_more=more or case.draft is not None or case.item.status == "open",
        error=site.words(request).error(error) if error is not None else None,
    )


def _by_reading(case: Case) -> dict[UUID, list[StoredFile]]:
    """The files that arrived, beside the reading they belong to."""
    found: dict[UUID, list[StoredFile]] = {}
    for file in case.files:
        found.setdefault(file.observation_id, []).append(file)
    return found


def _drawings(site: Site, request: Request, reading: Observation) -> tuple[list[Markup], bool]:
    """The drawings of a reading, and whether waveforms are still on their way."""
    with site.store.reading() as connection:
        recordings = records.recordings_of(connection, reading.id)
    arrived = {recording.id for recording in recordings}
    waiting = any(id_ not in arrived for id_ in reading.recordings)
    return draw(reading, recordings, site.words(request)), waiting


def _typed(draft: Draft | None, urgency: Urgency) -> dict[str, str]:
    if draft is None:
        return {"conclusion": "", "advice": "", "urgency": urgency.value}
    return {"conclusion": draft.conclusion, "advice": draft.advice, "urgency": draft.urgency}


def _id_or_none(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
