"""What may leave the kit after its receipt, and all that may not; by the hub's clock, never by a wrong one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from store_key import raw

from zhenbao.agent.store import KitStore, retention
from zhenbao.agent.store.space import Ballast, Level, watermarks
from zhenbao.model.errors import StorageError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.hub_terms import HubTerms, restored_epoch, restored_from_ms
from zhenbao.model.observation import Observation
from zhenbao.model.recording import Recording
from zhenbao.model.report import DeliveryState, Receipt, Report
from zhenbao.sync.envelope import Envelope, Lane, kind_of, pack
from zhenbao.words import Words

FAR = 1 << 60
DAY_MS = 86_400_000
YELLOW = Finding("EC30", Urgency.YELLOW, source="a source")


def answer(store: KitStore, hub_ms: int, *, epoch: str = "hub-1", leave: tuple[str, ...] = ()) -> int:
    """Receipt everything that waits, as a hub would at ``hub_ms``; kinds of ``leave`` stay without."""
    items = [item for item in store.due(FAR, 1000) if item.kind not in leave]
    while items:
        for item in items:
            assert store.receipted([Receipt(item.id, item.body_sha256, epoch, hub_ms)]) == [True]
        items = [item for item in store.due(FAR, 1000) if item.kind not in leave]
    return hub_ms


def come(store: KitStore, value: Any, now_ms: int) -> Receipt:
    """The hub sends something."""
    subject = getattr(value, "id", None) or uuid4()
    item = Envelope(uuid4(), "hub", "kit-1", "b", 1, kind_of(value), Lane.REPORTS, subject, now_ms, pack(value))
    return store.accept([item], now_ms)[0]


def report(ward: Any, reading: Observation, signed_ms: int) -> Report:
    return Report(
        uuid4(),
        ward.encounter.id,
        ward.patient.id,
        (reading.id,),
        "演示医师",
        "心内科",
        "结论",
        "建议",
        "RED",
        signed_ms,
        "0",
    )


class Visit:
    """A visit with one ECG that needs an answer, got it, and is over."""

    def __init__(self, store: KitStore, ward: Any, clock: Any, *findings: Finding) -> None:
        ward.admit(store)
        self.ward, self.store, self.clock = ward, store, clock
        self.reading = ward.reading("ecg", findings=findings)
        self.trace: Recording = ward.recording(self.reading)
        self.reading = replace(self.reading, recordings=(self.trace.id,))
        store.save_observation(self.reading, [self.trace])

    def reported(self) -> None:
        come(self.store, report(self.ward, self.reading, self.clock.now_ms()), self.clock.now_ms())

    def over(self, new_ward: Any) -> None:
        """The next patient's visit has begun."""
        new_ward(None, "演示患者乙").admit(self.store)


@pytest.fixture
def visit(store: KitStore, ward: Any, clock: Any, new_ward: Any) -> Visit:
    """Reported, receipted, over: it may go when its time has come."""
    made = Visit(store, ward, clock, YELLOW)
    answer(store, clock.now_ms())
    made.reported()
    made.over(new_ward)
    return made


def later(store: KitStore, clock: Any, days: float) -> None:
    """Time passes, and the hub confirms something: both clocks say so."""
    clock.sleep(days * 86_400)
    store.save_patient(replace(store.patients()[0], phone=str(clock.now_ms())))
    answer(store, clock.now_ms())


def test_a_waveform_goes_after_its_time_and_all_else_stays(store: KitStore, visit: Visit, clock: Any) -> None:
    before = store.account()
    later(store, clock, 179)
    assert not store.tidy().any
    assert store.recording(visit.trace.id) == visit.trace
    later(store, clock, 2)
    done = store.tidy()
    assert (done.waveforms, done.attachments, done.clock_refused) == (1, 0, False)
    assert done.freed_bytes > 24_000
    assert store.recordings_of(visit.reading.id) == []
    assert store.observation(visit.reading.id) == visit.reading
    assert set(store.delivery(visit.reading.id)) == {
        DeliveryState.SAVED,
        DeliveryState.RECEIVED,
        DeliveryState.REPORTED,
    }
    (gone,) = store.pruned_of(visit.reading.id)
    assert (gone.id, gone.kind, gone.pruned_ms) == (visit.trace.id, "recording", clock.now_ms())
    assert len(gone.sha256) == 32
    assert store.account().posted - store.account().delivered == 0, "reconciling goes on counting what was pruned"
    assert store.account().posted > before.posted
    assert not store.tidy().any


