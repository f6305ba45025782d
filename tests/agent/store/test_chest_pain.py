"""The channel on the kit: instants are queued with the reading's urgency, news is kept once and for its own patient."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4

import pytest
from store_key import KEY

from tests.sync.conftest import HandClock, Ward
from zhenbao.agent.store import KitStore
from zhenbao.model.chest_pain import CaseTime, ChannelNews
from zhenbao.model.errors import StorageError
from zhenbao.sync.envelope import Envelope, Lane, pack, unpack


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def ward(kit: KitStore) -> Ward:
    made = Ward()
    made.admit(kit)
    return made


@pytest.fixture
def kit(tmp_path: Path, clock: HandClock) -> KitStore:
    return KitStore.open(tmp_path / "kit", kit_id="kit-1", clock=clock, key=KEY, ballast_bytes=1 << 20)


def from_hub(value: ChannelNews, *, recipient: str = "kit-1") -> Envelope:
    return Envelope(uuid4(), "hub", recipient, "boot", 1, "channel-news", Lane.REPORTS, value.id, 1, pack(value))


def news(ward: Ward, *, patient_id: UUID | None = None, told_ms: int = 5, state: str = "open") -> ChannelNews:
    about = patient_id or ward.patient.id
    return ChannelNews(uuid4(), ward.encounter.id, about, state, "卧床", "演示医师", told_ms, "县医院", "120")


def waiting(kit: KitStore) -> list[CaseTime]:
    found = []
    for item in kit.due(1 << 60, 100):
        if item.kind == "case-time":
            envelope = kit.load(item.id)
            assert envelope is not None
            assert item.lane is Lane.CRITICAL
            found.append(unpack(item.kind, envelope.body))
    return found  # type: ignore[return-value]


def test_an_instant_is_kept_and_queued_in_one_go(kit: KitStore, ward: Ward, clock: HandClock) -> None:
    noted = kit.note_time(ward.encounter.id, "onset", at_ms=clock.wall_ms - 60_000, told=True)
    assert kit.times(ward.encounter.id) == [noted] == waiting(kit)
    assert (noted.at_ms, noted.noted_ms, noted.kit_id) == (clock.wall_ms - 60_000, clock.wall_ms, "kit-1")
    assert noted.since_boot_ms > 0
    with pytest.raises(StorageError, match="store-order"):
        kit.note_time(uuid4(), "onset")
    assert len(waiting(kit)) == 1


def test_news_is_kept_once_tells_when_it_came_and_when_it_was_seen(kit: KitStore, ward: Ward, clock: HandClock) -> None:
    told = from_hub(news(ward))
    (first,) = kit.accept([told], clock.wall_ms)
    (again,) = kit.accept([told], clock.wall_ms + 9)
    assert (first.refused, again.duplicate) == ("", True)
    (kept,) = kit.channel_news(ward.encounter.id)
    assert (kept.news.state, kept.news.advice, kept.read_ms) == ("open", "卧床", None)
    assert [t.milestone for t in waiting(kit)] == ["delivered"]
    clock.pass_s(60)
    assert kit.read_news(ward.encounter.id)
    assert not kit.read_news(ward.encounter.id), "once"
    assert kit.channel_news()[0].read_ms == clock.wall_ms
    assert [t.milestone for t in waiting(kit)] == ["delivered", "village-read"]


def test_the_newest_news_counts_whatever_order_it_came_in(kit: KitStore, ward: Ward, clock: HandClock) -> None:
    for told_ms, state in ((20, "diverted"), (10, "open")):
        kit.accept([from_hub(news(ward, told_ms=told_ms, state=state))], clock.wall_ms)
    assert [kept.news.state for kept in kit.channel_news(ward.encounter.id)] == ["diverted", "open"]


def test_news_of_another_patient_is_refused(kit: KitStore, ward: Ward, clock: HandClock) -> None:
    (receipt,) = kit.accept([from_hub(news(ward, patient_id=uuid4()))], clock.wall_ms)
    assert receipt.refused == "report-mismatch"
    (receipt,) = kit.accept([from_hub(news(ward), recipient="kit-2")], clock.wall_ms)
    assert receipt.refused == "other-recipient"
    assert kit.channel_news() == []
    assert waiting(kit) == []


def test_a_report_of_a_visit_with_the_key_tells_when_it_came(kit: KitStore, ward: Ward, clock: HandClock) -> None:
    reading = ward.reading("ecg")
    kit.save_observation(reading)

    def come() -> None:
        report = ward.report(reading)
        envelope = Envelope(uuid4(), "hub", "kit-1", "boot", 1, "report", Lane.REPORTS, report.id, 1, pack(report))
        (receipt,) = kit.accept([envelope], clock.wall_ms)
        assert receipt.refused == ""

    come()
    assert waiting(kit) == [], "a visit without the key has no such instants"
    kit.note_time(ward.encounter.id, "first-contact")
    come()
    assert [t.milestone for t in waiting(kit)] == ["first-contact", "delivered"]
