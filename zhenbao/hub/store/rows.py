"""Rows of one table written together, at little more than what the driver asks for it.

SQLAlchemy prepares each row of a statement anew. Of a batch all rows are alike: the statement's text, the order of its
columns and what a type does to a value are found once for a table and database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Dialect, Table, insert

_Column = tuple[str, Any]
"""Its name, and the function by which its type prepares a value for the driver, if there is one."""


def insert_all(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all have the same columns; a column that has a default needs its value as well."""
    if not rows:
        return
    dialect = connection.dialect
    statement, columns, positional = _prepared(table, dialect, tuple(rows[0]))
    values = [
        [row[name] for row in rows] if convert is None else [convert(row[name]) for row in rows]
        for name, convert in columns
    ]
    in_order = list(zip(*values, strict=True))
    if positional:
        connection.exec_driver_sql(statement, in_order)
    else:
        names = [name for name, _ in columns]
        connection.exec_driver_sql(statement, [dict(zip(names, row, strict=True)) for row in in_order])


@lru_cache(maxsize=64)
def _prepared(table: Table, dialect: Dialect, names: tuple[str, ...]) -> tuple[str, list[_Column], bool]:
    compiled = insert(table).compile(dialect=dialect, column_keys=list(names))
    ordered: Sequence[str] = (compiled.positiontup or ()) if compiled.positional else list(compiled.params)
    columns = [(name, table.c[name].type.dialect_impl(dialect).bind_processor(dialect)) for name in ordered]
    return str(compiled), columns, compiled.positional
