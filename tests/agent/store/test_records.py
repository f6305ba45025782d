"""What is saved is there, whole, in order, once; and it is queued in the same transaction."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from store_key import KEY, raw

from zhenbao.agent.store import KitStore
from zhenbao.model.errors import InputError, StorageError
from zhenbao.model.observation import Device
from zhenbao.model.patient import Encounter
from zhenbao.model.recording import Recording
from zhenbao.model.report import DeliveryState, Receipt, Report
from zhenbao.signal.ecg.compress.recordings import plain
from zhenbao.sync.envelope import Envelope, Lane, pack, unpack

FAR = 1 << 60


def receipts(store: KitStore, epoch: str = "hub-1", **changes: Any) -> int:
    """Answer everything that waits, as a hub would."""
    n = 0
    while items := store.due(FAR, 100):
        for item in items:
            n += store.receipted([replace(Receipt(item.id, item.body_sha256, epoch, 77), **changes)])[0]
    return n


def test_records_are_there_and_queued(store: KitStore, ward: Any) -> None:
    ward.admit(store)
    reading = ward.reading("ecg")
    traces = [replace(ward.recording(reading), samples=bytes(24_000)), ward.recording(reading, 600)]
    assert store.save_observation(reading, traces)
    assert store.patient(ward.patient.id) == ward.patient
    assert store.patient_by_number("999999196001010020") == ward.patient
    assert store.encounter(ward.encounter.id) == store.last_encounter() == ward.encounter
    assert store.observation(reading.id) == reading
    assert store.observations(ward.encounter.id) == store.observations() == [reading]
    assert store.recordings_of(reading.id) == traces
    assert store.recording(traces[1].id) == traces[1]
    queued = [envelope for e in store.due(FAR, 10) if (envelope := store.load(e.id)) is not None]
    assert [(e.kind, e.lane) for e in queued] == [
        ("patient", Lane.RESULTS),
        ("encounter", Lane.RESULTS),
        ("observation", Lane.RESULTS),
        ("recording", Lane.WAVEFORMS),
        ("recording", Lane.WAVEFORMS),
    ]
    values = [ward.patient, ward.encounter, reading, *traces]
    sent = [unpack(e.kind, e.body) for e in queued]
    assert [plain(value) if isinstance(value, Recording) else value for value in sent] == values
    assert len(queued[3].body) < 2000, "an ECG is packed before it is kept and sent"
    assert [e.subject_id for e in queued] == [v.id for v in values]
    assert [e.sequence for e in queued] == [1, 2, 3, 4, 5]
    assert len({e.boot for e in queued}) == 1
    assert all(list(store.delivery(v.id)) == [DeliveryState.SAVED] for v in values)


def test_nothing_is_found_where_nothing_is(store: KitStore) -> None:
    assert store.patient(uuid4()) is store.encounter(uuid4()) is store.last_encounter() is None
    assert store.observation(uuid4()) is store.recording(uuid4()) is store.patient_by_number("x") is None
    assert store.patients() == store.observations() == store.recordings_of(uuid4()) == store.inbox() == []
    assert store.delivery(uuid4()) == {}
    status = store.queue()
    assert (status.total, status.oldest_ms, status.last_receipt_ms) == (0, None, None)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"甲", "乙", "丙"}),
        ("演示", {"甲", "乙", "丙"}),
        ("乙", {"乙"}),
        ("0020", {"甲"}),
        ("002x", {"乙"}),
        (" 0019 ", {"丙"}),
        ("9999", set()),
        ("%", set()),
        ("_", set()),
        ("' or 1=1", set()),
    ],
)
def test_patients_are_found_by_name_or_end_of_number(
    store: KitStore, new_ward: Any, query: str, found: set[str]
) -> None:
    for name, number in (("甲", "999999196001010020"), ("乙", "99999919480101002X"), ("丙", "999999195602290019")):
        store.save_patient(new_ward(number, f"演示患者{name}").patient)
    assert {p.name[-1] for p in store.patients(query)} == found


def test_an_unchanged_patient_is_not_sent_again_and_a_changed_one_is(store: KitStore, ward: Any, clock: Any) -> None:
    store.save_patient(ward.patient)
    store.save_patient(ward.patient)
    assert store.queue().total == 1
    taller = replace(ward.patient, height_cm=161.0)
    clock.sleep(60)
    store.save_patient(taller)
    assert store.patient(ward.patient.id) == taller
    assert store.patients() == [taller]
    first, *others = store.due(FAR, 10)
    assert others == [], "the second version waits for the first"
    assert store.receipted([Receipt(first.id, first.body_sha256, "hub-1", 77)])[0]
    assert DeliveryState.RECEIVED not in store.delivery(ward.patient.id), "what the hub has is the old version"
    assert receipts(store) == 1
    assert store.delivery(ward.patient.id)[DeliveryState.RECEIVED] == clock.now_ms()
    assert store.delivery(ward.patient.id)[DeliveryState.SAVED] == clock.now_ms()


def test_one_resident_number_is_one_patient(store: KitStore, new_ward: Any) -> None:
    store.save_patient(new_ward().patient)
    with pytest.raises(InputError, match="patient-known") as caught:
        store.save_patient(new_ward().patient)
    assert "999999" not in str(caught.value)
    assert len(store.patients()) == store.queue().total == 1
    for _ in range(2):
        store.save_patient(new_ward(None).patient)
    assert len(store.patients()) == 3


def test_a_reading_is_kept_once(store: KitStore, ward: Any) -> None:
    ward.admit(store)
    reading = ward.reading()
    assert store.save_observation(reading)
    assert not store.save_observation(reading)
    with pytest.raises(StorageError, match="store-id-known"):
        store.save_observation(replace(reading, code="glucose"))
    assert store.observations() == [reading]
    assert store.queue().total == 3


def test_a_result_of_a_device_is_charted_once(store: KitStore, ward: Any) -> None:
    ward.admit(store)
    meter = Device("glucose-gatt", serial="M1")
    first = ward.reading("glucose", device=meter, device_key="M1|7|ab")
    again = ward.reading("glucose", device=meter, device_key="M1|7|ab", notes=("fetched-again",))
    assert store.save_observation(first)
    assert not store.save_observation(again, [ward.recording(again)])
    assert store.save_observation(ward.reading("glucose", device=meter, device_key="M1|8|cd"))
    other_meter = Device("glucose-gatt", serial="M2")
    assert store.save_observation(ward.reading("glucose", device=other_meter, device_key="M1|7|ab"))
    assert store.save_observation(ward.reading("glucose", device=meter))
    assert store.save_observation(ward.reading("glucose", device=meter))
    assert len(store.observations()) == 5
    assert store.observation(again.id) is None
    assert store.queue().waiting[Lane.WAVEFORMS] == 0


def test_all_of_a_reading_is_kept_or_nothing(store: KitStore, ward: Any) -> None:
    ward.admit(store)
    first = ward.reading()
    trace = ward.recording(first)
    store.save_observation(first, [trace])
    before = store.queue()
    capture = store.begin_capture(ward.encounter.id, "ecg", {})
    second = ward.reading()
    with pytest.raises(StorageError, match="store-id-known"):
        store.save_observation(second, [ward.recording(second), trace], closes_capture=capture)
    assert store.observation(second.id) is None
    assert store.recordings_of(second.id) == []
    assert store.queue() == before
    assert store.delivery(second.id) == {}
    assert [c.id for c in store.open_captures()] == [capture]


def test_a_reading_of_no_visit_is_refused(store: KitStore, ward: Any) -> None:
    with pytest.raises(StorageError, match="store-order"):
        store.save_encounter(ward.encounter)
    store.save_patient(ward.patient)
    with pytest.raises(StorageError, match="store-order"):
        store.save_observation(ward.reading())
    assert store.queue().total == 1


def test_lanes_decide_what_goes_first(store: KitStore, new_ward: Any) -> None:
    calm, grave = new_ward(), new_ward(None)
    calm.admit(store)
    ordinary = calm.reading()
    store.save_observation(ordinary, [calm.recording(ordinary)])
    grave.admit(store)
    infarction = grave.reading("ecg")
    trace = grave.recording(infarction)
    store.save_observation(infarction, [trace], lane=Lane.CRITICAL)
    order = [e.subject_id for e in store.due(FAR, 10)]
    assert order[:4] == [grave.patient.id, grave.encounter.id, infarction.id, trace.id]
    assert order[4:7] == [calm.patient.id, calm.encounter.id, ordinary.id]
    status = store.queue()
    assert status.critical == status.waiting[Lane.CRITICAL] == 4
    assert (status.waiting[Lane.RESULTS], status.waiting[Lane.WAVEFORMS], status.total) == (3, 1, 8)


def test_the_queue_says_since_when_it_waits_and_when_the_hub_last_answered(
    store: KitStore, ward: Any, clock: Any
) -> None:
    store.save_patient(ward.patient)
    saved_ms = clock.now_ms()
    clock.sleep(3600)
    store.save_encounter(ward.encounter)
    assert store.queue().oldest_ms == saved_ms
    first = store.due(FAR, 1)[0]
    store.receipted([Receipt(first.id, first.body_sha256, "hub-1", 77)])
    assert store.queue().oldest_ms == clock.now_ms()
    assert store.queue().last_receipt_ms == clock.now_ms()
    assert store.delivery(ward.patient.id) == {
        DeliveryState.SAVED: saved_ms,
        DeliveryState.RECEIVED: clock.now_ms(),
    }
    assert store.peer_times(ward.patient.id) == {DeliveryState.RECEIVED: 77}


def test_a_refused_item_can_be_released_after_repair(store: KitStore, ward: Any) -> None:
    store.save_patient(ward.patient)
    assert receipts(store, refused="envelope-kind") == 1
    (refused,) = store.quarantined()
    assert (refused.subject_id, refused.reason) == (ward.patient.id, "envelope-kind")
    assert store.release(refused.envelope_id)
    assert not store.release(refused.envelope_id)
    assert store.quarantined() == []
    assert receipts(store) == 1


def test_a_hub_restored_from_a_backup_gets_again_what_it_lost(store: KitStore, ward: Any) -> None:
    ward.admit(store)
    reading = ward.reading("ecg")
    store.save_observation(reading, [ward.recording(reading)])
    sent = {e.id: store.load(e.id) for e in store.due(FAR, 10)}
    receipts(store, "hub-before-the-crash")
    assert store.queue().total == 0
    store.save_encounter(replace(ward.encounter, reason="复诊"))
    (newest,) = store.due(FAR, 10)
    store.receipted([Receipt(newest.id, newest.body_sha256, "hub-restored", 99)])
    assert {e.id: store.load(e.id) for e in store.due(FAR, 10)} == sent, "the very same envelopes"
    assert DeliveryState.RECEIVED not in store.delivery(reading.id)
    assert receipts(store, "hub-restored") == 4
    # A name heard before starts nothing: two hubs that answer in turn are no loop.
    store.save_encounter(ward.encounter)
    receipts(store, "hub-before-the-crash")
    assert store.queue().total == 0


def test_a_report_is_read_once_and_the_hub_is_told(store: KitStore, ward: Any, clock: Any) -> None:
    report = Report(uuid4(), uuid4(), ward.patient.id, (uuid4(),), "演示医师", "心内科", "结论", "建议", "RED", 5, "00")
    envelope = Envelope(uuid4(), "hub", "kit-1", "b", 1, "report", Lane.REPORTS, report.id, 1, pack(report))
    store.accept([envelope], clock.now_ms())[0]
    (kept,) = store.inbox()
    assert (kept.report, kept.arrived_ms, kept.read_ms) == (report, clock.now_ms(), None)
    assert store.delivery(report.observation_ids[0]) == {DeliveryState.REPORTED: clock.now_ms()}
    assert store.read_report(report.id, 123)
    assert not store.read_report(report.id, 456)
    assert not store.read_report(uuid4(), 456)
    assert store.inbox()[0].read_ms == 123
    assert [e.kind for e in store.due(FAR, 9)] == ["report-read"]
    # The same report id with other words, in another envelope: the signed one stays.
    forged = replace(report, conclusion="另一结论")
    answer = store.accept([replace(envelope, id=uuid4(), body=pack(forged))], clock.now_ms())[0]
    assert answer.refused == "other-body"
    assert [k.report for k in store.inbox()] == [report]


def test_a_kit_takes_from_the_hub_alone_and_for_itself_alone(store: KitStore, ward: Any) -> None:
    report = Report(uuid4(), uuid4(), uuid4(), (), "演示医师", "心内科", "结论", "建议", "RED", 5, "00")
    good = Envelope(uuid4(), "hub", "kit-1", "b", 1, "report", Lane.REPORTS, report.id, 1, pack(report))
    for change in ({"recipient": "kit-2"}, {"sender": "kit-2"}):
        assert store.accept([replace(good, id=uuid4(), **change)], 1)[0].refused == "other-recipient"
    patient = replace(good, id=uuid4(), kind="patient", body=pack(ward.patient))
    assert store.accept([patient], 1)[0].refused == "envelope-kind"
    assert store.inbox() == store.patients() == []
    assert [q.direction for q in store.quarantined()] == ["in"] * 3


def test_the_crash_journal(store: KitStore, home: Path, clock: Any, ward: Any) -> None:
    ward.admit(store)
    capture = store.begin_capture(ward.encounter.id, "ecg", {"leads": 12, "说明": "静息"})
    for n in range(5):
        store.add_part(capture, "Chunk", bytes([n]) * 10)
    with KitStore.open(home, kit_id="kit-1", clock=clock, key=KEY) as again:
        (open_capture,) = again.open_captures(ward.encounter.id)
        assert (open_capture.id, open_capture.code, open_capture.n_parts) == (capture, "ecg", 5)
        assert open_capture.detail == {"leads": 12, "说明": "静息"}
        assert again.parts(capture) == [("Chunk", bytes([n]) * 10) for n in range(5)]
    assert store.open_captures(uuid4()) == []
    reading = ward.reading("ecg")
    store.save_observation(reading, closes_capture=capture)
    assert store.open_captures() == store.parts(capture) == []
    with pytest.raises(StorageError, match="store-order"):
        store.add_part(capture, "Chunk", b"late")
    another = store.begin_capture(ward.encounter.id, "spirometry", {})
    assert store.drop_capture(another)
    assert not store.drop_capture(another)


def test_small_things(store: KitStore) -> None:
    assert store.device_sequence("M1") is None
    store.set_device_sequence("M1", 41)
    store.set_device_sequence("M1", 7)
    assert store.device_sequence("M1") == 7
    assert store.setting("language") is None
    store.set_setting("language", "zh_CN")
    store.set_setting("language", "en")
    assert store.setting("language") == "en"


def test_only_the_owner_may_read_the_files(store: KitStore, home: Path, ward: Any) -> None:
    ward.admit(store)
    files = [f for f in home.iterdir() if f.name.startswith("kit.sqlite3")]
    assert {f.name for f in files} == {"kit.sqlite3", "kit.sqlite3-wal", "kit.sqlite3-shm"}
    assert {stat.S_IMODE(f.stat().st_mode) for f in files} == {0o600}
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_a_store_belongs_to_one_kit(store: KitStore, home: Path, clock: Any) -> None:
    with pytest.raises(StorageError, match="store-other-kit"):
        KitStore.open(home, kit_id="kit-2", clock=clock, key=KEY)


def test_sequences_go_on_after_opening_again(store: KitStore, home: Path, clock: Any, ward: Any) -> None:
    store.save_patient(ward.patient)
    with KitStore.open(home, kit_id="kit-1", clock=clock, key=KEY) as again:
        again.save_encounter(Encounter(uuid4(), ward.patient.id, "kit-1", 1))
    ward.admit(store)
    assert [e.sequence for e in store.due(FAR, 9)] == [1, 2, 3]


def test_a_body_that_the_disk_changed_is_not_sent(store: KitStore, home: Path, ward: Any) -> None:
    ward.admit(store)
    reading = ward.reading("ecg")
    trace = ward.recording(reading, 60_000)
    store.save_observation(reading, [trace])
    with raw(home) as file:
        file.execute("update recordings set body = zeroblob(60000)")
    (changed,) = [e for e in store.due(FAR, 9) if e.subject_id == trace.id]
    assert store.load(changed.id) is None, "it is found when its turn comes"
    assert trace.id not in [e.subject_id for e in store.due(FAR, 9)]
    assert [(q.subject_id, q.reason) for q in store.quarantined()] == [(trace.id, "body-damaged")]
    assert len(store.due(FAR, 9)) == 3
