"""The quality role's pages: what was drawn, one sample without names, and the score."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from zhenbao.hub import quality
from zhenbao.hub.report_text import choices_line
from zhenbao.hub.store.quality import VERDICTS
from zhenbao.hub.web.case_parts import ecg_options
from zhenbao.hub.web.drawings import draw
from zhenbao.hub.web.ecg_pages import ecg_page
from zhenbao.hub.web.ecg_view import View, tracing
from zhenbao.hub.web.security import check_csrf, session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.errors import InputError

router = APIRouter()


@router.get("/quality")
def quality_page(request: Request) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    listed = quality.waiting(site.store, session.practitioner)
    return site.page(request, "quality.html", session=session, here="quality", listed=listed)


@router.get("/quality/{drawn_id}")
def sample_page(request: Request, drawn_id: UUID) -> Response:
    return _sample_page(request, drawn_id)


@router.post("/quality/{drawn_id}")
def score(
    request: Request,
    drawn_id: UUID,
    csrf: Annotated[str, Form()] = "",
    verdict: Annotated[str, Form()] = "",
    note: Annotated[str, Form()] = "",
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    try:
        quality.score(site.store, drawn_id, session.practitioner, verdict, note)
    except InputError as error:
        if error.code not in ("quality-verdict", "quality-note"):
            raise
        return _sample_page(request, drawn_id, error, (verdict, note))
    return RedirectResponse("/quality", 303)


@router.get("/quality/{drawn_id}/ecg/{recording_id}")
def sample_ecg(request: Request, drawn_id: UUID, recording_id: UUID) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    found = quality.look(site.store, drawn_id, session.practitioner)
    readings = [reading for reading, _ in found.readings]
    return ecg_page(request, session, readings, recording_id, base=f"/quality/{drawn_id}", unnamed=True)


def _sample_page(
    request: Request, drawn_id: UUID, error: InputError | None = None, typed: tuple[str, str] = ("", "")
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    words = site.words(request)
    found = quality.look(site.store, drawn_id, session.practitioner)
    return site.page(
        request,
        "quality_one.html",
        session=session,
        status=200 if error is None else 409,
        here="quality",
        unnamed=True,
        drawn=found,
        choices=choices_line(found.report.choices, words) if found.report is not None else "",
        verdicts=VERDICTS,
        limits=quality.limits(),
        readings=[(reading, None) for reading, _ in found.readings],
        tracings={
            reading.id: [tracing(reading, r, View(), words) for r in recordings if r.unit == "mV"]
            for reading, recordings in found.readings
        },
        drawings={reading.id: draw(reading, recordings, words) for reading, recordings in found.readings},
        waiting={reading.id: False for reading, _ in found.readings},
        files={},
        beside={},
        base=f"/quality/{drawn_id}",
        typed=typed,
        error=words.error(error) if error is not None else None,
        **ecg_options(),
    )
