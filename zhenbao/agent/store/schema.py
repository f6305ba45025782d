"""The kit's tables, as numbered migrations. ``PRAGMA user_version`` says how far a database is.

Values lie as the packed body that travels, plus the columns that are searched; a released migration is never
changed, only followed by the next.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database


def _version_1(db: Database) -> None:
    """Records, mailbox, delivery states, the crash journal."""
    db.table("meta").create({"key": str, "value": str}, pk="key", not_null={"value"}, strict=True)
    db.table("counters").create({"name": str, "value": int}, pk="name", not_null={"value"}, strict=True)
    db.table("patients").create(
        {"id": str, "name": str, "resident_number": str, "body": bytes}, pk="id", not_null={"name", "body"}, strict=True
    )
    db.execute("create unique index patients_number on patients(resident_number) where resident_number is not null")
    db.table("encounters").create(
        {"id": str, "patient_id": str, "started_ms": int, "body": bytes},
        pk="id",
        foreign_keys=[("patient_id", "patients", "id")],
        not_null={"patient_id", "started_ms", "body"},
        strict=True,
    )
    db.table("observations").create(
        {
            "id": str,
            "encounter_id": str,
            "patient_id": str,
            "code": str,
            "effective_ms": int,
            "device_driver": str,
            "device_serial": str,
            "device_key": str,
            "body": bytes,
        },
        pk="id",
        foreign_keys=[("encounter_id", "encounters", "id"), ("patient_id", "patients", "id")],
        not_null={"encounter_id", "patient_id", "code", "effective_ms", "device_driver", "device_serial", "body"},
        strict=True,
    )
    db.execute("create index observations_encounter on observations(encounter_id)")
    db.execute("create index observations_patient on observations(patient_id)")
    # A result that its device names is charted once.
    db.execute(
        "create unique index observations_device on observations(device_driver, device_serial, device_key)"
        " where device_key is not null"
    )
    db.table("recordings").create(
        {"id": str, "observation_id": str, "kind": str, "body": bytes},
        pk="id",
        foreign_keys=[("observation_id", "observations", "id")],
        not_null={"observation_id", "kind", "body"},
        strict=True,
    )
    db.execute("create index recordings_observation on recordings(observation_id)")
    # body is null for a recording: it never changes and lies once, in recordings.
    db.table("outbox").create(
        {
            "id": str,
            "boot": str,
            "sequence": int,
            "kind": str,
            "lane": int,
            "subject_id": str,
            "created_ms": int,
            "body": bytes,
            "sha256": bytes,
            "state": str,
            "tries": int,
            "not_before_ms": int,
            "closed_ms": int,
            "reason": str,
        },
        pk="id",
        not_null={
            "boot",
            "sequence",
            "kind",
            "lane",
            "subject_id",
            "created_ms",
            "sha256",
            "state",
            "tries",
            "not_before_ms",
        },
        strict=True,
    )
    db.execute("create unique index outbox_sequence on outbox(sequence)")
    db.execute("create index outbox_waiting on outbox(lane, sequence) where state = 'waiting'")
    db.execute("create index outbox_refused on outbox(closed_ms) where state = 'refused'")
    db.execute("create index outbox_subject on outbox(subject_id, sequence)")
    db.table("inbox").create(
        {"id": str, "sender": str, "boot": str, "sequence": int, "kind": str, "sha256": bytes, "received_ms": int},
        pk="id",
        not_null={"sender", "boot", "sequence", "kind", "sha256", "received_ms"},
        strict=True,
    )
    db.table("refused").create(
        {
            "id": str,
            "sha256": bytes,
            "sender": str,
            "kind": str,
            "subject_id": str,
            "at_ms": int,
            "reason": str,
            "body": bytes,
        },
        pk=("id", "sha256"),
        not_null={"sender", "kind", "subject_id", "at_ms", "reason", "body"},
        strict=True,
    )
    db.table("reports").create(
        {"id": str, "encounter_id": str, "patient_id": str, "arrived_ms": int, "read_ms": int, "body": bytes},
        pk="id",
        not_null={"encounter_id", "patient_id", "arrived_ms", "body"},
        strict=True,
    )
    db.table("states").create(
        {"subject_id": str, "state": str, "at_ms": int, "peer_ms": int},
        pk=("subject_id", "state"),
        not_null={"at_ms"},
        strict=True,
    )
    db.table("captures").create(
        {"id": str, "encounter_id": str, "code": str, "started_ms": int, "detail": str},
        pk="id",
        not_null={"encounter_id", "code", "started_ms", "detail"},
        strict=True,
    )
    db.execute(
        "create table capture_parts (capture_id text not null references captures(id) on delete cascade,"
        " n integer not null, kind text not null, body blob not null, primary key (capture_id, n)) strict"
    )
    db.table("device_sequences").create(
        {"serial": str, "sequence": int}, pk="serial", not_null={"sequence"}, strict=True
    )
    db.table("settings").create({"key": str, "value": str}, pk="key", not_null={"value"}, strict=True)


def _version_2(db: Database) -> None:
    """Notices to people; which hub databases have answered, so that a restored hub gets again what it lost."""
    db.table("notices").create(
        {"id": int, "code": str, "facts": str, "at_ms": int}, pk="id", not_null={"code", "facts", "at_ms"}, strict=True
    )
    db.table("peer_epochs").create({"epoch": str, "first_ms": int}, pk="epoch", not_null={"first_ms"}, strict=True)
    db.table("outbox").add_column("peer_epoch", str)


def _version_3(db: Database) -> None:
    """Results of a meter that belong to no chart (control solution, another visit), each kept once."""
    db.table("set_aside").create(
        {"device_key": str, "code": str, "reason": str, "at_ms": int, "body": bytes},
        pk="device_key",
        not_null={"code", "reason", "at_ms", "body"},
        strict=True,
    )


def _version_4(db: Database) -> None:
    """Verifications of flow sensors with a syringe; they stay on the kit."""
    db.table("syringe_checks").create(
        {"id": int, "sensor": str, "at_ms": int, "verdict": str, "body": bytes},
        pk="id",
        not_null={"sensor", "at_ms", "verdict", "body"},
        strict=True,
    )
    db.execute("create index syringe_checks_sensor on syringe_checks(sensor, id)")


def _version_5(db: Database) -> None:
    """Attachments of visits; what was pruned after its receipt; the hub's time of each receipt, which decides that."""
    db.table("attachments").create(
        {
            "id": str,
            "encounter_id": str,
            "patient_id": str,
            "observation_id": str,
            "media_type": str,
            "title": str,
            "made_ms": int,
            "sha256": bytes,
            "size_bytes": int,
            "body": bytes,
        },
        pk="id",
        foreign_keys=[("encounter_id", "encounters", "id"), ("observation_id", "observations", "id")],
        not_null={
            "encounter_id",
            "patient_id",
            "observation_id",
            "media_type",
            "title",
            "made_ms",
            "sha256",
            "size_bytes",
        },
        strict=True,
    )
    # The same file twice in a visit is one.
    db.execute("create unique index attachments_content on attachments(encounter_id, sha256)")
    db.execute("create index attachments_observation on attachments(observation_id)")
    db.table("pruned").create(
        {
            "id": str,
            "kind": str,
            "observation_id": str,
            "sha256": bytes,
            "size_bytes": int,
            "peer_ms": int,
            "pruned_ms": int,
        },
        pk="id",
        not_null={"kind", "observation_id", "sha256", "size_bytes", "peer_ms", "pruned_ms"},
        strict=True,
    )
    db.execute("create index pruned_observation on pruned(observation_id)")
    db.table("outbox").add_column("peer_ms", int)
    db.execute(
        "update outbox set peer_ms = (select peer_ms from states s where s.subject_id = outbox.subject_id"
        " and s.state = 'received') where state = 'delivered'"
    )
    db.execute("create index outbox_delivered on outbox(kind, closed_ms, sequence) where state = 'delivered'")