def _unreceipted(visit: Visit, new_ward: Any) -> None:
    answer(visit.store, visit.clock.now_ms(), leave=("recording",))
    visit.reported()
    visit.over(new_ward)


def _refused(visit: Visit, new_ward: Any) -> None:
    for item in visit.store.due(FAR, 100):
        refused = "envelope-body" if item.kind == "recording" else ""
        visit.store.receipted([Receipt(item.id, item.body_sha256, "hub-1", visit.clock.now_ms(), refused=refused)])
    visit.reported()
    visit.over(new_ward)


def _reading_refused(visit: Visit, new_ward: Any) -> None:
    for item in visit.store.due(FAR, 100):
        refused = "envelope-body" if item.kind == "observation" else ""
        visit.store.receipted([Receipt(item.id, item.body_sha256, "hub-1", visit.clock.now_ms(), refused=refused)])
    visit.reported()
    visit.over(new_ward)


def _open(visit: Visit, new_ward: Any) -> None:
    answer(visit.store, visit.clock.now_ms())
    visit.reported()


def _measuring(visit: Visit, new_ward: Any) -> None:
    answer(visit.store, visit.clock.now_ms())
    visit.reported()
    visit.over(new_ward)
    visit.store.begin_capture(visit.ward.encounter.id, "ecg", {})


def _without_report(visit: Visit, new_ward: Any) -> None:
    answer(visit.store, visit.clock.now_ms())
    visit.over(new_ward)


