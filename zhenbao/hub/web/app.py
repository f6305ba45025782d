"""The web application of one hub: its parts put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from zhenbao.hub.live_ecg import LiveDesk
from zhenbao.hub.web import (
    alerts,
    attachments,
    audit,
    cases,
    chest_pain,
    chest_pain_figures,
    chronic,
    consent,
    consults,
    course_pages,
    events,
    fleet,
    holding,
    identity,
    listing,
    live_ecg,
    login,
    loop,
    oidc,
    privacy,
    probe,
    quality,
    recognition,
    referrals,
    report_pdf,
    rules,
    second,
    sessions,
    shares,
    statistics,
    sync_endpoint,
    threads,
    vendor,
)
from zhenbao.hub.web.compressed import Compressed
from zhenbao.hub.web.live import Newsroom
from zhenbao.hub.web.security import Headers, LoginBrake, NotLoggedIn
from zhenbao.hub.web.site import Site
from zhenbao.model.errors import Rejected, StorageError, ZhenbaoError
from zhenbao.sync.live.chunk import Chunk

if TYPE_CHECKING:
    from zhenbao.hub.oidc import Provider
    from zhenbao.hub.push import Pusher
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.web.probe import Sign

_HERE = Path(__file__).parent
LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")

_STATUS = {
    "csrf": 403,
    "denied-role": 403,
    "denied-outside": 403,
    "denied-unassigned": 403,
    "denied-grant": 403,
    "consult-ended": 403,
    "second-self": 403,
    "denied-restricted": 403,
    "share-own": 403,
    "share-unknown": 404,
    "privacy-unknown": 404,
    "case-unknown": 404,
    "referral-unknown": 404,
    "page-unknown": 404,
    "report-unknown-hub": 404,
    "second-unknown": 404,
    "quality-unknown": 404,
    "patient-unknown-hub": 404,
    "chronic-unknown": 404,
    "chronic-tier": 403,
    "fleet-unknown": 404,
    "login-rest": 429,
}


def create_app(
    store: HubStore,
    *,
    hosts: Sequence[str] = LOCAL_HOSTS,
    https: bool = False,
    sign: Sign | None = None,
    sync: sync_endpoint.SyncRoad | None = None,
    pusher: Pusher | None = None,
    tell_family: Callable[[str, str], None] | None = None,
    oidc_provider: Provider | None = None,
    desk: LiveDesk | None = None,
) -> FastAPI:
    """The pages of a hub.

    Args:
        store: the hub's.
        hosts: names under which the pages may be asked for (against DNS rebinding).
        https: the pages are only reached through TLS: cookies are then marked Secure.
        sign: the hub's signature, for kits that ask whether it is there; None: they get no answer.
        pusher: alerts devices; None: this hub does not.
        sync: the HTTPS road for kits, on the same server; None: there is none.
        tell_family: sends the sentence for a family; takes a case's code and a telephone. None: there is no way.
        oidc_provider: another way to log in; None: there is none.
        desk: where running traces arrive; None: none does.

    Raises:
        StorageError: ``hub-vendor``: htmx or the font is missing; run ``make``.
    """
    vendor.check()
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.state.site = Site(store, LoginBrake(store.clock), https, tell_family, oidc_provider)
    app.add_middleware(Headers)
    app.add_middleware(Compressed)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    app.mount("/static", StaticFiles(directory=_HERE / "static"))
    app.mount("/vendor", StaticFiles(directory=vendor.VENDOR))
    app.include_router(login.router)
    app.include_router(listing.router)
    app.include_router(holding.router)
    app.include_router(cases.router)
    app.state.newsroom = Newsroom(store)
    app.include_router(events.router)
    app.state.pusher = pusher
    app.include_router(alerts.router)
    app.include_router(loop.router)
    app.include_router(threads.router)
    app.include_router(second.router)
    app.include_router(consults.router)
    app.include_router(quality.router)
    app.include_router(report_pdf.router)
    app.include_router(chest_pain.router)
    app.include_router(chest_pain_figures.router)
    app.state.live = desk or LiveDesk(_no_live, store.clock)
    app.include_router(live_ecg.router)
    app.include_router(identity.router)
    app.include_router(referrals.router)
    app.include_router(statistics.router)
    app.include_router(chronic.router)
    app.include_router(recognition.router)
    app.include_router(course_pages.router)
    app.include_router(fleet.router)
    app.include_router(audit.router)
    app.include_router(shares.router)
    app.include_router(consent.router)
    app.include_router(privacy.router)
    app.include_router(rules.router)
    app.include_router(sessions.router)
    if oidc_provider is not None:
        app.include_router(oidc.router)
    if sign is not None:
        app.include_router(probe.probe_router(sign))
    app.include_router(attachments.router)
    if sync is not None:
        app.state.sync = sync
        app.include_router(sync_endpoint.router)
    app.add_exception_handler(NotLoggedIn, _to_login)
    app.add_exception_handler(ZhenbaoError, _error_page)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _no_such_page)
    return app


def _no_live(_data: bytes, _road: str) -> tuple[str, Chunk]:
    raise Rejected("message", reason="no road")


def _to_login(request: Request, _error: Exception) -> Response:
    if "HX-Request" in request.headers:
        return Response(status_code=204, headers={"HX-Redirect": "/login"})
    return RedirectResponse("/login", 303)


def _error_page(request: Request, error: Exception) -> Response:
    if not isinstance(error, ZhenbaoError):
        raise error
    site: Site = request.app.state.site
    status = _STATUS.get(error.code, 503 if isinstance(error, StorageError) else 409)
    words = site.words(request)
    return site.page(request, "error.html", status=status, error=words.error(error), code=error.code)


def _no_such_page(request: Request, _error: Exception) -> Response:
    return _error_page(request, ZhenbaoError("page-unknown"))


def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 404:
        return _no_such_page(request, error)
    return Response(status_code=error.status_code, headers=error.headers)
