"""Requests of persons for what is kept of them, or for its deletion."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from zhenbao.hub import privacy
from zhenbao.hub.person_export import export
from zhenbao.hub.store import records
from zhenbao.hub.web.cases import check_signature
from zhenbao.hub.web.security import check_csrf, session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.errors import InputError

router = APIRouter()


@router.get("/privacy")
def privacy_page(request: Request) -> Response:
    return _page(request)


@router.post("/privacy")
def privacy_record(
    request: Request,
    csrf: Annotated[str, Form()] = "",
    kind: Annotated[str, Form()] = "",
    number: Annotated[str, Form()] = "",
    case_id: Annotated[str, Form()] = "",
    name: Annotated[str, Form()] = "",
    asked_by: Annotated[str, Form()] = "",
    relation: Annotated[str, Form()] = "",
    checked: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    typed = {"kind": kind, "number": number, "case_id": case_id, "name": name, "asked_by": asked_by}
    typed |= {"relation": relation, "checked": checked, "reason": reason}
    try:
        privacy.record(
            site.store,
            session.practitioner,
            kind=kind,
            number=number,
            name=name,
            asked_by=asked_by,
            relation=relation,
            checked=checked,
            reason=reason,
            case_id=_id_or_none(case_id),
        )
    except InputError as error:
        if error.code.startswith("denied-"):
            raise
        return _page(request, error, typed)
    return RedirectResponse("/privacy", 303)


@router.post("/privacy/{request_id}")
def privacy_act(
    request: Request,
    request_id: UUID,
    csrf: Annotated[str, Form()] = "",
    do: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
) -> Response:
    """Agree, refuse, or carry out; carrying out asks for the password again."""
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    person = session.practitioner
    try:
        if do in ("approve", "refuse"):
            privacy.decide(site.store, request_id, person, approve=do == "approve")
            return RedirectResponse("/privacy", 303)
        privacy.find(site.store, request_id, person)
        check_signature(site, request, session, password)
        if do == "access":
            asked = privacy.begin_access(site.store, request_id, person)
            return Response(
                export(site.store, asked.patient_id, site.words(request)),
                media_type="application/zip",
                headers={"Content-Disposition": f'attachment; filename="zhenbao-{str(request_id)[:8]}.zip"'},
            )
        privacy.delete(site.store, request_id, person)
    except InputError as error:
        if error.code.startswith("denied-") or error.code == "privacy-unknown":
            raise
        return _page(request, error)
    return RedirectResponse("/privacy", 303)


def _page(request: Request, error: InputError | None = None, typed: dict[str, str] | None = None) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    seer = site.worklist.viewer(session.practitioner)
    listed = privacy.listed(site.store, session.practitioner)
    with site.store.reading() as connection:
        patients = {r.patient_id: records.patient(connection, r.patient_id) for r in listed}
    return site.page(
        request,
        "privacy.html",
        session=session,
        status=200 if error is None else 409,
        here="privacy",
        listed=listed,
        patients=patients,
        kinds=privacy.KINDS,
        checks=privacy.CHECKED,
        relations=privacy.RELATIONS,
        may_record=seer.allowed("privacy"),
        may_approve=seer.allowed("privacy-approve"),
        typed=typed or {},
        error=site.words(request).error(error) if error is not None else None,
    )


def _id_or_none(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
