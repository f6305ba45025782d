"""The tree of organisations, and in which of them each kit stands."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import Connection, bindparam, delete, insert, select

from zhenbao.hub.store.tables import kit_places, organisations
from zhenbao.model.errors import InputError

Kind = Literal["province", "county", "township", "village", "care-home"]
ROOT = "county"
"""Every hub has it from the start; whoever and whatever has been put nowhere stands there."""

_ABOVE: dict[Kind, tuple[Kind, ...]] = {
    "province": (),
    "county": (),
    "township": ("county",),
    "village": ("township", "county"),
    "care-home": ("township", "county"),
}
"""What may stand directly above. A provincial partner is beside the tree: it sees what a consultation shows it."""

_PLACES = select(kit_places.c.kit_id, kit_places.c.org_id).where(
    kit_places.c.kit_id.in_(bindparam("kits", expanding=True))
)


@dataclass(frozen=True, slots=True)
class Organisation:
    """One unit. ``consortium`` names the group that a lead hospital answers for; a hub may serve several."""

    id: str
    name: str
    kind: Kind
    parent_id: str | None = None
    consortium: str = ""
    phone: str = ""


def add(connection: Connection, organisation: Organisation) -> None:
    """Add an organisation under one that is there.

    Raises:
        InputError: ``org-id``, ``org-known`` or ``org-parent``.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", organisation.id):
        raise InputError("org-id", id=organisation.id[:40])
    if find(connection, organisation.id) is not None:
        raise InputError("org-known", id=organisation.id)
    above = find(connection, organisation.parent_id) if organisation.parent_id else None
    allowed = _ABOVE[organisation.kind]
    if (above is None) != (not allowed) or (above is not None and above.kind not in allowed):
        raise InputError("org-parent", kind=organisation.kind, known=", ".join(allowed) or "-")
    connection.execute(
        insert(organisations).values(
            id=organisation.id,
            name=organisation.name,
            kind=organisation.kind,
            parent_id=organisation.parent_id,
            consortium=organisation.consortium or (above.consortium if above is not None else ""),
            phone=organisation.phone,
        )
    )


def check_kind(text: str) -> Kind:
    """A kind from what a person typed.

    Raises:
        InputError: ``org-kind``.
    """
    known: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
    if text not in known:
        raise InputError("org-kind", kind=text[:20], known=", ".join(known))
    return known[text]


def find(connection: Connection, id_: str) -> Organisation | None:
    """One organisation."""
    row = connection.execute(select(organisations).where(organisations.c.id == id_)).one_or_none()
    return None if row is None else Organisation(**row._mapping)


def check(connection: Connection, id_: str) -> str:
    """The id, if there is such an organisation.

    Raises:
        InputError: ``org-unknown``.
    """
    if find(connection, id_) is None:
        raise InputError("org-unknown", id=id_[:40])
    return id_


def everyone(connection: Connection) -> list[Organisation]:
    """All organisations, each after the one above it."""
    found = {row.id: Organisation(**row._mapping) for row in connection.execute(select(organisations))}
    below: dict[str | None, list[Organisation]] = {}
    for organisation in sorted(found.values(), key=lambda o: (o.kind, o.id)):
        below.setdefault(organisation.parent_id, []).append(organisation)
    ordered: list[Organisation] = []
    waiting = below.get(None, [])[::-1]
    while waiting:
        ordered.append(waiting.pop())
        waiting += below.get(ordered[-1].id, [])[::-1]
    return ordered


def depth(organisation: Organisation, everyone_: list[Organisation]) -> int:
    """How many stand above it."""
    parents = {o.id: o.parent_id for o in everyone_}
    steps, above = 0, organisation.parent_id
    while above is not None:
        steps, above = steps + 1, parents.get(above)
    return steps


def subtree(connection: Connection, id_: str) -> frozenset[str]:
    """An organisation and all below it."""
    pairs = select(organisations.c.id, organisations.c.parent_id).where(organisations.c.id == id_)
    seen = pairs.cte("seen", recursive=True)
    below = seen.union_all(
        select(organisations.c.id, organisations.c.parent_id).join(seen, organisations.c.parent_id == seen.c.id)
    )
    return frozenset(connection.execute(select(below.c.id)).scalars())


def above(connection: Connection, id_: str) -> tuple[str, ...]:
    """An organisation and all above it, from below."""
    parents: dict[str, str | None] = {
        row.id: row.parent_id for row in connection.execute(select(organisations.c.id, organisations.c.parent_id))
    }
    chain, step = [], id_ if id_ in parents else None
    while step is not None:
        chain.append(step)
        step = parents[step]
    return tuple(chain)


def place_kit(connection: Connection, kit_id: str, org_id: str, now_ms: int) -> None:
    """Say where a kit stands from now on; cases that it sent before stay where they were.

    Raises:
        InputError: ``org-unknown``.
    """
    check(connection, org_id)
    connection.execute(delete(kit_places).where(kit_places.c.kit_id == kit_id))
    connection.execute(insert(kit_places).values(kit_id=kit_id, org_id=org_id, since_ms=now_ms))


def of_kits(connection: Connection, kit_ids: Collection[str]) -> dict[str, str]:
    """Where each of these kits stands; ``ROOT`` where nobody has said."""
    return dict.fromkeys(kit_ids, ROOT) | {
        row.kit_id: row.org_id for row in connection.execute(_PLACES, {"kits": list(kit_ids)})
    }
