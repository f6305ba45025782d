"""The case pages."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from markupsafe import Markup

from zhenbao.hub import holding
from zhenbao.hub.access import break_glass, leads
from zhenbao.hub.case import Case, Draft
from zhenbao.hub.store import people, records
from zhenbao.hub.store.files import StoredFile
from zhenbao.hub.web.drawings import draw
from zhenbao.hub.web.pictures import preview_frames
from zhenbao.hub.web.security import check_csrf, session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Urgency
from zhenbao.model.observation import Observation

router = APIRouter()


@router.get("/cases/{case_id}")
def case_page(request: Request, case_id: UUID, more: bool = False) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    try:
        case = site.worklist.open_case(case_id, session.practitioner)
        if case.claim is not None and case.claim.login == session.practitioner.login:
            holding.keep(site.store, case_id, session)
        return _case_page(request, case, more=more)
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
    holding.keep(site.store, case_id, session)
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
    knowing: Annotated[str, Form()] = "",
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
                case_id,
                person,
                conclusion=conclusion,
                advice=advice,
                urgency=urgency,
                after=_id_or_none(after),
                knowing=knowing,
            )
        else:
            site.reports.save_draft(case_id, person, conclusion=conclusion, advice=advice, urgency=urgency)
            holding.keep(site.store, case_id, session)
    except InputError as error:
        # Nothing that was typed is lost by a mistake.
        case, _ = site.worklist.look(case_id, person)
        typed = {"conclusion": conclusion, "advice": advice, "urgency": urgency}
        return _case_page(request, case, more=True, error=error, typed=typed)
    more = "" if sign else "?more=1"
    return RedirectResponse(f"/cases/{case_id}{more}#report", 303)


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
        urgencies=list(Urgency),
        grant=seer.grant(case.item),
        may_report=seer.may("report", case.item),
        may_claim=seer.may("claim", case.item),
        leads=leads(session.practitioner, case.item),
        claim=case.claim,
        holder=case.holder,
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
