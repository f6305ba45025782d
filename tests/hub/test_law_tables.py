"""Lists that grow are found by an index."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from sqlalchemy import Select, select
from sqlalchemy.dialects import sqlite

from zhenbao.hub.store.law_tables import consents, login_identities, privacy_requests, share_requests
from zhenbao.hub.store.tables import audit, web_sessions

if TYPE_CHECKING:
    from zhenbao.hub.store import HubStore

IDS = ["x", "y"]


@pytest.mark.parametrize(
    "query",
    [
        select(share_requests).where(share_requests.c.login == "a").order_by(share_requests.c.asked_ms.desc()),
        select(share_requests).where(share_requests.c.owner_org.in_(IDS)),
        select(privacy_requests).where(privacy_requests.c.org_id.in_(IDS)),
        select(audit).where(audit.c.subject.in_(IDS)),
        select(web_sessions).where(web_sessions.c.login == "a"),
        select(login_identities).where(login_identities.c.issuer == "a", login_identities.c.subject == "b"),
    ],
    ids=lambda q: str(q).rpartition("FROM")[2].split()[0],
)
def test_by_an_index(store: HubStore, query: Select[tuple[object, ...]]) -> None:
    _plan(store, query)


def test_consents_and_shares_of_a_person_by_an_index(store: HubStore) -> None:
    for table in (consents, share_requests, privacy_requests):
        _plan(store, select(table).where(table.c.patient_id == UUID(int=1)))


def _plan(store: HubStore, query: Select[tuple[object, ...]]) -> None:
    text = query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    with store.reading() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(f"explain query plan {text}")]
    assert any("USING INDEX" in step or "USING COVERING INDEX" in step or "USING PRIMARY KEY" in step for step in plan)
    assert not any(step.startswith("SCAN") for step in plan), plan
