"""One ECG by itself, for the case page and for a bundle: a part of a page where htmx asks, else a whole one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from fastapi import Request
from fastapi.responses import Response

from zhenbao.hub.store import records
from zhenbao.hub.web.case_parts import ecg_options
from zhenbao.hub.web.ecg_view import tracing, view_of
from zhenbao.model.errors import InputError

if TYPE_CHECKING:
    from zhenbao.hub.store.people import Session
    from zhenbao.hub.web.site import Site
    from zhenbao.model.observation import Observation


def ecg_page(
    request: Request,
    session: Session,
    readings: Iterable[Observation],
    recording_id: UUID,
    *,
    base: str,
    **more: Any,
) -> Response:
    """The recording as the query asks.

    Args:
        readings: whose recordings the person may see.
        base: the page that it belongs to.
        more: further values of the page.

    Raises:
        InputError: ``case-unknown``: no such recording among them.
    """
    site: Site = request.app.state.site
    reading = next((r for r in readings if recording_id in r.recordings), None)
    recordings = []
    if reading is not None:
        with site.store.reading() as connection:
            recordings = [r for r in records.recordings_of(connection, reading.id) if r.id == recording_id]
    if reading is None or not recordings or recordings[0].unit != "mV":
        raise InputError("case-unknown")
    part = "HX-Request" in request.headers
    return site.page(
        request,
        "_ecg.html" if part else "ecg.html",
        session=session,
        reading=reading,
        one=tracing(reading, recordings[0], view_of(request.query_params), site.words(request)),
        base=base,
        **more,
        **ecg_options(),
    )
