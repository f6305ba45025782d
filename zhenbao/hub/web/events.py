"""The line on which a page is told what is new (server-sent events)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse

from zhenbao.hub.access import check
from zhenbao.hub.permission import reach
from zhenbao.hub.store import HubStore, work
from zhenbao.hub.store.people import Session
from zhenbao.hub.web.live import Event, Newsroom, TooMany
from zhenbao.hub.web.security import NotLoggedIn, session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.errors import InputError

router = APIRouter()


@router.get("/events")
async def events(request: Request, case: UUID | None = None) -> Response:
    """News for a list, or for the page of one case.

    204, after which a browser does not come back by itself: not logged in, or nothing that this person may see.
    """
    site: Site = request.app.state.site
    newsroom: Newsroom = request.app.state.newsroom
    try:
        session = await run_in_threadpool(_admit, request, site.store, case)
    except (NotLoggedIn, InputError):
        return Response(status_code=204)
    try:
        told = await newsroom.listen(session, site.words(request), case)
    except TooMany:
        # The page falls back to asking now and then.
        return Response(status_code=503, headers={"Retry-After": "60"})
    # nginx would keep the events back until its buffer is full.
    return StreamingResponse(_lines(told), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _lines(told: AsyncIterator[Event]) -> AsyncIterator[str]:
    """As HTML Living Standard, 9.2.6 writes them."""
    async for event in told:
        yield f"event: {event.kind}\ndata: {json.dumps(event.data, ensure_ascii=False)}\n\n"


def _admit(request: Request, store: HubStore, case: UUID | None) -> Session:
    session = session_of(request, store)
    if reach(session.practitioner.role, "list") is None:
        raise InputError("denied-role")
    if case is not None:
        with store.reading() as connection:
            item = work.find(connection, case)
            if item is None:
                raise InputError("case-unknown")
            check(connection, session.practitioner, "list", item, store.clock.now_ms())
    return session
