"""What a mailbox store must do, asked of every store: the kit's, the hub's, and the plain one of these tests."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from store_key import KEY

from zhenbao.agent.store import KitStore
from zhenbao.model.identity import Sex
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.report import Receipt, Report, Viewed
from zhenbao.sync.envelope import Body, Envelope, Lane, kind_of, pack
from zhenbao.sync.mailbox import MailboxStore

NOW = 1_800_000_000_000
FAR = 1 << 60


@dataclass
class Side:
    """One store, with what its contract needs done to it in its own way."""

    store: MailboxStore
    post: Callable[[], None]
    """Save something that leaves exactly one more item in the outbox."""
    incoming: Callable[[int], Body]
    """The n-th value that this side takes in."""
    count: Callable[[], int]
    """How many values it has taken in."""
    quarantined: Callable[[], int]
    peer: str
    reopen: Callable[[], MailboxStore]

    def envelope(self, n: int = 1, **changes: Any) -> Envelope:
        value = self.incoming(n)
        subject = getattr(value, "id", UUID(int=n))
        envelope = Envelope(
            uuid4(), self.peer, self.store.name, "boot", n, kind_of(value), Lane.REPORTS, subject, NOW, pack(value)
        )
        return replace(envelope, **changes)

    def items(self) -> list[Envelope]:
        return [envelope for item in self.store.due(FAR, 1000) if (envelope := self.store.load(item.id)) is not None]

    def accept(self, envelope: Envelope, now_ms: int) -> Receipt:
        (receipt,) = self.store.accept([envelope], now_ms)
        return receipt

    def receipted(self, receipt: Receipt) -> bool:
        return self.store.receipted([receipt]) == [True]


def _report(n: int) -> Report:
    signed = NOW + n
    return Report(uuid4(), uuid4(), uuid4(), (uuid4(),), "演示医师", "心内科", "结论", "建议", "GREEN", signed, "00")


def _kit(place: Path, clock: Any) -> Side:
    def opened() -> KitStore:
        return KitStore.open(place / "kit", kit_id="kit-1", clock=clock, key=KEY, ballast_bytes=1 << 20)

    store = opened()
    return Side(
        store,
        post=lambda: store.save_patient(Patient(uuid4(), "演示患者甲", Sex.FEMALE, None)),
        incoming=_report,
        count=lambda: len(store.inbox()),
        quarantined=lambda: store.queue().quarantined,
        peer="hub",
        reopen=opened,
    )


def _hub(place: Path, clock: Any) -> Side:
    pytest.importorskip("sqlalchemy", reason="the hub's store needs SQLAlchemy (pip install zhenbao[hub])")
    hub_store = importlib.import_module("zhenbao.hub.store.hub_store")
    outbox = importlib.import_module("zhenbao.hub.store.outbox")
    tables = importlib.import_module("zhenbao.hub.store.tables")
    from sqlalchemy import func, select

    def opened() -> Any:
        return hub_store.HubStore(f"sqlite:///{place}/hub.db", clock)

    store = opened()

    def post() -> None:
        value = Viewed((uuid4(),), "演示医师", NOW)
        with store.writing() as connection:
            outbox.post(connection, store.sender, value, uuid4(), "kit-1", clock.now_ms())

    def count() -> int:
        with store.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(tables.inbox)).scalar_one())

    return Side(
        store,
        post=post,
        incoming=lambda n: Encounter(uuid4(), uuid4(), "kit-1", NOW + n),
        count=count,
        quarantined=lambda: len(store.quarantined()),
        peer="kit-1",
        reopen=opened,
    )


@pytest.fixture(params=["kit", "hub", "plain"])
def side(request: pytest.FixtureRequest, tmp_path: Path, clock: Any, plain_mailbox: Any) -> Iterator[Side]:
    if request.param == "plain":
        store = plain_mailbox("hub", "kit-1")
        yield Side(
            store,
            post=lambda: store.post(_report(1), uuid4()),
            incoming=lambda n: Encounter(uuid4(), uuid4(), "kit-1", NOW + n),
            count=lambda: len(store.taken),
            quarantined=lambda: len(store.refused_in) + len(store.refused_out),
            peer="kit-1",
            reopen=lambda: store,
        )
        return
    made = {"kit": _kit, "hub": _hub}[request.param](tmp_path, clock)
    yield made
    made.store.close()  # type: ignore[attr-defined]


def _receipt(item: Envelope, **changes: Any) -> Receipt:
    return replace(Receipt(item.id, item.body_sha256, "epoch-of-the-other", NOW), **changes)


def test_what_is_saved_is_due_in_order_and_stays_until_a_receipt(side: Side) -> None:
    for _ in range(5):
        side.post()
    items = side.items()
    assert [i.sequence for i in items] == sorted(i.sequence for i in items)
    assert len({i.id for i in items}) == len(items) == 5
    assert {i.sender for i in items} == {side.store.name}
    assert [item.id for item in side.store.due(FAR, 2)] == [item.id for item in items[:2]]
    assert [item.size_bytes for item in side.store.due(FAR, 5)] == [len(item.body) for item in items]
    assert side.items() == items
    assert side.receipted(_receipt(items[1]))
    assert side.items() == [items[0], *items[2:]]


def test_an_item_that_was_tried_waits_for_its_time(side: Side) -> None:
    side.post()
    side.post()
    first, second = side.items()
    assert side.store.tries(first.id) == 0
    side.store.tried([first.id], NOW + 5000)
    side.store.tried([first.id], NOW + 9000)
    assert side.store.tries(first.id) == 2
    assert side.store.tries(second.id) == 0
    assert [item.id for item in side.store.due(NOW + 8999, 10)] == [second.id]
    assert [item.id for item in side.store.due(NOW + 9000, 10)] == [first.id, second.id]


def test_a_receipt_counts_once_and_only_for_its_body(side: Side) -> None:
    side.post()
    (item,) = side.items()
    assert not side.receipted(_receipt(item, body_sha256=bytes(32)))
    assert not side.receipted(_receipt(item, envelope_id=uuid4()))
    assert side.items() == [item]
    assert side.receipted(_receipt(item))
    assert not side.receipted(_receipt(item))
    assert not side.receipted(_receipt(item, refused="too late"))
    assert side.items() == []
    assert side.quarantined() == 0


def test_a_refused_item_is_set_aside_visibly(side: Side) -> None:
    side.post()
    side.post()
    first, second = side.items()
    assert side.receipted(_receipt(first, refused="envelope-body"))
    assert side.items() == [second]
    assert side.quarantined() == 1
    assert not side.receipted(_receipt(first, refused="envelope-body"))
    assert side.quarantined() == 1


def test_the_same_envelope_is_taken_once_and_gets_its_first_receipt_again(side: Side) -> None:
    envelope = side.envelope()
    first = side.accept(envelope, NOW)
    again = side.accept(envelope, NOW + 60_000)
    assert first == Receipt(envelope.id, envelope.body_sha256, side.store.epoch, NOW)
    assert again == replace(first, duplicate=True)
    assert side.count() == 1
    assert side.quarantined() == 0


def test_another_body_under_a_known_id_is_refused_and_the_first_stays(side: Side) -> None:
    envelope = side.envelope(1)
    side.accept(envelope, NOW)
    changed = replace(side.envelope(2), id=envelope.id)
    refusal = side.accept(changed, NOW + 1)
    assert refusal.refused
    assert refusal.body_sha256 == changed.body_sha256
    assert side.accept(changed, NOW + 2).refused == refusal.refused
    assert side.count() == 1
    assert side.quarantined() == 1
    assert side.accept(envelope, NOW + 3) == Receipt(envelope.id, envelope.body_sha256, side.store.epoch, NOW, True)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"kind": "of-the-future"}, id="an unknown kind"),
        pytest.param({"body": b"\xff"}, id="no CBOR"),
        pytest.param({"body": b""}, id="nothing"),
        pytest.param({"body": b"\xa0"}, id="no such value"),
    ],
)
def test_what_can_never_be_taken_is_refused_and_kept(side: Side, change: dict[str, Any]) -> None:
    good = side.envelope(1)
    bad = side.envelope(2, **change)
    receipt = side.accept(bad, NOW)
    assert receipt.refused
    assert not receipt.duplicate
    assert side.accept(bad, NOW + 5) == replace(receipt, duplicate=True)
    assert side.quarantined() == 1
    assert not side.accept(good, NOW).refused
    assert side.count() == 1


def test_everything_is_there_after_opening_again(side: Side) -> None:
    side.post()
    side.post()
    items = side.items()
    side.receipted(_receipt(items[0]))
    side.store.tried([items[1].id], NOW + 50)
    envelope = side.envelope()
    receipt = side.accept(envelope, NOW)
    again = side.reopen()
    assert again.epoch == side.store.epoch
    assert [again.load(item.id) for item in again.due(FAR, 10)] == items[1:]
    assert again.tries(items[1].id) == 1
    assert again.accept([envelope], NOW + 9) == [replace(receipt, duplicate=True)]


def test_threads_that_bring_the_same_envelope_are_answered_alike(side: Side, request: pytest.FixtureRequest) -> None:
    envelopes = [side.envelope(n) for n in range(1, 9)]
    receipts: list[Receipt] = []
    start = threading.Barrier(4)

    def bring() -> None:
        start.wait(10)
        for envelope in envelopes:
            receipts.append(side.accept(envelope, NOW))

    threads = [threading.Thread(target=bring) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(receipts) == 4 * len(envelopes)
    assert not any(receipt.refused for receipt in receipts)
    assert side.count() == len(envelopes)
    if "plain" not in request.node.name:
        assert sum(not receipt.duplicate for receipt in receipts) == len(envelopes)
