"""A batch ends as its items would end one at a time, and costs as many statements whether it is small or large."""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, select

from tests.hub.conftest import ROSTER, HandClock, KitVoice
from zhenbao.hub.store import HubStore, audit, tables
from zhenbao.model.emergency import Emergency
from zhenbao.model.finding import Urgency
from zhenbao.model.ids import uuid7
from zhenbao.model.observation import Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.sync.envelope import Envelope


def visits(kit: KitVoice, number: int) -> list[Envelope]:
    """Readings that overtake their encounters, a patient who is sent twice, and every urgency."""
    sent = []
    rules = (("bp.severe", Urgency.RED), ("bp.raised", Urgency.YELLOW), ("", Urgency.GREEN))
    for n in range(number):
        patient = kit.patient(number=None)
        encounter = kit.encounter(patient, chest_pain=("unknown", "no", "yes")[n % 3])
        rule, urgency = rules[n % len(rules)]
        found = [kit.finding(rule, urgency)] if rule else []
        values = (
            kit.observation(encounter, *found),
            encounter,
            patient,
            kit.observation(encounter),
            replace(patient, phone="0994-0000199"),
        )
        sent += [kit.envelope(value) for value in values]
    return sent


def kept(store: HubStore) -> dict[str, list[Any]]:
    """All rows but for ids that the hub draws itself."""
    drawn = {"work_items": {"id"}, "inbox": {"epoch"}}
    with store.reading() as connection:
        return {
            table.name: sorted(
                repr([(k, v) for k, v in row._mapping.items() if k not in drawn.get(table.name, ())])
                for row in connection.execute(select(table))
            )
            for table in (
                tables.patients, tables.patient_versions, tables.encounters, tables.observations,
                tables.inbox, tables.work_items, tables.quarantine,
            )
        }  # fmt: skip


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"]))
    )
)
def test_a_deed_is_hashed_as_rows_of_earlier_versions_were(detail: dict[str, str]) -> None:
    """The chain goes on over an update: to the byte what the standard library's encoder gives."""
    row = [7, 1, "hub", "case-opened", "case:1", detail, "0" * 64]
    packed = json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    detail_packed = json.dumps(detail, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert audit._canonical(detail) == detail_packed
    assert (
        audit._hash(7, 1, "hub", "case-opened", "case:1", detail_packed, "0" * 64)
        == sha256(packed.encode()).hexdigest()
    )


def unbroken(store: HubStore) -> bool:
    with store.reading() as connection:
        return audit.first_broken(connection) is None


def test_a_batch_ends_as_its_items_do_one_at_a_time(
    store: HubStore, kit: KitVoice, clock: HandClock, tmp_path: Path, blank_database: Path
) -> None:
    sent = visits(kit, 9)
    stranger = replace(sent[0], id=kit.envelope(kit.patient()).id, sender="kit-002")
    other_body = replace(sent[3], body=sent[8].body)
    sent += [sent[4], stranger, stranger, other_body, replace(sent[1], recipient="kit-001", id=stranger.subject_id)]
    shutil.copy(blank_database, tmp_path / "alone.db")
    with contextlib.closing(HubStore(f"sqlite:///{tmp_path / 'alone.db'}", clock, ROSTER)) as alone:
        singly = [receipt for each in sent for receipt in alone.accept([each], clock.now_ms())]
        together = store.accept(sent, clock.now_ms())
        assert [replace(r, store_epoch="") for r in together] == [replace(r, store_epoch="") for r in singly]
        assert [(r.duplicate, r.refused) for r in together[-5:]] == [
            (True, ""),
            (False, "hub-kit-differs"),
            (True, "hub-kit-differs"),
            (False, "other-body"),
            (False, "other-recipient"),
        ]
        assert kept(store) == kept(alone)
        assert len(kept(store)["work_items"]) == 9
        assert unbroken(store)


def test_a_number_that_no_column_holds_sets_only_its_own_item_aside(store: HubStore, kit: KitVoice) -> None:
    sent = visits(kit, 4)
    sent[7] = replace(sent[7], sequence=1 << 63)
    receipts = store.accept(sent, kit.clock.now_ms())
    assert [n for n, receipt in enumerate(receipts) if receipt.refused] == [7]
    assert len(kept(store)["inbox"]) == len(sent) - 1
    assert len(kept(store)["work_items"]) == 4
    assert unbroken(store)


def test_an_emergency_and_its_batch_know_each_other(store: HubStore, kit: KitVoice) -> None:
    def parts() -> tuple[Patient, Encounter, Observation]:
        patient = kit.patient(number=None)
        encounter = kit.encounter(patient)
        return patient, encounter, kit.observation(encounter, kit.finding("bp.severe", Urgency.RED))

    one, other = parts(), parts()
    sent = [
        kit.envelope(one[2]),
        kit.envelope(Emergency(uuid7(1), *one)),
        kit.envelope(Emergency(uuid7(1), *other)),
        kit.envelope(other[2]),
        kit.envelope(Emergency(uuid7(1), *other)),
    ]
    receipts = store.accept(sent, kit.clock.now_ms())
    assert [receipt.refused for receipt in receipts] == ["", "other-body", "", "", "other-body"]
    assert [len(kept(store)[name]) for name in ("patients", "observations", "work_items")] == [1, 2, 2]


def test_a_large_batch_takes_no_more_statements_than_a_small_one(store: HubStore, kit: KitVoice) -> None:
    ran: list[str] = []

    @event.listens_for(store.database.engine, "before_cursor_execute")
    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        ran.append(statement)

    counts = []
    for number in (3, 10):
        ran.clear()
        store.accept(visits(kit, number), kit.clock.now_ms())
        counts.append(len(ran))
    assert counts[0] == counts[1], ran
    # The version of the rules, names, case codes and the count of news are kept with it.
    assert counts[1] <= 30
