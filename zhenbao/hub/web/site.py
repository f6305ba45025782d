"""What every page needs: the hub, the language of the one who asks, and the templates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from zhenbao.hub.oidc import Provider
from zhenbao.hub.permission import reach
from zhenbao.hub.reports import Reports
from zhenbao.hub.store import HubStore, rule_versions
from zhenbao.hub.store.people import Session
from zhenbao.hub.web.present import Presenter
from zhenbao.hub.web.security import LoginBrake
from zhenbao.hub.worklist import Worklist
from zhenbao.words import DEFAULT, LANGUAGES, Words

LANGUAGE_COOKIE = "zhenbao_lang"


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@dataclass(slots=True)
class Site:
    """One hub's pages."""

    store: HubStore
    brake: LoginBrake
    https: bool = False
    tell_family: Callable[[str, str], None] | None = None
    oidc: Provider | None = None
    templates: Environment = field(default_factory=_environment)
    worklist: Worklist = field(init=False)
    reports: Reports = field(init=False)

    def __post_init__(self) -> None:
        self.worklist = Worklist(self.store)
        self.reports = Reports(self.store)

    def language(self, request: Request) -> str:
        """``?lang=``, then the choice made before, then the browser's first language; Chinese otherwise."""
        chosen = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
        if chosen in LANGUAGES:
            return chosen
        first = request.headers.get("accept-language", "").partition(",")[0].strip().lower()
        return "en" if first[:2] == "en" else DEFAULT

    def words(self, request: Request) -> Words:
        """The words of the one who asks."""
        return Words(self.language(request))

    def presenter(self, request: Request) -> Presenter:
        """How values are written, in their language, now."""
        with self.store.reading() as connection:
            table = rule_versions.active(connection).table
        return Presenter(self.words(request), self.store.roster, self.store.clock.now_ms(), table)

    def page(
        self, request: Request, template: str, *, session: Session | None = None, status: int = 200, **values: object
    ) -> HTMLResponse:
        """A page or a part of one."""
        presenter = self.presenter(request)
        everywhere = {
            "p": presenter,
            "w": presenter.words,
            "person": session.practitioner if session else None,
            "csrf": session.csrf if session else "",
            "here": "",
            "may": lambda action: session is not None and reach(session.practitioner.role, action) is not None,
        }
        html = self.templates.get_template(template).render(everywhere | values)
        response = HTMLResponse(html, status)
        if (chosen := request.query_params.get("lang")) in LANGUAGES:
            response.set_cookie(
                LANGUAGE_COOKIE, chosen, max_age=31_536_000, samesite="strict", httponly=True, secure=self.https
            )
        return response


def id_or_none(text: str) -> UUID | None:
    """An id that came with a form; None where there is none, or what came is none."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
