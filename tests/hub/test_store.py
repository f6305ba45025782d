"""The hub's end of the mailbox: all or nothing, first come stays, nothing refused for its order."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cbor2
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from zhenbao.hub.store import HubStore
from zhenbao.hub.store.tables import inbox, metadata, observations, outbox, patients, work_items
from zhenbao.model.errors import StorageError
from zhenbao.model.finding import Urgency
from zhenbao.model.report import Receipt, ReportRead, Viewed
from zhenbao.sync.envelope import pack

if TYPE_CHECKING:
    from tests.hub.conftest import HandClock, KitVoice
    from zhenbao.hub.reports import Reports
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist


def count(store: HubStore, table: object) -> int:
    with store.reading() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_a_receipt_names_what_was_committed(store: HubStore, kit: KitVoice) -> None:
    envelope = kit.envelope(kit.patient())
    receipt = store.accept([envelope], 1234)[0]
    assert receipt == Receipt(envelope.id, envelope.body_sha256, store.epoch, 1234)
    assert (count(store, patients), count(store, inbox)) == (1, 1)


def test_the_same_again_gives_the_first_receipt_again(store: HubStore, kit: KitVoice) -> None:
    envelope = kit.envelope(kit.patient())
    first = store.accept([envelope], 1000)[0]
    assert store.accept([envelope], 9000)[0] == replace(first, duplicate=True)
    assert store.counters.accepted == 1
    assert store.counters.duplicates == 1


def test_the_same_id_with_another_body_is_refused_and_the_first_stays(store: HubStore, kit: KitVoice) -> None:
    patient = kit.patient()
    first = kit.envelope(patient)
    store.accept([first], 1)[0]
    other = replace(kit.envelope(replace(patient, name="演示患者乙")), id=first.id)
    receipt = store.accept([other], 2)[0]
    assert receipt.refused == "other-body"
    assert store.accept([other], 3)[0] == replace(receipt, duplicate=True)
    assert store.accept([first], 4)[0].refused == ""
    with store.reading() as connection:
        assert connection.execute(select(patients.c.body)).scalar_one() == pack(patient)
    assert [q.reason for q in store.quarantined()] == ["other-body"]


def test_an_observation_is_written_once_whatever_the_envelope(store: HubStore, kit: KitVoice) -> None:
    patient = kit.patient()
    encounter = kit.encounter(patient)
    reading = kit.observation(encounter)
    assert kit.send(patient, encounter, reading).refused == ""
    assert kit.send(reading).refused == ""  # posted anew by a kit that was restored: taken, once
    assert kit.send(replace(reading, effective_ms=reading.effective_ms + 1)).refused == "other-body"
    assert count(store, observations) == 1


def test_a_newer_version_of_a_patient_replaces_the_older_in_any_order(store: HubStore, kit: KitVoice) -> None:
    old = kit.patient()
    new = replace(old, height_cm=158.0)
    first, second = kit.envelope(old), kit.envelope(new)
    store.accept([second], 1)[0]
    store.accept([first], 2)[0]
    with store.reading() as connection:
        assert connection.execute(select(patients.c.body)).scalar_one() == pack(new)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"kind": "x-ray"}, "envelope-kind", id="unknown kind"),
        pytest.param({"body": b"\xff\x00"}, "envelope-body", id="no CBOR"),
        pytest.param({"body": cbor2.dumps({"id": 1})}, "envelope-body", id="no such value"),
        pytest.param({"recipient": "kit-002"}, "other-recipient", id="for somebody else"),
    ],
)
def test_what_can_never_be_taken_is_set_aside_and_visible(
    store: HubStore, kit: KitVoice, change: dict[str, object], code: str
) -> None:
    envelope = replace(kit.envelope(kit.patient()), **change)
    receipt = store.accept([envelope], 5)[0]
    assert receipt.refused == code
    (aside,) = store.quarantined()
    assert (aside.direction, aside.peer, aside.size) == ("in", "kit-001", len(envelope.body))
    assert aside.reason.startswith(code)
    assert count(store, patients) == count(store, inbox) == 0
    assert kit.send(kit.patient()).refused == ""  # one bad thing blocks nothing


def test_a_kit_cannot_send_what_only_the_hub_sends(kit: KitVoice) -> None:
    assert kit.send(Viewed((), "somebody", 1)).refused == "envelope-kind"


def test_a_kit_speaks_for_itself_only(kit: KitVoice) -> None:
    encounter = replace(kit.encounter(kit.patient()), kit_id="kit-002")
    assert kit.send(encounter).refused == "hub-kit-differs"


@pytest.mark.parametrize("unix_ms", [-1, 1 << 47, 1 << 62])
def test_an_impossible_time_is_refused(kit: KitVoice, unix_ms: int) -> None:
    reading = kit.observation(kit.encounter(kit.patient()), at_ms=unix_ms)
    assert kit.send(reading).refused == "hub-time"


@given(st.binary(max_size=60), st.sampled_from(["patient", "encounter", "observation", "recording", "report-read"]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_body_is_answered(store: HubStore, kit: KitVoice, body: bytes, kind: str) -> None:
    envelope = replace(kit.envelope(kit.patient()), kind=kind, body=body)
    assert store.accept([envelope], 1)[0].refused


def test_record_receipt_and_case_stand_or_fall_together(store: HubStore, kit: KitVoice) -> None:
    patient = kit.patient()
    encounter = kit.encounter(patient)
    envelope = kit.envelope(kit.observation(encounter))
    with store.writing() as connection:
        connection.execute(
            text("create trigger full before insert on work_items begin select raise(abort, 'disk full'); end")
        )
    with pytest.raises(StorageError) as raised:
        store.accept([envelope], 1)[0]
    assert raised.value.code == "hub-write"
    assert count(store, observations) == count(store, inbox) == count(store, work_items) == 0
    with store.writing() as connection:
        connection.execute(text("drop trigger full"))
    assert store.accept([envelope], 2)[0].refused == ""
    assert count(store, observations) == count(store, inbox) == count(store, work_items) == 1


def test_a_posted_report_waits_until_the_kit_receipts_it(
    store: HubStore, kit: KitVoice, worklist: Worklist, reports: Reports, heart: Practitioner, clock: HandClock
) -> None:
    patient = kit.patient()
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, kit.finding("EC19", Urgency.RED)))
    case = worklist.open_case(worklist.rows()[0].item.id, heart)
    reports.sign(case.item.id, heart, conclusion="结论", advice="卧床")
    viewed, report = store.due(clock.ms, 10)
    assert [viewed.kind, report.kind, report.recipient] == ["viewed", "report", "kit-001"]
    assert viewed.sequence < report.sequence
    store.tried([report.id], clock.ms + 5000)
    assert store.tries(report.id) == 1
    assert [e.id for e in store.due(clock.ms, 10)] == [viewed.id]
    assert [e.id for e in store.due(clock.ms + 5000, 10)] == [viewed.id, report.id]
    assert not store.receipted([Receipt(report.id, b"x" * 32, "e", 1)])[0]
    assert not store.receipted([Receipt(encounter.id, report.body_sha256, "e", 1)])[0]
    assert store.receipted([Receipt(report.id, report.body_sha256, "e", 1)])[0]
    assert not store.receipted([Receipt(report.id, report.body_sha256, "e", 1)])[0]
    assert store.receipted([Receipt(viewed.id, viewed.body_sha256, "e", 1, refused="envelope-body")])[0]
    assert store.due(clock.ms + 9000, 10) == []
    (aside,) = store.quarantined()
    assert (aside.direction, aside.kind, aside.reason) == ("out", "viewed", "envelope-body")
    assert count(store, outbox) == 2


def test_a_report_read_may_come_before_anything_else(kit: KitVoice) -> None:
    assert kit.send(ReportRead(kit.patient().id, 5)).refused == ""


def test_everything_is_there_after_opening_again(tmp_path: Path, clock: HandClock) -> None:
    from tests.hub.conftest import ROSTER, KitVoice

    url = f"sqlite:///{tmp_path / 'hub.db'}"
    first = HubStore(url, clock, ROSTER)
    epoch = first.epoch
    envelope = KitVoice(first, clock).envelope(KitVoice(first, clock).patient())
    receipt = first.accept([envelope], 1)[0]
    first.close()
    second = HubStore(url, clock, ROSTER)
    assert second.epoch == epoch
    assert second.accept([envelope], 2)[0] == replace(receipt, duplicate=True)
    assert second.sender.boot != first.sender.boot
    second.close()


def test_the_file_is_for_the_hub_alone_and_safe_against_power_cuts(store: HubStore, tmp_path: Path) -> None:
    assert os.stat(tmp_path / "hub.db").st_mode & 0o777 == 0o600
    with store.reading() as connection:
        assert connection.exec_driver_sql("pragma journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("pragma synchronous").scalar() == 2


def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path, clock: HandClock) -> None:
    file = tmp_path / "hub.db"
    file.write_bytes(b"this is no database" * 100)
    with pytest.raises(StorageError) as raised:
        HubStore(f"sqlite:///{file}", clock)
    assert raised.value.code == "hub-database"
    assert file.read_bytes().startswith(b"this is no database")


def test_the_schema_says_which_step_it_is_at(tmp_path: Path, clock: HandClock) -> None:
    file = tmp_path / "hub.db"
    HubStore(f"sqlite:///{file}", clock).close()
    with sqlite3.connect(file) as raw:
        assert raw.execute("select version_num from alembic_version").fetchone() == ("0012",)


@pytest.mark.filterwarnings("ignore:.*expression-based index")  # which SQLite does not describe
def test_the_migrations_make_exactly_the_tables_of_the_code(store: HubStore) -> None:
    with store.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_schema_can_be_written_for_postgresql() -> None:
    for table in metadata.sorted_tables:
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=postgresql.dialect()))