def _version_6(db: Database) -> None:
    """What proves a delivery; packets that go in parts, on both sides; packets of a later version, kept for it."""
    db.table("proofs").create(
        {"id": int, "at_ms": int, "body": bytes}, pk="id", not_null={"at_ms", "body"}, strict=True
    )
    db.table("outbox").add_column("proof_id", int)
    db.table("sealed").create({"envelope_id": str, "packet": bytes}, pk="envelope_id", not_null={"packet"}, strict=True)
    db.table("transfers").create(
        {"peer": str, "transfer": bytes, "count": int, "touched_ms": int, "done": bytes},
        pk=("peer", "transfer"),
        not_null={"count", "touched_ms"},
        strict=True,
    )
    db.execute(
        "create table transfer_parts (peer text not null, transfer blob not null, n integer not null,"
        " body blob not null, primary key (peer, transfer, n),"
        " foreign key (peer, transfer) references transfers(peer, transfer) on delete cascade) strict"
    )
    db.table("future_packets").create(
        {"sha256": bytes, "peer": str, "at_ms": int, "packet": bytes},
        pk="sha256",
        not_null={"peer", "at_ms", "packet"},
        strict=True,
    )


def _version_7(db: Database) -> None:
    """Fewer pages a save, each of which is encrypted, authenticated and written: nine for twelve."""
    # No query has used these two: readings are listed by their visit or all through, and the queue by lane. That a
    # sequence comes once is seen to by the item's id, which is made of it.
    db.execute("drop index observations_patient")
    db.execute("drop index outbox_sequence")
    db.execute(
        "create table states_7 (subject_id text not null, state text not null, at_ms integer not null,"
        " peer_ms integer, primary key (subject_id, state)) strict, without rowid"
    )
    db.execute("insert into states_7 select subject_id, state, at_ms, peer_ms from states")
    db.execute("drop table states")
    db.execute("alter table states_7 rename to states")


