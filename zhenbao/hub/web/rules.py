"""Which rules are in force, and how they came to be: to read. They are changed on the hub's own machine."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from zhenbao.hub.store import rule_versions
from zhenbao.hub.web.security import session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.errors import InputError
from zhenbao.rules.ruleset import program_digest

router = APIRouter()


@router.get("/rules")
def rules_page(request: Request) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    if not site.worklist.viewer(session.practitioner).allowed("rules"):
        raise InputError("denied-role")
    with site.store.reading() as connection:
        return site.page(
            request,
            "rules.html",
            session=session,
            here="rules",
            versions=rule_versions.versions(connection)[::-1],
            history=rule_versions.activations(connection)[::-1],
            now=rule_versions.active_number(connection),
            profile=rule_versions.active(connection).profile,
            digest=program_digest(),
        )
