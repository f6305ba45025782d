"""The hub's answer to a kit that asks whether it is there: see ``zhenbao.sync.uplink.probe``.

Nobody logs in for it, and it tells nothing but that this is the hub. What is signed has a context of its own, so that
the answer can stand for nothing else that the same key signs.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from fastapi import APIRouter
from fastapi.responses import Response

from zhenbao.model.errors import ZhenbaoError
from zhenbao.sync.uplink.probe import CONTEXT, NONCE_BYTES

Sign = Callable[[bytes, bytes], bytes]
"""The hub's Ed25519 signature of a message, by the key of an id where it still has that, else by its newest."""
_KEY = re.compile("(?:[0-9a-f]{16})?")
_NONCE = re.compile(f"[0-9a-f]{{{2 * NONCE_BYTES}}}")


def probe_router(sign: Sign) -> APIRouter:
    """``GET /probe/<nonce>?key=<id>``: the key by which the kit knows the hub, for a kit that knows an older one."""
    router = APIRouter()

    @router.get("/probe/{nonce}")
    async def answer(nonce: str, key: str = "") -> Response:
        if not (_NONCE.fullmatch(nonce) and _KEY.fullmatch(key)):
            raise ZhenbaoError("page-unknown")
        return Response(sign(CONTEXT + bytes.fromhex(nonce), bytes.fromhex(key)), media_type="application/octet-stream")

    return router
