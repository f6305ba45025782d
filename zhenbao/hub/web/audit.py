"""The audit for the auditor: who did what, whether the chain is whole, and nothing of any patient."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from zhenbao.hub.reports import Reports
from zhenbao.hub.store import audit
from zhenbao.hub.web.security import session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.errors import InputError

router = APIRouter()
PAGE = 100


@router.get("/audit")
def audit_page(request: Request, before: int = 0, actor: str = "", action: str = "") -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    if not site.worklist.viewer(session.practitioner).allowed("audit"):
        raise InputError("denied-role")
    with site.store.reading() as connection:
        rows = audit.found(connection, before=before or None, actor=actor or None, action=action or None, limit=PAGE)
        # The whole chain is walked on the first page only: on a large hub it takes seconds.
        first = not (before or actor or action)
        broken = audit.first_broken(connection) if first else None
    return site.page(
        request,
        "audit.html",
        session=session,
        here="audit",
        rows=rows,
        actor=actor,
        action=action,
        actions=sorted(key.rpartition(".")[2] for key in site.words(request).keys("hub.audit.")),
        checked=first,
        broken=broken,
        altered=Reports(site.store).altered() if first else [],
        older=rows[-1].number if len(rows) == PAGE else None,
    )
