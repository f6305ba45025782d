"""The hub's end of the HTTPS road: kits' packets up in batches, their mailboxes down. No page, no session."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest

from zhenbao.hub.web.sync_guard import SyncGuard
from zhenbao.model.errors import Rejected
from zhenbao.model.time import Clock
from zhenbao.sync.links.http_wire import (
    CONTENT_TYPE,
    DOWN_PATH,
    EMERGENCY_PATH,
    LONGEST_WAIT_S,
    MOST_BODY_BYTES,
    RECEIPT_PATH,
    REFUSED_HEADER,
    TIME_HEADER,
    UP_PATH,
    pack_mail,
    pack_results,
    unpack_batch,
)
from zhenbao.sync.links.mailboxes import MailboxLink
from zhenbao.sync.links.signed_request import Request
from zhenbao.sync.names import AddressBook, is_emergency_side

router = APIRouter()
_STATUS = {"sync-rate": 429, "link-too-large": 413, "message": 400, "sync-emergency-only": 403}
_EMERGENCY_PATHS = (EMERGENCY_PATH, RECEIPT_PATH)


@dataclass(frozen=True, slots=True)
class SyncRoad:
    """What the endpoint needs: the mailboxes, who may use them, and who is who."""

    link: MailboxLink
    guard: SyncGuard
    book: AddressBook
    clock: Clock


@router.post(UP_PATH)
@router.post(EMERGENCY_PATH)
async def up(request: HttpRequest) -> Response:
    road: SyncRoad = request.app.state.sync
    try:
        kit_id, body = await _admit(request, road)
        packets = unpack_batch(body)
    except Rejected as refusal:
        return _refused(refusal, road)
    # The engine takes packets at the pace of its disk; that wait must not stop the whole server.
    results = await run_in_threadpool(road.link.deliver, kit_id, packets)
    return Response(pack_results(results), media_type=CONTENT_TYPE)


@router.get(DOWN_PATH)
@router.get(RECEIPT_PATH)
async def down(request: HttpRequest, after: int = 0, epoch: str = "", wait: int = 0) -> Response:
    road: SyncRoad = request.app.state.sync
    try:
        kit_id, _ = await _admit(request, road)
    except Rejected as refusal:
        return _refused(refusal, road)
    mail = await road.link.collect(kit_id, epoch, after, min(max(wait, 0), LONGEST_WAIT_S))
    return Response(pack_mail(mail), media_type=CONTENT_TYPE)


async def _admit(request: HttpRequest, road: SyncRoad) -> tuple[str, bytes]:
    """The kit, and the body that it signed.

    Raises:
        Rejected: as ``SyncGuard.admit``, or ``link-too-large``; ``sync-emergency-only``: a kit's emergency side
            has two paths of its own, and the kit the two others.
    """
    road.guard.check_known(request.headers)  # a stranger's body is not even read
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY_BYTES:
            raise Rejected("link-too-large", size=len(body), most=MOST_BODY_BYTES)
    query = request.scope["query_string"].decode("ascii", "replace")
    asked = Request(request.method, request.url.path, query, bytes(body))
    kit_id = road.book.kit_of(road.guard.admit(asked, request.headers))
    if kit_id is None:
        raise Rejected("sync-stranger")
    if is_emergency_side(kit_id) is not (asked.path in _EMERGENCY_PATHS):
        raise Rejected("sync-emergency-only")
    return kit_id, asked.body


def _refused(refusal: Rejected, road: SyncRoad) -> Response:
    headers = {REFUSED_HEADER: refusal.code, TIME_HEADER: str(road.clock.now_ms() // 1000)}
    status = _STATUS.get(refusal.code, 401)
    if status == 429:
        headers["retry-after"] = "1"
    return Response(status_code=status, headers=headers)
