"""The monthly report as a page and as a file, for who may see the figures of their organisations."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from zhenbao.hub import referral_rates, statistics
from zhenbao.hub.indicators import Indicator
from zhenbao.hub.store import organisations
from zhenbao.hub.store.people import Session
from zhenbao.hub.store.period import indicators
from zhenbao.hub.web.security import session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.errors import InputError
from zhenbao.model.time import local_text

router = APIRouter()


@router.get("/statistics")
def statistics_page(request: Request, month: str = "", org: str = "") -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    month = month or local_text(site.store.clock.now_ms())[:7]
    found, org = _found(site, session, month, org)
    with site.store.reading() as connection:
        reach = organisations.subtree(connection, session.practitioner.org_id)
        units = [unit for unit in organisations.everyone(connection) if unit.id in reach]
        rates = referral_rates.rates(connection, statistics.month(month), organisations.subtree(connection, org))
    words = site.words(request)
    return site.page(
        request,
        "statistics.html",
        session=session,
        here="statistics",
        month=month,
        org=org,
        units=units,
        columns=statistics.COLUMNS,
        lines=statistics.rows(found, words),
        rates=rates,
    )


@router.get("/statistics.csv")
def statistics_file(request: Request, month: str = "", org: str = "") -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    found, org = _found(site, session, month, org)
    return Response(
        statistics.as_csv(found, site.words(request)),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="zhenbao-{org}-{month}.csv"'},
    )


@router.get("/statistics.pdf")
def statistics_paper(request: Request, month: str = "", org: str = "") -> Response:
    from zhenbao.hub.statistics_pdf import as_pdf

    site: Site = request.app.state.site
    session = session_of(request, site.store)
    found, org = _found(site, session, month, org)
    with site.store.reading() as connection:
        rates = referral_rates.rates(connection, statistics.month(month), organisations.subtree(connection, org))
        unit = organisations.find(connection, org)
    made = local_text(site.store.clock.now_ms())
    paper = as_pdf(found, rates, site.words(request), place=unit.name if unit else org, month=month, made=made)
    return Response(
        paper,
        media_type="application/pdf",
        headers={"Content-Disposition": f'attachment; filename="zhenbao-{org}-{month}.pdf"'},
    )


def _found(site: Site, session: Session, month: str, org: str) -> tuple[list[Indicator], str]:
    person = session.practitioner
    seer = site.worklist.viewer(person)
    chosen = org or person.org_id
    if not seer.allowed("statistics"):
        raise InputError("denied-role")
    if chosen not in seer.orgs:
        raise InputError("denied-outside")
    period = statistics.month(month)
    with site.store.reading() as connection:
        orgs = organisations.subtree(connection, chosen)
        return indicators(connection, period, orgs, site.store.clock.now_ms()), chosen