def _version_8(db: Database) -> None:
    """The chest-pain channel: instants of a visit, and what the hub tells of the channel."""
    db.execute(
        "create table case_times (id text primary key, encounter_id text not null, milestone text not null,"
        " body blob not null) strict"
    )
    db.execute("create index case_times_encounter on case_times(encounter_id)")
    db.execute(
        "create table channel_news (id text primary key, encounter_id text not null, told_ms integer not null,"
        " arrived_ms integer not null, read_ms integer, body blob not null) strict"
    )
    db.execute("create index channel_news_encounter on channel_news(encounter_id, told_ms)")


def _version_9(db: Database) -> None:
    """What the hub tells of chronic patients, plans that come home, and follow-ups written here."""
    db.table("care_briefs").create(
        {"patient_id": str, "told_ms": int, "body": bytes}, pk="patient_id", not_null={"told_ms", "body"}, strict=True
    )
    db.table("discharge_plans").create(
        {"id": str, "patient_id": str, "arrived_ms": int, "read_ms": int, "body": bytes},
        pk="id",
        not_null={"patient_id", "arrived_ms", "body"},
        strict=True,
    )
    db.execute("create index discharge_plans_patient on discharge_plans(patient_id)")
    db.table("follow_ups").create(
        {"id": str, "patient_id": str, "disease": str, "at_ms": int, "body": bytes},
        pk="id",
        not_null={"patient_id", "disease", "at_ms", "body"},
        strict=True,
    )
    db.execute("create index follow_ups_patient on follow_ups(patient_id)")
    db.execute("create index encounters_patient on encounters(patient_id)")


MIGRATIONS: tuple[Callable[[Database], None], ...] = (
    _version_1,
    _version_2,
    _version_3,
    _version_4,
    _version_5,
    _version_6,
    _version_7,
    _version_8,
    _version_9,
)
LATEST = len(MIGRATIONS)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables to ``LATEST``; each step is one transaction with its version number.

    sqlite-utils is imported here alone: it costs half a second, once in the life of a version.
    """
    from sqlite_utils import Database

    db = Database(connection)
    (found,) = connection.execute("pragma user_version").fetchone()
    for version in range(found + 1, LATEST + 1):
        with db.atomic():
            MIGRATIONS[version - 1](db)
            connection.execute(f"pragma user_version = {version}")
