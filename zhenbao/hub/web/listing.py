"""The worklist's pages: filters, search, a page of lines, and the lines alone for a page that was told of news."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel

from zhenbao import rules
from zhenbao.hub import thread
from zhenbao.hub.access import Viewer
from zhenbao.hub.handover import waiting_for
from zhenbao.hub.permission import CLINICAL, Action, reach
from zhenbao.hub.rows import Overview
from zhenbao.hub.store import organisations, people, search
from zhenbao.hub.store.listing import Answered, Filters, Held
from zhenbao.hub.web.security import check_csrf, session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.finding import Urgency

router = APIRouter()
_REFRESH_MS = 30_000


class Asked(BaseModel):
    """What a browser sent: any text; what is no filter counts as none."""

    shown: str = "open"
    urgency: str = ""
    specialty: str = ""
    org: str = ""
    answered: str = ""
    held: str = ""
    kind: str = ""
    q: str = ""
    page: int = 1
    state: str = ""
    csrf: str = ""

    def filters(self) -> Filters:
        return Filters(
            shown="archive" if self.shown == "archive" else "open",
            urgency=Urgency(self.urgency) if self.urgency in list(Urgency) else None,
            specialty=self.specialty if self.specialty in rules.specialties() else "",
            org=self.org[:40],
            answered=_one_of(get_args(Answered), self.answered),
            held=_one_of(get_args(Held), self.held),
            kind=self.kind[:32],
            text=self.q[: search.LONGEST],
        )


# Where whoever has no list begins: by their first right of these.
_HOMES: tuple[tuple[Action, str], ...] = (
    ("opine", "/consults"),
    ("score", "/quality"),
    ("chronic", "/chronic"),
    ("fleet", "/fleet"),
    ("statistics", "/statistics"),
    ("privacy", "/privacy"),
    ("audit", "/audit"),
)


@router.get("/")
def worklist_page(request: Request, asked: Annotated[Asked, Query()]) -> Response:
    site: Site = request.app.state.site
    role = session_of(request, site.store).practitioner.role
    if reach(role, "list") is None:
        return RedirectResponse(
            next((path for right, path in _HOMES if reach(role, right) is not None), "/sessions"), 303
        )
    # A name must not stand in an address, which proxies log and browsers remember: searching is posted.
    return _list(request, "worklist.html", asked.model_copy(update={"q": ""}))


@router.post("/find")
def find(request: Request, asked: Annotated[Asked, Form()]) -> Response:
    """The list with a search; it changes nothing, and still only our own page may ask."""
    site: Site = request.app.state.site
    check_csrf(session_of(request, site.store).csrf, asked.csrf)
    return _list(request, "worklist.html", asked)


@router.get("/rows")
def worklist_rows(request: Request, asked: Annotated[Asked, Query()]) -> Response:
    """The list alone; 204 where it is as it was, so that a page pays for news only."""
    return _list(request, "rows.html", asked.model_copy(update={"q": ""}))


@router.post("/rows")
def found_rows(request: Request, asked: Annotated[Asked, Form()]) -> Response:
    """The same, of a list with a search."""
    site: Site = request.app.state.site
    check_csrf(session_of(request, site.store).csrf, asked.csrf)
    return _list(request, "rows.html", asked)


def _list(request: Request, template: str, asked: Asked) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    person, filters = session.practitioner, asked.filters()
    page = max(1, min(asked.page, 10_000))
    overview = site.worklist.overview(person, filters, page=page)
    state = _state(overview, site.store.clock.now_ms())
    if template == "rows.html" and state == asked.state:
        return Response(status_code=204)
    with site.store.reading() as connection:
        everyone = people.everyone(connection)
        orgs = organisations.everyone(connection)
        waiting = waiting_for(connection, person.login)
    seer = site.worklist.viewer(person)
    words = site.words(request)
    return site.page(
        request,
        template,
        session=session,
        here=filters.shown,
        shown=filters.shown,
        filters=filters,
        in_force=_in_force(filters),
        specialties=[key for key, value in rules.specialties().items() if value.kind == "department"],
        orgs=[(org, organisations.depth(org, orgs)) for org in orgs if org.id in seer.orgs],
        kinds=[key.partition(".")[2] for key in words.keys("observation.")],
        answered=get_args(Answered)[1:],
        held=get_args(Held)[1:],
        urgencies=list(Urgency)[:-1],
        state=state,
        rows=overview.rows,
        counts=overview.counts,
        total=sum(overview.counts.values()),
        page=page,
        more=overview.more,
        arrival=overview.arrival_ms,
        aside=overview.quarantined if person.role == "operator" else 0,
        operator=person.role == "operator",
        specialists=[p for p in everyone if p.role in CLINICAL] if person.role == "operator" else [],
        searches=_searches(seer),
        handovers=[(each, next((p.name for p in everyone if p.login == each.by), each.by)) for each in waiting],
        may_open=lambda item: seer.may("open", item),
        may_claim=lambda item: seer.may("claim", item),
        unread=thread.unread(site.store, [row.item.id for row in overview.rows], person),
    )


def _in_force(filters: Filters) -> dict[str, str]:
    """The filters as fields of a form, without those that are not set."""
    fields = {
        "shown": filters.shown,
        "urgency": filters.urgency or "",
        "specialty": filters.specialty,
        "org": filters.org,
        "answered": filters.answered,
        "held": filters.held,
        "kind": filters.kind,
        "q": filters.text,
    }
    return {name: str(value) for name, value in fields.items() if value}


def _searches(seer: Viewer) -> str:
    """By what this person may search: a key of the words."""
    if not seer.allowed("search-name"):
        return "by_code"
    return "by_all" if seer.allowed("search-number") else "by_name"


def _state(overview: Overview, now_ms: int) -> str:
    """Names what a list shows; another one after half a minute, so that its times never stand still for long."""
    late = [_over(row.item.ack_due_ms, now_ms) + _over(row.item.report_due_ms, now_ms) for row in overview.rows]
    return hashlib.sha256(repr((overview, late, now_ms // _REFRESH_MS)).encode()).hexdigest()[:16]


def _over(due_ms: int | None, now_ms: int) -> int:
    return int(due_ms is not None and due_ms < now_ms)


def _one_of(allowed: tuple[Any, ...], given: str) -> Any:
    """The word, where it is one of a literal type's; else the first of them, which is empty."""
    return next((value for value in allowed if value == given), allowed[0])
