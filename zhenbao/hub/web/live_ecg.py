"""A running trace on a page: server-sent events from the live desk, for who may open the case, and never for long."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse

from zhenbao.hub.live_ecg import LiveDesk, Piece
from zhenbao.hub.store import audit, work
from zhenbao.hub.store.people import Session
from zhenbao.hub.store.work import WorkItem
from zhenbao.hub.web.security import NotLoggedIn, session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.errors import InputError, StorageError
from zhenbao.model.recording import NO_VALUE
from zhenbao.sync.live.rules import live_rules

router = APIRouter()
_KEEP_OPEN_S = 5.0


@router.get("/cases/{case_id}/live")
def live_page(request: Request, case_id: UUID) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    item = _allowed(site, session, case_id)
    rules = live_rules()
    return site.page(
        request,
        "live_ecg.html",
        session=session,
        item=item,
        minutes=round(rules.most_s / 60),
        silent_s=rules.silent_s,
        full=site.words(request).error(InputError("live-full", most=rules.most_watchers)),
    )


@router.get("/cases/{case_id}/live/stream")
async def live_stream(request: Request, case_id: UUID) -> Response:
    """The trace as it comes. It ends by itself; nothing of it is kept."""
    site: Site = request.app.state.site
    session = await run_in_threadpool(session_of, request, site.store)
    item = await run_in_threadpool(_allowed, site, session, case_id)
    await run_in_threadpool(_note, site, session, item)
    desk: LiveDesk = request.app.state.live
    return StreamingResponse(_events(request, site, desk, item), media_type="text/event-stream")


async def _events(request: Request, site: Site, desk: LiveDesk, item: WorkItem) -> AsyncIterator[bytes]:
    rules, loop = live_rules(), asyncio.get_running_loop()
    ends_s = loop.time() + rules.most_s
    look_again_s = loop.time() + rules.look_again_s
    try:
        with desk.watching(item.kit_id, item.encounter_id) as watcher:
            yield _event("open", {})
            while loop.time() < ends_s:
                if loop.time() >= look_again_s:
                    look_again_s = loop.time() + rules.look_again_s
                    await run_in_threadpool(_still_allowed, request, site, item.id)
                try:
                    piece = await watcher.next(min(_KEEP_OPEN_S, ends_s - loop.time()))
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                if piece is None:
                    yield _event("lost", {})
                    return
                yield _event("ended", {}) if piece.chunk.ended and not piece.chunk.samples else _chunk(piece)
                if piece.chunk.ended and piece.chunk.samples:
                    yield _event("ended", {})
        yield _event("limit", {})
    except InputError as error:
        # Too many look; or the case was handed on.
        yield _event("full" if error.code == "live-full" else "lost", {})
    except (NotLoggedIn, StorageError):
        yield _event("lost", {})


def _chunk(piece: Piece) -> bytes:
    chunk = piece.chunk
    rows = struct.iter_unpack(f"<{len(chunk.leads)}h", chunk.samples)
    columns = zip(*rows, strict=True)
    shown = [[None if value == NO_VALUE else round(value * chunk.lsb_mv, 3) for value in column] for column in columns]
    return _event(
        "chunk",
        {
            "stream": chunk.stream.hex(),
            "rate_hz": chunk.rate_hz,
            "first": chunk.first_sample,
            "leads": chunk.leads,
            "mv": shown,
            "delay_s": round(piece.delay_s, 1),
        },
    )


def _event(name: str, data: dict[str, object]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def _allowed(site: Site, session: Session, case_id: UUID) -> WorkItem:
    """The case, for who may open it.

    Raises:
        InputError: ``case-unknown``, or why not; a denial leaves a line in the audit.
    """
    with site.store.reading() as connection:
        item = work.find(connection, case_id)
    if item is None:
        raise InputError("case-unknown")
    denied = site.worklist.viewer(session.practitioner).denial("open", item)
    if denied is not None:
        now_ms = site.store.clock.now_ms()
        with site.store.writing() as connection:
            audit.append(
                connection, now_ms, session.practitioner.login, "live-denied", f"case:{case_id}", reason=denied
            )
        raise InputError(denied)
    return item


def _still_allowed(request: Request, site: Site, case_id: UUID) -> None:
    _allowed(site, session_of(request, site.store), case_id)


def _note(site: Site, session: Session, item: WorkItem) -> None:
    """Who looked is kept, what they saw is not. It is no answer: the case's clocks go on."""
    now_ms = site.store.clock.now_ms()
    with site.store.writing() as connection:
        audit.append(connection, now_ms, session.practitioner.login, "live-watched", f"case:{item.id}")
