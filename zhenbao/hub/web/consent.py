"""What a case's patient agreed to, whom to tell in the family, and telling them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from zhenbao.hub import consent
from zhenbao.hub.store import consents, identities
from zhenbao.hub.web.security import check_csrf, session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.errors import InputError, StorageError

router = APIRouter()


@router.get("/cases/{case_id}/consent")
def consent_page(request: Request, case_id: UUID) -> Response:
    return _page(request, case_id)


@router.post("/cases/{case_id}/consent")
def consent_note(
    request: Request,
    case_id: UUID,
    csrf: Annotated[str, Form()] = "",
    kind: Annotated[str, Form()] = "",
    given: Annotated[str, Form()] = "",
    by_name: Annotated[str, Form()] = "",
    relation: Annotated[str, Form()] = "",
    how: Annotated[str, Form()] = "",
    form_number: Annotated[str, Form()] = "",
    witness: Annotated[str, Form()] = "",
    language: Annotated[str, Form()] = "zh",
    days_ago: Annotated[str, Form()] = "0",
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    typed = {"kind": kind, "given": given, "by_name": by_name, "relation": relation, "how": how}
    typed |= {"form_number": form_number, "witness": witness, "language": language, "days_ago": days_ago}
    try:
        if given not in ("yes", "no"):
            raise InputError("consent-fields")
        consent.note(
            site.store,
            case_id,
            session.practitioner,
            kind=kind,
            given=given == "yes",
            by_name=by_name,
            relation=relation,
            how=how,
            form_number=form_number,
            witness=witness,
            language=language,
            days_ago=int(days_ago) if days_ago.isascii() and days_ago.isdecimal() and len(days_ago) < 4 else -1,
        )
    except InputError as error:
        return _again(request, case_id, error, typed)
    return RedirectResponse(f"/cases/{case_id}/consent", 303)


@router.post("/cases/{case_id}/family")
def family_contact(
    request: Request,
    case_id: UUID,
    csrf: Annotated[str, Form()] = "",
    name: Annotated[str, Form()] = "",
    relation: Annotated[str, Form()] = "",
    phone: Annotated[str, Form()] = "",
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    try:
        consent.set_contact(site.store, case_id, session.practitioner, name=name, relation=relation, phone=phone)
    except InputError as error:
        return _again(request, case_id, error, {"name": name, "contact_relation": relation, "phone": phone})
    return RedirectResponse(f"/cases/{case_id}/consent", 303)


@router.post("/cases/{case_id}/tell-family")
def tell_family(request: Request, case_id: UUID, csrf: Annotated[str, Form()] = "") -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    try:
        consent.tell_family(site.store, case_id, session.practitioner, site.tell_family)
    except (InputError, StorageError) as error:
        return _again(request, case_id, error, {})
    return _page(request, case_id, told=True)


def _again(request: Request, case_id: UUID, error: InputError | StorageError, typed: dict[str, str]) -> Response:
    if error.code == "case-unknown" or error.code.startswith("denied-"):
        raise error
    return _page(request, case_id, error, typed)


def _page(
    request: Request,
    case_id: UUID,
    error: InputError | StorageError | None = None,
    typed: dict[str, str] | None = None,
    *,
    told: bool = False,
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    case, _ = site.worklist.look(case_id, session.practitioner)
    if (denied := site.worklist.viewer(session.practitioner).denial("consent", case.item)) is not None:
        raise InputError(denied)
    with site.store.reading() as connection:
        persons = identities.same_person(connection, case.item.patient_id)
        said = consents.of_patients(connection, persons)
        contact = consents.contact(connection, persons)
        state = {kind: consents.state(connection, case.item.patient_id, kind) for kind in consent.KINDS}
    return site.page(
        request,
        "consent.html",
        session=session,
        status=200 if error is None else 409,
        case=case,
        said=said,
        state=state,
        contact=contact,
        kinds=consent.KINDS,
        hows=consent.HOWS,
        relations=consent.RELATIONS,
        languages=consent.LANGUAGES,
        typed=typed or {},
        told=told,
        error=site.words(request).error(error) if error is not None else None,
    )
