"""Devices that are alerted while no page is open, and what was already pushed to whom."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from sqlalchemy import Connection, delete, exists, func, insert, select, update

from zhenbao.hub.store.list_tables import push_devices, pushes
from zhenbao.hub.store.tables import work_items
from zhenbao.model.finding import Urgency
from zhenbao.model.ids import uuid7


@dataclass(frozen=True, slots=True)
class Device:
    """One browser of one person, as RFC 8291 addresses it."""

    id: UUID
    login: str
    endpoint: str
    """Whoever knows it may push to the device: it is never logged and never shown."""
    p256dh: str
    auth: str
    name: str
    english: bool
    added_ms: int
    told_ms: int | None
    failed: int
    """Times in a row."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A critical case that its owner's devices have not been told of."""

    case_id: UUID
    ranked_ms: int
    login: str


def add(
    connection: Connection, login: str, endpoint: str, p256dh: str, auth: str, name: str, now_ms: int, *, english: bool
) -> UUID:
    """Add a device; one that is known is this person's from now on, and nobody else's."""
    digest = sha256(endpoint.encode()).digest()
    connection.execute(delete(push_devices).where(push_devices.c.endpoint_sha256 == digest))
    made = uuid7(now_ms)
    connection.execute(
        insert(push_devices).values(
            id=made,
            login=login,
            endpoint=endpoint,
            endpoint_sha256=digest,
            p256dh=p256dh,
            auth=auth,
            name=name,
            english=english,
            added_ms=now_ms,
        )
    )
    return made


def of_login(connection: Connection, login: str) -> list[Device]:
    """A person's devices, the newest first."""
    c = push_devices.c
    columns = (c.id, c.login, c.endpoint, c.p256dh, c.auth, c.name, c.english, c.added_ms, c.told_ms, c.failed)
    found = connection.execute(select(*columns).where(c.login == login).order_by(c.added_ms.desc(), c.id))
    return [Device(**row._mapping) for row in found]


def count(connection: Connection, login: str) -> int:
    """How many devices a person has."""
    wanted = select(func.count()).select_from(push_devices).where(push_devices.c.login == login)
    return connection.execute(wanted).scalar_one()


def remove(connection: Connection, device_id: UUID, login: str) -> bool:
    """Forget a person's device; False where it is not theirs or not there."""
    gone = connection.execute(delete(push_devices).where(push_devices.c.id == device_id, push_devices.c.login == login))
    return gone.rowcount > 0


def told(connection: Connection, device_id: UUID, now_ms: int) -> None:
    """A push was taken by the device's service."""
    connection.execute(update(push_devices).where(push_devices.c.id == device_id).values(told_ms=now_ms, failed=0))


def failed(connection: Connection, device_id: UUID) -> None:
    """A push was not taken."""
    one_more = update(push_devices).where(push_devices.c.id == device_id)
    connection.execute(one_more.values(failed=push_devices.c.failed + 1))


def arrivals(connection: Connection, since_ms: int) -> list[Arrival]:
    """Critical cases ranked since then whose owner has a device that was not told."""
    c = work_items.c
    before = exists().where(pushes.c.work_item_id == c.id, pushes.c.ranked_ms == c.ranked_ms, pushes.c.login == c.owner)
    found = connection.execute(
        select(c.id, c.ranked_ms, c.owner)
        .where(
            c.status == "open",
            c.urgency_rank == Urgency.RED.rank,
            c.ranked_ms >= since_ms,
            exists().where(push_devices.c.login == c.owner),
            ~before,
        )
        .order_by(c.ranked_ms)
        .limit(100)
    )
    return [Arrival(*row) for row in found]


def take(connection: Connection, arrival: Arrival, now_ms: int) -> bool:
    """Note that a case is pushed to its owner now; False where somebody has done so, also another process."""
    c = pushes.c
    connection.execute(select(work_items.c.id).where(work_items.c.id == arrival.case_id).with_for_update())
    key = (c.work_item_id == arrival.case_id, c.ranked_ms == arrival.ranked_ms, c.login == arrival.login)
    if connection.execute(select(c.at_ms).where(*key)).first() is not None:
        return False
    connection.execute(
        insert(pushes).values(
            work_item_id=arrival.case_id, ranked_ms=arrival.ranked_ms, login=arrival.login, at_ms=now_ms
        )
    )
    return True


def forget_pushes(connection: Connection, before_ms: int) -> None:
    """Forget what was pushed long ago."""
    connection.execute(delete(pushes).where(pushes.c.ranked_ms < before_ms))
