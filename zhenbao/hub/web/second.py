"""Second readings: the list of a person, and their verdict."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from zhenbao.hub import second_reading
from zhenbao.hub.store import work
from zhenbao.hub.web.security import check_csrf, session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.errors import InputError

router = APIRouter()


@router.get("/second")
def second_page(request: Request) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    waiting = second_reading.waiting(site.store, session.practitioner)
    with site.store.reading() as connection:
        items = {reading.work_item_id: work.find(connection, reading.work_item_id) for reading in waiting}
    listed = [(reading, item) for reading in waiting if (item := items[reading.work_item_id]) is not None]
    return site.page(request, "second.html", session=session, here="second", listed=listed)


@router.post("/second/{reading_id}")
def verdict(
    request: Request,
    reading_id: UUID,
    csrf: Annotated[str, Form()] = "",
    verdict: Annotated[str, Form()] = "",
    note: Annotated[str, Form()] = "",
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    if verdict == "agreed":
        second_reading.answer(site.store, reading_id, session.practitioner, "agreed", note)
        return RedirectResponse("/second", 303)
    if verdict != "disagreed":
        raise InputError("second-note", shortest=second_reading.SHORTEST_NOTE, longest=second_reading.LONGEST_NOTE)
    reading = second_reading.answer(site.store, reading_id, session.practitioner, "disagreed", note)
    return RedirectResponse(f"/cases/{reading.work_item_id}?more=1#report-form", 303)
