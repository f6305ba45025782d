"""What is known of each kit, and what somebody must do about one. Nothing here belongs to a patient."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, Update, delete, func, insert, select, update

from zhenbao.hub.store import organisations
from zhenbao.hub.store.chronic_tables import fleet_tasks, kit_statuses
from zhenbao.hub.store.tables import inbox, kit_places, kits
from zhenbao.model.fleet import KitStatus
from zhenbao.sync.envelope import pack, unpack


@dataclass(frozen=True, slots=True)
class KitFacts:
    """One kit as the hub knows it. Times are the hub's, but for those in ``status``."""

    kit_id: str
    org_id: str
    revoked: bool
    last_contact_ms: int | None
    """When the hub last took something from it."""
    status: KitStatus | None
    """None: an older version that tells nothing of itself, or a kit that was never heard."""
    status_ms: int | None
    """When that came."""
    clock_ahead_ms: int
    """By how much its clock was ahead then; negative: behind."""


@dataclass(frozen=True, slots=True)
class FleetTask:
    """Something that is not as it should be with a kit, from when the hub saw it until the fact itself ended."""

    kit_id: str
    kind: str
    began_ms: int
    ended_ms: int | None
    login: str | None
    note: str
    noted_ms: int | None


def save_status(connection: Connection, kit_id: str, status: KitStatus, clock_ahead_ms: int, now_ms: int) -> None:
    """Keep the newest; where it takes other messages than before, it is to be told everything anew."""
    row = connection.execute(select(kit_statuses).where(kit_statuses.c.kit_id == kit_id)).one_or_none()
    before = unpack("kit-status", row.body) if row is not None else None
    # By the hub's order: a tablet whose clock jumps back is still the newest that we heard.
    connection.execute(delete(kit_statuses).where(kit_statuses.c.kit_id == kit_id))
    connection.execute(
        insert(kit_statuses).values(
            kit_id=kit_id,
            made_ms=status.made_ms,
            received_ms=now_ms,
            clock_ahead_ms=clock_ahead_ms,
            told=row is not None and row.told and isinstance(before, KitStatus) and before.takes == status.takes,
            body=pack(status),
        )
    )


def untold(connection: Connection) -> list[str]:
    """Kits that have said what they take and have not been told it all."""
    return list(connection.execute(select(kit_statuses.c.kit_id).where(kit_statuses.c.told.is_(False))).scalars())


def told(connection: Connection, kit_id: str) -> None:
    """A kit has been told everything."""
    connection.execute(update(kit_statuses).where(kit_statuses.c.kit_id == kit_id).values(told=True))


def takes(connection: Connection, kit_id: str, kind: str) -> bool:
    """Whether a kit has said that it takes this kind; another one would only refuse it."""
    body = connection.execute(select(kit_statuses.c.body).where(kit_statuses.c.kit_id == kit_id)).scalar()
    status = unpack("kit-status", body) if body is not None else None
    return isinstance(status, KitStatus) and kind in status.takes


def last_contact(connection: Connection, kit_id: str) -> int | None:
    """When the hub last took something from a kit."""
    last = select(func.max(inbox.c.received_ms)).where(inbox.c.sender == kit_id)
    found: int | None = connection.execute(last).scalar()
    return found


def facts(connection: Connection) -> list[KitFacts]:
    """Every kit that is registered or has a place or has told of itself, by name."""
    known = {row.kit_id: row for row in connection.execute(select(kits.c.kit_id, kits.c.revoked_ms))}
    told = {row.kit_id: row for row in connection.execute(select(kit_statuses))}
    placed = set(connection.execute(select(kit_places.c.kit_id)).scalars())
    names = sorted({*known, *told, *placed})
    places = organisations.of_kits(connection, names)
    found = []
    for name in names:
        row = told.get(name)
        status = unpack("kit-status", row.body) if row is not None else None
        found.append(
            KitFacts(
                name,
                places[name],
                name in known and known[name].revoked_ms is not None,
                last_contact(connection, name),
                status if isinstance(status, KitStatus) else None,
                row.received_ms if row is not None else None,
                row.clock_ahead_ms if row is not None else 0,
            )
        )
    return found


def open_tasks(connection: Connection) -> list[FleetTask]:
    """What has not ended, the oldest first."""
    found = select(fleet_tasks).where(fleet_tasks.c.ended_ms.is_(None)).order_by(fleet_tasks.c.began_ms)
    return [FleetTask(**row._mapping) for row in connection.execute(found)]


def begin(connection: Connection, kit_id: str, kind: str, now_ms: int) -> None:
    """Something is wrong from now on."""
    connection.execute(insert(fleet_tasks).values(kit_id=kit_id, kind=kind, began_ms=now_ms, note=""))


def end(connection: Connection, tasks: Collection[FleetTask], now_ms: int) -> None:
    """The facts are as they should be again."""
    for task in tasks:
        connection.execute(_one(task).values(ended_ms=now_ms))


def note(connection: Connection, task: FleetTask, login: str, text: str, now_ms: int) -> None:
    """What somebody did about it; it ends by its own fact and not by this."""
    connection.execute(_one(task).values(login=login, note=text, noted_ms=now_ms))


def _one(task: FleetTask) -> Update:
    return update(fleet_tasks).where(
        fleet_tasks.c.kit_id == task.kit_id,
        fleet_tasks.c.kind == task.kind,
        fleet_tasks.c.began_ms == task.began_ms,
    )
