"""The demo's specialist: works on the hub's own page, over HTTP, as a browser would."""

from __future__ import annotations

import re
from html import unescape

import httpx


class PageChanged(Exception):
    """The hub's page does not offer what a specialist needs."""


class Specialist:
    """One practitioner, logged in.

    Args:
        url: of the hub's page.
        account: the login name.
        password: the demo's own, made anew at each start.
    """

    def __init__(self, url: str, account: str, password: str) -> None:
        self._password = password
        self._client = httpx.Client(base_url=url, follow_redirects=True, timeout=10)
        self._submit(self._get("/login"), "/login", {"account": account, "password": password})

    def close(self) -> None:
        self._client.close()

    def worklist(self) -> list[str]:
        """The case pages that the worklist links to, most pressing first."""
        return list(dict.fromkeys(re.findall(r'href="(/cases/[0-9a-f-]{36})"', self._get("/").text)))

    def open_case(self, case: str) -> str:
        """Open a case: from now on the village sees 医师已查看. Returns the page."""
        return self._get(case).text

    def sign_report(self, case: str, *, conclusion: str, advice: str, urgency: str) -> None:
        """Write the report and sign it."""
        written = {"conclusion": conclusion, "advice": advice, "urgency": urgency, "checked": "yes", "sign": "1"}
        written["password"] = self._password
        self._submit(self._get(f"{case}?more=1"), f"{case}/report", written)

    def _get(self, path: str) -> httpx.Response:
        page = self._client.get(path)
        page.raise_for_status()
        return page

    def _submit(self, page: httpx.Response, action: str, values: dict[str, str]) -> None:
        """Fill a form of the page and send it with its hidden fields."""
        for form in re.findall(r"<form\b.*?</form>", page.text, re.DOTALL):
            if f'action="{action}"' in form:
                hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form)
                self._client.post(action, data={**{k: unescape(v) for k, v in hidden}, **values}).raise_for_status()
                return
        raise PageChanged(f"no form for {action}")
