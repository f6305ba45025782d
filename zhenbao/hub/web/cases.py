"""The case pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from markupsafe import Markup

from zhenbao.hub import holding
from zhenbao.hub.access import break_glass, leads
from zhenbao.hub.case import Case, Draft
from zhenbao.hub.recognition import offered
from zhenbao.hub.store import people, records
from zhenbao.hub.store.files import StoredFile
from zhenbao.hub.store.people import Session
from zhenbao.hub.store.report_forms import PLAIN, STAGES, Stage
from zhenbao.hub.store.report_forms import Form as ReportForm
from zhenbao.hub.web import chest_pain
from zhenbao.hub.web.case_parts import case_parts, ecg_options, tracings
from zhenbao.hub.web.drawings import draw
from zhenbao.hub.web.ecg_pages import ecg_page
from zhenbao.hub.web.pictures import preview_frames
from zhenbao.hub.web.security import check_csrf, session_of
from zhenbao.hub.web.site import Site, id_or_none
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Urgency
from zhenbao.model.observation import Observation

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands in the form of a report."""

    conclusion: str = ""
    advice: str = ""
    urgency: str = ""
    form: ReportForm = PLAIN


@router.get("/cases/{case_id}")
def case_page(request: Request, case_id: UUID, more: bool = False) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    try:
        case = site.worklist.open_case(case_id, session.practitioner)
        if case.claim is not None and case.claim.login == session.practitioner.login:
            holding.keep(site.store, case_id, session)
        return shown_case(request, case, more=more)
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
    whole = "HX-Request" not in request.headers
    return site.page(
        request,
        "earlier_ecg.html" if whole else "compare.html",
        session=session,
        case=case,
        reading=reading,
        tracings=tracings(site, request, reading),
        base=f"/cases/{case_id}",
        **ecg_options(),
    )


@router.get("/cases/{case_id}/ecg/{recording_id}")
def ecg(request: Request, case_id: UUID, recording_id: UUID) -> Response:
    """One ECG of the person, as the reader wants to see it: the part of the page alone, or a page of its own."""
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    case, _ = site.worklist.look(case_id, session.practitioner)
    readings = [*(r for r, _ in case.readings), *(r for visit in case.earlier for r in visit.readings)]
    return ecg_page(request, session, readings, recording_id, base=f"/cases/{case_id}")


@router.post("/cases/{case_id}/draft")
def draft(
    request: Request,
    case_id: UUID,
    csrf: Annotated[str, Form()] = "",
    conclusion: Annotated[str, Form()] = "",
    advice: Annotated[str, Form()] = "",
    urgency: Annotated[str, Form()] = "",
    choices: Annotated[list[str] | None, Form()] = None,
    stage: Annotated[str, Form()] = "",
    amends: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
) -> Response:
    """What is being written, kept while it is written."""
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    form = _form(choices, stage, amends, reason)
    site.reports.save_draft(
        case_id, session.practitioner, conclusion=conclusion, advice=advice, urgency=urgency, form=form
    )
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
    choices: Annotated[list[str] | None, Form()] = None,
    stage: Annotated[str, Form()] = "",
    amends: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    person = session.practitioner
    form = _form(choices, stage, amends, reason)
    try:
        if sign:
            if checked != "yes":
                raise InputError("report-unchecked")
            check_signature(site, request, session, password)
            site.reports.sign(
                case_id,
                person,
                conclusion=conclusion,
                advice=advice,
                urgency=urgency,
                after=id_or_none(after),
                knowing=knowing,
                form=form,
            )
        else:
            site.reports.save_draft(case_id, person, conclusion=conclusion, advice=advice, urgency=urgency, form=form)
            holding.keep(site.store, case_id, session)
    except InputError as error:
        # Nothing that was typed is lost by a mistake.
        case, _ = site.worklist.look(case_id, person)
        typed = Typed(conclusion, advice, urgency, form)
        return shown_case(request, case, more=True, error=error, typed=typed)
    more = "" if sign else "?more=1"
    return RedirectResponse(f"/cases/{case_id}{more}#report", 303)


def check_signature(site: Site, request: Request, session: Session, password: str) -> None:
    """Signing asks for the password once more: a browser left open must not sign.

    Who came by the county's identity provider may instead have shown there, within the last minutes, who they are.

    Raises:
        InputError: ``sign-password``, or ``login-rest`` after too many wrong ones.
    """
    login = session.practitioner.login
    if not password and site.store.clock.now_ms() - session.fresh_ms <= people.FRESH_MINUTES * 60_000:
        return
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


def shown_case(
    request: Request,
    case: Case,
    *,
    more: bool = False,
    error: InputError | None = None,
    typed: Typed | None = None,
    post_error: InputError | None = None,
    post_text: str = "",
) -> Response:
    """The case page; with ``error`` what is wrong with the report, with ``post_error`` with a post."""
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
        status=200 if error is None and post_error is None else 409,
        case=case,
        unseen=0,
        drawings={id_: drawings for id_, (drawings, _) in drawn.items()},
        waiting={id_: waiting for id_, (_, waiting) in drawn.items()},
        files=_by_reading(case),
        preview_frames=preview_frames,
        chest_pain=chest_pain.block(site, case.item),
        shapes=chest_pain.SHAPES,
        offered=earlier_results,
        urgencies=list(Urgency),
        grant=seer.grant(case.item),
        may_report=seer.may("report", case.item),
        may_claim=seer.may("claim", case.item),
        leads=leads(session.practitioner, case.item),
        claim=case.claim,
        holder=case.holder,
        may_share=seer.may("share-ask", case.item),
        may_consent=seer.may("consent", case.item),
        may_show_anew=site.oidc is not None and session.way == "oidc",
        is_fresh=site.store.clock.now_ms() - session.fresh_ms <= people.FRESH_MINUTES * 60_000,
        typed=written,
        writing_more=more or case.draft is not None or case.item.status == "open",
        error=site.words(request).error(error) if error is not None else None,
        error_thread=site.words(request).error(post_error) if post_error is not None else None,
        post_text=post_text,
        tracings={reading.id: tracings(site, request, reading) for reading, _ in case.readings},
        **case_parts(site, request, session, case),
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


def _typed(draft: Draft | None, urgency: Urgency) -> Typed:
    if draft is None:
        return Typed(urgency=urgency.value)
    return Typed(draft.conclusion, draft.advice, draft.urgency, draft.form)


def _form(choices: list[str] | None, stage: str, amends: str, reason: str) -> ReportForm:
    known: Stage = next((name for name in STAGES if name == stage), "final")
    amends_id = id_or_none(amends) if known == "amended" else None
    return ReportForm(known, tuple((choices or [])[:60]), amends_id, reason.strip() if known == "amended" else "")