@pytest.mark.parametrize("leave", [_unreceipted, _refused, _reading_refused, _open, _measuring, _without_report])
def test_what_must_stay_stays_however_old_it_is(
    store: KitStore, ward: Any, clock: Any, new_ward: Any, leave: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even on a disk that is red."""
    made = Visit(store, ward, clock, YELLOW)
    leave(made, new_ward)
    clock.sleep(5 * 365 * 86_400)
    # The hub answers for something else, so that its clock is known; what was left without stays so.
    other = new_ward(None, "演示患者丙").patient
    store.save_patient(other)
    (item,) = [i for i in store.due(FAR, 100) if i.subject_id == other.id]
    store.receipted([Receipt(item.id, item.body_sha256, "hub-1", clock.now_ms())])
    monkeypatch.setattr(Ballast, "free_bytes", 0)
    assert store.room().level is Level.RED
    assert store.tidy().waveforms == 0
    assert store.recording(made.trace.id) == made.trace


def test_a_case_in_which_nothing_was_found_waits_for_no_report(
    store: KitStore, ward: Any, clock: Any, new_ward: Any
) -> None:
    made = Visit(store, ward, clock)
    answer(store, clock.now_ms())
    made.over(new_ward)
    later(store, clock, 181)
    assert store.tidy().waveforms == 1


def test_a_yellow_disk_prunes_sooner_but_never_within_the_hubs_backups(
    store: KitStore, visit: Visit, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ballast, "free_bytes", 3 << 20)
    assert store.room().level is Level.YELLOW
    come(store, HubTerms("hub-1", 24 * 31, clock.now_ms()), clock.now_ms())  # a backup a month
    later(store, clock, 61)
    assert store.tidy().waveforms == 0, "30 days by the rule, but two backups are 62 and a day"
    later(store, clock, 3)
    assert store.tidy().waveforms == 1
    assert visit.reading in store.observations()


@pytest.mark.parametrize(
    ("kit_days", "hub_days"),
    [
        pytest.param(-20_000, 0, id="the kit wakes in 1970"),
        pytest.param(3 * 365, 0, id="the kit stands three years ahead"),
        pytest.param(3 * 365, 200, id="three years ahead of the hub, which goes right"),
        pytest.param(200, 3 * 365, id="the hub stands three years ahead"),
        pytest.param(0, 3 * 365, id="the hub alone says that time has passed"),
    ],
)
def test_a_wrong_clock_never_prunes(
    store: KitStore, visit: Visit, clock: Any, kit_days: float, hub_days: float
) -> None:
    start_ms = clock.now_ms()
    clock.wall_ms = start_ms + round(kit_days * DAY_MS)
    if hub_days:
        store.save_patient(replace(visit.ward.patient, phone="1"))
        answer(store, start_ms + round(hub_days * DAY_MS))
    done = store.tidy()
    assert done.waveforms == 0
    assert done.clock_refused
    assert store.recording(visit.trace.id) == visit.trace


def test_a_wrong_hub_clock_of_yesterday_does_not_make_old_what_is_new(
    store: KitStore, ward: Any, clock: Any, new_ward: Any
) -> None:
    """A hub that stood in 1970 for a day gave receipts of 1970; the kit's own time of them still counts."""
    made = Visit(store, ward, clock, YELLOW)
    answer(store, 5 * DAY_MS)
    made.reported()
    made.over(new_ward)
    later(store, clock, 100)
    assert not store.tidy().clock_refused
    assert store.recording(made.trace.id) == made.trace


def test_pruning_can_be_stopped_between_small_transactions(
    store: KitStore, ward: Any, clock: Any, new_ward: Any
) -> None:
    ward.admit(store)
    for _ in range(40):
        reading = ward.reading("ecg")
        store.save_observation(reading, [ward.recording(reading, 600)])
    answer(store, clock.now_ms())
    new_ward(None, "演示患者乙").admit(store)
    later(store, clock, 181)
    asked = 0

    def stopped() -> bool:
        nonlocal asked
        asked += 1
        return asked > 2

    first = store.tidy(stopped=stopped)
    assert 0 < first.waveforms < 40
    assert store.tidy().waveforms == 40 - first.waveforms


def test_a_stranger_in_the_database_is_not_in_the_log(store: KitStore, visit: Visit, clock: Any) -> None:
    later(store, clock, 200)
    assert "演示" not in repr(store.tidy())


def test_copies_of_what_was_sent_and_content_that_belongs_to_no_chart_go_too(
    store: KitStore, home: Path, visit: Visit, clock: Any
) -> None:
    store.set_aside("M1:7", "glucose", "control", b"someone's result")
    later(store, clock, 366)
    done = store.tidy()
    assert done.sent >= 3
    assert done.set_aside == 1
    assert not store.set_aside("M1:7", "glucose", "control", b"again"), "that it was seen is not forgotten"
    assert store.account().posted == store.account().delivered
    assert store.patient(visit.ward.patient.id) is not None
    with raw(home) as opened:
        assert opened.execute("select body from set_aside").fetchall() == [(b"",)]


def test_room_that_pruning_frees_goes_back_to_a_full_disk(
    store: KitStore, home: Path, ward: Any, clock: Any, new_ward: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward.admit(store)
    for _ in range(20):
        reading = ward.reading("ecg")
        store.save_observation(reading, [ward.recording(reading, 240_000)])
    answer(store, clock.now_ms())
    new_ward(None, "演示患者乙").admit(store)
    later(store, clock, 40)
    full_bytes = store._database.read("pragma page_count")[0][0]
    monkeypatch.setattr(Ballast, "free_bytes", 3 << 20)
    done = store.tidy()
    assert done.waveforms == 20
    assert store._database.read("pragma page_count")[0][0] < full_bytes / 2
    assert store._database.read("pragma quick_check") == [("ok",)]


def test_one_ecg_takes_about_what_the_watermarks_count(store: KitStore, home: Path, ward: Any) -> None:
    ward.admit(store)
    before = store._database.read("pragma page_count")[0][0]
    for _ in range(10):
        reading = ward.reading("ecg")
        twelve, rhythm = ward.recording(reading, 10 * 500 * 12 * 2), ward.recording(reading, 30 * 500 * 12 * 2)
        store.save_observation(reading, [twelve, rhythm])
    each = (store._database.read("pragma page_count")[0][0] - before) * 4096 / 10
    assert each == pytest.approx(watermarks().ecg_bytes, rel=0.1)


@pytest.mark.parametrize(
    ("held", "free_mb", "level", "ecgs"),
    [
        (True, 321, Level.GREEN, 664),
        (True, 319, Level.YELLOW, 660),
        (True, 4.1, Level.YELLOW, 0),
        (True, 3.9, Level.RED, 0),
        (False, 321, Level.YELLOW, 639),
        (False, 15.9, Level.RED, 0),
    ],
)
def test_watermarks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: bool, free_mb: float, level: Level, ecgs: int
) -> None:
    ballast = Ballast(tmp_path, 16 << 20)
    if held:
        (tmp_path / "ballast").touch()
    monkeypatch.setattr(Ballast, "free_bytes", round(free_mb * (1 << 20)))
    room = ballast.room()
    assert (room.level, room.ecgs) == (level, ecgs)
    # What is free inside the database counts as much.
    monkeypatch.setattr(Ballast, "free_bytes", 0)
    assert ballast.room(round(free_mb * (1 << 20))).level is level


def test_the_doctor_is_told_early_in_terms_of_work(store: KitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ballast, "free_bytes", 15 << 20)  # of a ballast of 1 MB
    assert store.room().level is Level.YELLOW
    (notice,) = store.notices
    assert notice.code == "store-filling"
    assert "大约还能存 30 份心电图" in Words("zh_CN").error(notice)[0]


def test_every_rule_has_a_source_and_never_keeps_longer_when_room_is_scarce() -> None:
    rules = retention.rules()
    assert {"record", "report", "notice", "waveform", "attachment", "sent", "set-aside"} == set(rules)
    for rule in rules.values():
        assert len(rule.source) > 20
        assert rule.keep_days is None or (rule.low_days is not None and rule.low_days <= rule.keep_days)
    assert retention.backup_days(None) == 15
    assert retention.backup_days("24") == 3


# A hub restored from a backup


def test_the_name_of_a_restored_hub_says_since_when() -> None:
    epoch = restored_epoch(1_800_000_123_456)
    assert len(epoch) == 16
    assert restored_from_ms(epoch) == 1_800_000_123_000
    assert restored_epoch(1_800_000_123_456) != epoch
    assert restored_from_ms("0123456789abcdef") is None
    assert restored_from_ms("r" + "0" * 14 + "g") is None


def test_only_what_is_newer_than_the_backup_is_offered_again(store: KitStore, ward: Any, clock: Any) -> None:
    ward.admit(store)
    old = [ward.reading() for _ in range(5)]
    for reading in old:
        store.save_observation(reading)
    answer(store, clock.now_ms())
    clock.sleep(10 * 86_400)
    backup_ms = clock.now_ms()
    clock.sleep(3600)
    new = [ward.reading() for _ in range(3)]
    for reading in new:
        store.save_observation(reading)
    answer(store, clock.now_ms())
    sent = store.account()
    epoch = restored_epoch(backup_ms)
    come(store, HubTerms(epoch, 24, clock.now_ms()), clock.now_ms())
    assert {item.subject_id for item in store.due(FAR, 100)} == {reading.id for reading in new}
    assert store.setting("hub_backup_hours") == "24"
    assert all(DeliveryState.RECEIVED not in store.delivery(reading.id) for reading in new)
    assert all(DeliveryState.RECEIVED in store.delivery(reading.id) for reading in old)
    answer(store, clock.now_ms(), epoch=epoch)
    assert store.account() == sent


def test_reports_that_the_hub_may_have_lost_are_given_back(store: KitStore, ward: Any, clock: Any) -> None:
    ward.admit(store)
    reading = ward.reading("ecg")
    store.save_observation(reading)
    answer(store, clock.now_ms())
    old, new = report(ward, reading, clock.now_ms()), report(ward, reading, clock.now_ms() + 5 * DAY_MS)
    for each in (old, new):
        come(store, each, clock.now_ms())
    epoch = restored_epoch(clock.now_ms() + 3 * DAY_MS)
    come(store, HubTerms(epoch, None, 1), clock.now_ms())
    assert [item.subject_id for item in store.due(FAR, 9) if item.kind == "returned-report"] == [new.id]
    come(store, HubTerms(epoch, None, 2), clock.now_ms())
    assert [item.subject_id for item in store.due(FAR, 9) if item.kind == "returned-report"] == [new.id]


def test_what_was_pruned_and_lost_is_said(store: KitStore, visit: Visit, clock: Any) -> None:
    """A backup older than all that the rules keep was restored: nothing can bring the waveform back, so it is told."""
    backup_ms = clock.now_ms() - DAY_MS
    later(store, clock, 181)
    assert store.tidy().waveforms == 1
    come(store, HubTerms(restored_epoch(backup_ms), 24, 1), clock.now_ms())
    assert [notice.code for notice in store.notices] == ["hub-restored-pruned"]
    assert "1 份" in Words("zh_CN").error(store.notices[0])[0]
    assert isinstance(store.notices[0], StorageError)
    assert visit.trace.id not in {item.subject_id for item in store.due(FAR, 100)}
    assert isinstance(visit.trace.id, UUID)
