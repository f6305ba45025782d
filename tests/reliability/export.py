"""Both databases as the JSON lines that ``history.py`` reads: plain SQL, past the product's own code
(but for what lies packed in a column: ``rig.value_in``).

python -m reliability.export KIT_FOLDER HUB_FOLDER > history.jsonl
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from reliability.history import Fact
from reliability.rig import hub_database, kit_database, value_in

_TABLES = {"patient": "patients", "encounter": "encounters", "observation": "observations", "recording": "recordings"}


def export(kit_folder: Path | None, hub_folder: Path | None) -> list[Fact]:
    """The facts of one kit and one hub, either of which may be missing."""
    facts: list[Fact] = []
    if kit_folder is not None:
        connection = kit_database(kit_folder)
        try:
            facts += _kit(connection)
        finally:
            connection.close()
    if hub_folder is not None:
        connection = hub_database(hub_folder)
        try:
            facts += _hub(connection)
        finally:
            connection.close()
    return facts


def _kit(c: sqlite3.Connection) -> Iterator[Fact]:
    meta = dict(c.execute("select key, value from meta"))
    log = meta["kit_id"]
    for kind, table in _TABLES.items():
        for id_, body in c.execute(f"select id, body from {table}"):  # noqa: S608 - our own names
            yield {"log": log, "what": "kept", "kind": kind, "subject": id_, "sha256": _sha256(body)}
    for row in _rows(
        c, "select id, boot, sequence, kind, lane, subject_id, sha256, state from outbox order by sequence"
    ):
        yield {
            "log": log,
            "what": "posted",
            "envelope": row["id"],
            "series": _series(row["boot"]),
            "sequence": row["sequence"],
            "kind": row["kind"],
            "lane": row["lane"],
            "subject": row["subject_id"],
            "sha256": row["sha256"].hex(),
            "state": row["state"],
        }
    for row in _rows(c, "select subject_id, state from states"):
        yield {"log": log, "what": "state", "subject": row["subject_id"], "state": row["state"]}
    # As the inbox shows them: the last that arrived first.
    for (body,) in c.execute("select body from reports order by rowid desc"):
        yield {"log": log, "what": "report", **_report(value_in("report", body))}


def _report(report: Any) -> Fact:
    return {
        "report": str(report.id),
        "encounter": str(report.encounter_id),
        "observations": [str(id_) for id_ in report.observation_ids],
        **{
            key: getattr(report, key)
            for key in ("practitioner", "conclusion", "advice", "urgency", "signed_ms", "signature")
        },
    }


def _hub(c: sqlite3.Connection) -> Iterator[Fact]:
    for row in _rows(c, "select * from inbox order by rowid"):
        yield {
            "log": "hub",
            "what": "arrived",
            "envelope": _id(row["envelope_id"]),
            "sender": row["sender"],
            "series": _series(row["boot"]),
            "sequence": row["sequence"],
            "kind": row["kind"],
            "subject": _id(row["subject_id"]),
            "sha256": row["body_sha256"].hex(),
        }
    for kind, table in _TABLES.items():
        for id_, body in c.execute(f"select id, body from {table}"):  # noqa: S608 - our own names
            fact = {"log": "hub", "what": "kept", "kind": kind, "subject": _id(id_), "sha256": _sha256(body)}
            yield fact | ({"key": _key(value_in(kind, body))} if kind == "observation" else {})
    for row in _rows(c, "select envelope_id, subject_id, reason from quarantine where direction = 'in'"):
        yield {
            "log": "hub",
            "what": "refused",
            "envelope": _id(row["envelope_id"]),
            "subject": _id(row["subject_id"]),
            "reason": row["reason"],
        }
    for row in _rows(c, "select * from outbox order by sequence"):
        state = "waiting" if row["receipted_ms"] is None else "refused" if row["refused"] else "delivered"
        yield {
            "log": "hub",
            "what": "posted",
            "envelope": _id(row["envelope_id"]),
            "recipient": row["recipient"],
            "kind": row["kind"],
            "subject": _id(row["subject_id"]),
            "state": state,
        }
    for row in _rows(c, "select * from work_items"):
        yield {
            "log": "hub",
            "what": "case",
            "case": _id(row["id"]),
            "urgency": row["urgency"],
            "late": bool(row["late"]),
            "effective_ms": row["effective_ms"],
            "received_ms": row["received_ms"],
        }
    for row in _rows(c, "select * from reports where status = 'signed' order by signed_number"):
        names = ("author", "practitioner", "specialty", "conclusion", "advice", "urgency", "signed_number", "signed_ms")
        yield {
            "log": "hub",
            "what": "signed",
            "report": _id(row["id"]),
            "case": _id(row["work_item_id"]),
            "encounter": _id(row["encounter_id"]),
            "patient": _id(row["patient_id"]),
            "observations": json.loads(row["observation_ids"]),
            **{name: row[name] for name in names},
            "supplements": _id(row["supplements_id"]) if row["supplements_id"] else None,
            "previous": row["previous_hash"],
            "signature": row["signature"],
        }
    for row in _rows(c, "select * from audit order by number"):
        yield {"log": "hub", "what": "audit", **row}


def _key(observation: Any) -> str | None:
    """What names a result on its device."""
    if not observation.device_key:
        return None
    device = observation.device
    return f"{observation.kit_id}:{device.driver}:{device.serial}:{observation.device_key}"


def _series(boot: str) -> str:
    """A kit's numbers go on over its boots, in one database; the boot's name ends with the database's."""
    return boot.rpartition("-")[2]


def _rows(c: sqlite3.Connection, sql: str) -> Iterator[dict[str, Any]]:
    cursor = c.execute(sql)
    names = [column[0] for column in cursor.description]
    for row in cursor:
        yield dict(zip(names, row, strict=True))


def _id(value: str | bytes | UUID) -> str:
    """One spelling for ids: SQLAlchemy keeps them without hyphens."""
    return str(UUID(bytes=value)) if isinstance(value, bytes) else str(UUID(str(value)))


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def main() -> None:
    kit, hub = (Path(argument) for argument in sys.argv[1:3])
    for fact in export(kit, hub):
        print(json.dumps(fact, ensure_ascii=False))


if __name__ == "__main__":
    main()
