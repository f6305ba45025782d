"""The chest-pain figures of a month as a page and as a file, for who may see the figures of their organisations."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from zhenbao.hub import statistics
from zhenbao.hub.chest_pain import month as report
from zhenbao.hub.chest_pain.figures import Figure
from zhenbao.hub.store import organisations
from zhenbao.hub.store.people import Session
from zhenbao.hub.web.security import session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.errors import InputError
from zhenbao.model.time import local_text

router = APIRouter()


@router.get("/chest-pain/figures")
def figures_page(request: Request, month: str = "", org: str = "") -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    month = month or local_text(site.store.clock.now_ms())[:7]
    found, org = _found(site, session, month, org)
    with site.store.reading() as connection:
        reach = organisations.subtree(connection, session.practitioner.org_id)
        units = [unit for unit in organisations.everyone(connection) if unit.id in reach]
    words = site.words(request)
    return site.page(
        request,
        "chest_pain_figures.html",
        session=session,
        here="statistics",
        month=month,
        org=org,
        units=units,
        head=report.head(words),
        lines=[report.cells(figure, words) for figure in found],
    )


@router.get("/chest-pain/figures.csv")
def figures_file(request: Request, month: str = "", org: str = "") -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    found, org = _found(site, session, month, org)
    return Response(
        report.as_csv(found, site.words(request)),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="zhenbao-chest-pain-{org}-{month}.csv"'},
    )


def _found(site: Site, session: Session, month: str, org: str) -> tuple[list[Figure], str]:
    seer = site.worklist.viewer(session.practitioner)
    chosen = org or session.practitioner.org_id
    if not seer.allowed("statistics"):
        raise InputError("denied-role")
    if chosen not in seer.orgs:
        raise InputError("denied-outside")
    period = statistics.month(month)
    with site.store.reading() as connection:
        orgs = organisations.subtree(connection, chosen)
        return report.figures(connection, period, orgs, site.store.clock.now_ms()), chosen
