"""Using an earlier result instead of a new test, from the case's page."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from zhenbao.hub import recognition
from zhenbao.hub.web.security import check_csrf, session_of
from zhenbao.hub.web.site import Site

router = APIRouter()


@router.post("/cases/{case_id}/recognise/{observation_id}")
def recognise(request: Request, case_id: UUID, observation_id: UUID, csrf: Annotated[str, Form()] = "") -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    recognition.take(site.store, case_id, observation_id, session.practitioner)
    return RedirectResponse(f"/cases/{case_id}#recent", 303)
