"""A signed report as a PDF, for who may open its case; who fetched it is noted."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from zhenbao.hub.store import audit, records
from zhenbao.hub.web.security import session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.errors import InputError

router = APIRouter()


@router.get("/cases/{case_id}/reports/{report_id}/pdf")
def report_pdf(request: Request, case_id: UUID, report_id: UUID) -> Response:
    from zhenbao.hub.web.report_paper import sheets_of
    from zhenbao.paper import to_pdf

    site: Site = request.app.state.site
    person = session_of(request, site.store).practitioner
    case, _ = site.worklist.look(case_id, person)
    report = next((r for r in case.reports if r.id == report_id), None)
    if report is None:
        raise InputError("report-unknown-hub")
    with site.store.reading() as connection:
        recordings = {id_: records.recordings_of(connection, id_) for id_ in report.observation_ids}
    content = to_pdf(sheets_of(case, report, recordings, site.presenter(request)))
    with site.store.writing() as connection:
        audit.append(
            connection,
            site.store.clock.now_ms(),
            person.login,
            "report-printed",
            f"report:{report_id}",
            case=str(case_id),
        )
    # The name on the disk names nobody.
    name = f"report-{site.presenter(request).case_code(case_id)}.pdf"
    return Response(
        content, media_type="application/pdf", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )
