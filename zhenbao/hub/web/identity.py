"""Who a case's patient is: what the kits sent of them, and joining a temporary identity to its person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from zhenbao.hub import identity
from zhenbao.hub.store import identities, records
from zhenbao.hub.web.security import check_csrf, session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.errors import InputError
from zhenbao.model.patient import Patient

router = APIRouter()


@router.get("/cases/{case_id}/identity")
def identity_page(request: Request, case_id: UUID) -> Response:
    return _page(request, case_id)


@router.post("/cases/{case_id}/identity/find")
def identity_find(
    request: Request, case_id: UUID, csrf: Annotated[str, Form()] = "", number: Annotated[str, Form()] = ""
) -> Response:
    """By POST: a resident number stands in no address, and so in no log."""
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    found = identity.find(site.store, session.practitioner, number)
    return _page(request, case_id, number=number, found=found)


@router.post("/cases/{case_id}/identity/merge")
def identity_merge(
    request: Request,
    case_id: UUID,
    csrf: Annotated[str, Form()] = "",
    other: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
    sure: Annotated[str, Form()] = "",
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    try:
        other_id = UUID(other)
    except ValueError:
        raise InputError("case-unknown") from None
    try:
        identity.merge(site.store, case_id, other_id, session.practitioner, reason=reason, sure=sure == "yes")
    except InputError as error:
        if error.code == "case-unknown" or error.code.startswith("denied-"):
            raise
        with site.store.reading() as connection:
            patient = records.patient(connection, other_id)
        return _page(request, case_id, found=[patient] if patient else [], error=error, reason=reason)
    return RedirectResponse(f"/cases/{case_id}/identity", 303)


@router.post("/cases/{case_id}/identity/undo")
def identity_undo(
    request: Request, case_id: UUID, csrf: Annotated[str, Form()] = "", link: Annotated[str, Form()] = ""
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    try:
        link_id = UUID(link)
    except ValueError:
        raise InputError("merge-unknown") from None
    identity.unmerge(site.store, case_id, link_id, session.practitioner)
    return RedirectResponse(f"/cases/{case_id}/identity", 303)


def _page(
    request: Request,
    case_id: UUID,
    *,
    number: str = "",
    found: Sequence[Patient] | None = None,
    error: InputError | None = None,
    reason: str = "",
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    case, _ = site.worklist.look(case_id, session.practitioner)
    seer = site.worklist.viewer(session.practitioner)
    with site.store.reading() as connection:
        ids = identities.same_person(connection, case.item.patient_id)
        versions = {id_: identities.versions(connection, id_) for id_ in ids}
        links = identities.links(connection, ids)
    return site.page(
        request,
        "identity.html",
        session=session,
        status=200 if error is None else 409,
        case=case,
        versions=versions,
        links=links,
        number=number,
        found=found,
        reason=reason,
        error=site.words(request).error(error) if error is not None else None,
        differs=error is not None and error.code == "merge-differs",
        may_merge=seer.may("merge", case.item),
    )
