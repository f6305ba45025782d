"""Writing in the discussion of a case, and taking back."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from zhenbao.hub import thread
from zhenbao.hub.web.cases import shown_case
from zhenbao.hub.web.security import check_csrf, session_of
from zhenbao.hub.web.site import Site, id_or_none
from zhenbao.model.errors import InputError

router = APIRouter()


@router.post("/cases/{case_id}/thread")
def write(
    request: Request,
    case_id: UUID,
    csrf: Annotated[str, Form()] = "",
    kind: Annotated[str, Form()] = "",
    text: Annotated[str, Form()] = "",
    observation: Annotated[str, Form()] = "",
    channel: Annotated[str, Form()] = "",
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    person = session.practitioner
    try:
        thread.write(
            site.store, case_id, person, kind=kind, text=text, observation_id=id_or_none(observation), channel=channel
        )
    except InputError as error:
        if not error.code.startswith("thread-"):
            raise
        # Nothing that was typed is lost by a mistake.
        case, _ = site.worklist.look(case_id, person)
        return shown_case(request, case, post_error=error, post_text=text)
    return RedirectResponse(f"/cases/{case_id}#thread", 303)


@router.post("/cases/{case_id}/thread/{number}/retract")
def retract(request: Request, case_id: UUID, number: int, csrf: Annotated[str, Form()] = "") -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    thread.retract(site.store, case_id, session.practitioner, number)
    return RedirectResponse(f"/cases/{case_id}#thread", 303)
