"""The index that finds cases: names, their pinyin and initials, the tail of the resident number, case codes.

It is made from other rows whenever a patient comes or a case opens, and as a whole when the hub is opened by a version
that makes other keys.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Connection,
    bindparam,
    delete,
    false,
    insert,
    or_,
    select,
    update,
)

from zhenbao.hub import name_keys as names
from zhenbao.hub.case_code import case_code
from zhenbao.hub.store.list_tables import case_codes, name_keys
from zhenbao.hub.store.tables import meta, patients, work_items
from zhenbao.model.patient import Patient
from zhenbao.sync.envelope import unpack

_META = "search"
_AT_ONCE = 500
LONGEST = 60
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_FORGET = delete(name_keys).where(name_keys.c.patient_id.in_(_IDS))
_CODE = re.compile(r"[2-9A-HJ-KM-NP-Z]{3}-?[2-9A-HJ-KM-NP-Z]{0,4}")


@dataclass(frozen=True, slots=True)
class Allowed:
    """By what a person may search, besides the case code."""

    name: bool
    number: bool


def index_patients(connection: Connection, people: Mapping[UUID, tuple[str, str | None]]) -> None:
    """Make the keys of patients anew from their name and resident number."""
    if not people:
        return
    forget_patients(connection, people)
    rows = [
        {"key": key, "patient_id": id_} for id_, (name, number) in people.items() for key in names.keys_of(name, number)
    ]
    if rows:
        connection.execute(insert(name_keys), rows)


def forget_patients(connection: Connection, ids: Collection[UUID]) -> None:
    """Nobody finds these patients by name or number any more."""
    if ids:
        connection.execute(_FORGET, {"ids": list(ids)})


def index_cases(connection: Connection, ids: Iterable[UUID]) -> None:
    """Add the codes of new cases."""
    rows = [{"code": case_code(id_).replace("-", ""), "work_item_id": id_} for id_ in ids]
    if rows:
        connection.execute(insert(case_codes), rows)


def ensure(connection: Connection) -> None:
    """Make the whole index anew where it was made by other rules, or never. Call inside a transaction."""
    known = connection.execute(select(meta.c.value).where(meta.c.key == _META)).scalar()
    surnames = files("zhenbao.hub").joinpath("surnames.toml").read_bytes()
    wanted = f"{names.VERSION}:{sha256(surnames).hexdigest()[:16]}"
    if known == wanted:
        return
    connection.execute(delete(name_keys))
    connection.execute(delete(case_codes))
    for ids in _some(connection, work_items.c.id):
        index_cases(connection, ids)
    for ids in _some(connection, patients.c.id):
        bodies = connection.execute(select(patients.c.body).where(patients.c.id.in_(ids))).scalars()
        found = [value for body in bodies if isinstance(value := unpack("patient", body), Patient)]
        index_patients(connection, {p.id: (p.name, p.resident_number) for p in found})
    if known is None:
        connection.execute(insert(meta).values(key=_META, value=wanted))
    else:
        connection.execute(update(meta).where(meta.c.key == _META).values(value=wanted))


def matching(text: str, allowed: Allowed) -> ColumnElement[bool]:
    """The cases that a text finds, for a query on the work items: by case code, and by what else the reader may.

    A name or its pinyin is found by its beginning, a resident number by its last four characters alone, so that nobody
    can read a number off the list digit by digit.
    """
    typed = " ".join(text.split())[:LONGEST]
    ways: list[ColumnElement[bool]] = []
    code = typed.upper()
    if _CODE.fullmatch(code):
        ways.append(
            work_items.c.id.in_(
                select(case_codes.c.work_item_id).where(_begins(case_codes.c.code, code.replace("-", "")))
            )
        )
    keys: list[ColumnElement[bool]] = []
    if allowed.number and re.fullmatch(r"\d{3}[\dX]", code):
        keys.append(name_keys.c.key == f"t:{code}")
    if allowed.name and typed and not re.search(r"\d", typed):
        if plain := names.plain(typed):
            keys.append(_begins(name_keys.c.key, f"n:{plain}"))
        if not names.is_name(typed) and (letters := names.pinyin_typed(typed)):
            keys += [_begins(name_keys.c.key, f"p:{letters}"), _begins(name_keys.c.key, f"i:{letters}")]
    if keys:
        ways.append(work_items.c.patient_id.in_(select(name_keys.c.patient_id).where(or_(*keys))))
    return or_(*ways) if ways else false()


def _some(connection: Connection, column: Column[UUID]) -> Iterator[list[UUID]]:
    """All values of a column, some at a time."""
    values = list(connection.execute(select(column)).scalars())
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]


def _begins(column: Any, prefix: str) -> ColumnElement[bool]:
    """As a range, which every database finds in an index."""
    begins: ColumnElement[bool] = (column >= prefix) & (column < prefix + "\U0010ffff")
    return begins
