"""Every route by the program's own description, as every role, with whatever may be sent: no failure of the program."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from tests.hub.full_hub import LOGINS, Full, fill
from zhenbao.hub.permission import Role
from zhenbao.hub.store import people
from zhenbao.hub.web.security import SESSION_COOKIE

if TYPE_CHECKING:
    from tests.hub.conftest import HandClock
    from zhenbao.hub.store import HubStore

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("vendored")]
LINES = ("/events", "/cases/{case_id}/live/stream")
"""They stay open until who reads them goes; see test_live.py and test_live_ecg.py."""
NEVER = "01a200fb-5100-793b-ade9-a0861613c191"
EXAMPLES = 2
"""For each route; each is sent by every role."""
TEMPLATES = Path(__file__).parents[2] / "zhenbao" / "hub" / "web" / "templates"
FIELDS = sorted({n for f in TEMPLATES.glob("*.html") for n in re.findall(r'name="([a-z_.]+)"', f.read_text("utf-8"))})
"""What the pages' own forms send: some routes read their form themselves, and the description does not name it."""
FORMS = st.dictionaries(st.sampled_from(FIELDS), st.text(max_size=40), max_size=6)
LOOKING_WRITES = {
    "audit": "who looked at what",
    "meta": "the end of the audit's chain",
    "views": "which readings a report may be about",
    "outbox": "the village is told that its case was opened",
    "thread_seen": "what is new in a discussion",
    "consults": "that the expert has looked",
    "care_notices": "which news of a patient somebody has read",
}
"""What opening a case leaves behind, by table; other pages leave a line of the audit at the most."""
OPENING = {
    "/cases/{case_id}": set(LOOKING_WRITES),
    "/consults/{consult_id}": {"audit", "meta", "consults"},
    "/chronic/patients/{patient_id}": {"audit", "meta", "care_notices"},
}


class County:
    """The full hub, and somebody of every role who is logged in."""

    def __init__(self, store: HubStore, full: Full, database: Path) -> None:
        from zhenbao.hub.web.app import create_app

        self.store, self.full = store, full
        self.app = create_app(store)
        self.client = TestClient(self.app, base_url="http://127.0.0.1", follow_redirects=False)
        self.client.__enter__()  # one thread for all requests instead of one for each
        self._database = sqlite3.connect(database)
        self._read: tuple[int, dict[str, int]] = (-1, {})
        self._tokens: dict[str, str] = {}
        self.statuses: Counter[int] = Counter()

    def ask(self, role: Role, method: str, path: str, query: Any, form: dict[str, str] | None) -> int:
        """The status of an answer."""
        try:
            status = self.client.request(method, path, params=query, data=form).status_code
        except Exception as error:
            error.add_note(f"{role}: {method} {path} {query} {form}")
            raise
        self.statuses[status] += 1
        return status

    def tables(self) -> dict[str, int]:
        """What every table holds, in short; read anew only after something was written."""
        version = int(self._database.execute("pragma data_version").fetchone()[0])
        if version != self._read[0]:
            self._read = version, self._tables()
        return self._read[1]

    def _tables(self) -> dict[str, int]:
        names = [n for (n,) in self._database.execute("select name from sqlite_master where type = 'table'")]
        return {n: hash(tuple(self._database.execute(f"select * from {n}"))) for n in names}  # noqa: S608

    def close(self) -> None:
        self.client.__exit__(None, None, None)
        self._database.close()

    def be(self, role: Role) -> str:
        """Log in as somebody of a role, where they are not; the token of their forms."""
        login, now_ms = LOGINS[role], self.store.clock.now_ms()
        with self.store.reading() as connection:
            found = people.session(connection, self._tokens.get(role, ""), now_ms)
        if found is None:
            with self.store.writing() as connection:
                self._tokens[role], _ = people.open_session(connection, login, now_ms)
                found = people.session(connection, self._tokens[role], now_ms)
        assert found is not None
        self.client.cookies.clear()
        self.client.cookies.set(SESSION_COOKIE, self._tokens[role])
        return found.csrf


@pytest.fixture
def county(store: HubStore, clock: HandClock, tmp_path: Path) -> Iterator[County]:
    made = County(store, fill(store, clock), tmp_path / "hub.db")
    yield made
    made.close()


def sent(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def test_whatever_is_sent_by_whomever_nothing_fails_and_a_look_changes_nothing(county: County) -> None:
    import schemathesis

    schema = schemathesis.openapi.from_dict(county.app.openapi())
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) >= 80
    for operation in operations:
        if operation.path not in LINES:
            try_out(county, operation)
    assert {200, 303, 403, 404, 409} <= set(county.statuses), "some of what was sent was right, and some was not"


def try_out(county: County, operation: Any) -> None:
    """One route, as every role."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), path=addresses(county, operation.path), more=FORMS)
    def tried(case: Any, path: str, more: dict[str, str]) -> None:
        body = case.body if isinstance(case.body, dict) else {}
        form = None if case.method == "GET" else more | {k: sent(v) for k, v in body.items()}
        for role in get_args(Role):
            csrf = county.be(role)
            before = county.tables() if form is None else {}
            status = county.ask(
                role, case.method, path or case.formatted_path, case.query, form and form | {"csrf": csrf}
            )
            assert status < 500, (role, case.method, path, form)
            if form is None:
                after = county.tables()
                changed = {name for name in after if after[name] != before[name]}
                allowed = OPENING.get(operation.path, {"audit", "meta"})
                assert changed <= allowed, (role, operation.path, changed)

    tried()


def addresses(county: County, path: str) -> st.SearchStrategy[str]:
    """What is there, most of the time; what never was; empty: an id as the description allows it."""
    known = re.sub(r"\{(\w+)\}", lambda m: county.full.ids.get(m[1], NEVER), path)
    return st.sampled_from([known, known, "", re.sub(r"\{(\w+)\}", "%00'x", path)])
