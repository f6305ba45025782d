"""What has changed since a moment, for pages that wait for it: the audit is the list of deeds, a counter the rest.

Both are counted under a lock that lasts to the end of the transaction, so that a higher number is never seen before a
lower one, on any database and from any number of processes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import BigInteger, Connection, Text, cast, select, update

from zhenbao.hub.store import audit
from zhenbao.hub.store.tables import audit as deeds
from zhenbao.hub.store.tables import meta

COUNTER = "news"
_MOST = 1000
_BUMP = (
    update(meta).where(meta.c.key == COUNTER).values(value=cast(cast(meta.c.value, BigInteger) + 1, Text))
)  # in the database, so that no two processes count the same


@dataclass(frozen=True, slots=True)
class Moment:
    """How far somebody has read."""

    deed: int
    counter: str


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that somebody did to a case."""

    number: int
    actor: str
    action: str
    case_id: UUID
    detail: dict[str, str]


def bump(connection: Connection) -> None:
    """Something came that no deed tells of: a patient's name, a waveform, a receipt."""
    connection.execute(_BUMP)


def now(connection: Connection) -> Moment:
    """The moment of this transaction."""
    number, _ = audit.head(connection)
    counter = connection.execute(select(meta.c.value).where(meta.c.key == COUNTER)).scalar_one()
    return Moment(number, counter)


def since(connection: Connection, moment: Moment) -> list[Deed]:
    """What was done to cases since then, in its order; at most the last thousand deeds are looked at."""
    head, _ = audit.head(connection)
    wanted = (
        select(deeds.c.number, deeds.c.actor, deeds.c.action, deeds.c.subject, deeds.c.detail)
        .where(deeds.c.number > max(moment.deed, head - _MOST), deeds.c.number <= head)
        .order_by(deeds.c.number)
    )
    found = []
    for row in connection.execute(wanted):
        detail = json.loads(row.detail)
        case = row.subject.removeprefix("case:") if row.subject.startswith("case:") else detail.get("case")
        if case is not None:
            found.append(Deed(row.number, row.actor, row.action, UUID(case), detail))
    return found
