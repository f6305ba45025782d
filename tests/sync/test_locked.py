"""A locked kit's mailbox: it sends what was spooled, takes nothing in, and loses nothing."""

from __future__ import annotations

import importlib
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from tests.sync.test_trust import County, emergency
from zhenbao.agent.emergency import spool
from zhenbao.agent.emergency.handover import hand_over
from zhenbao.agent.emergency.mailbox import SpoolMailbox
from zhenbao.agent.keys import EmergencyKeyring, for_emergencies
from zhenbao.model.emergency import Emergency
from zhenbao.model.errors import InputError, Rejected
from zhenbao.model.report import DeliveryState
from zhenbao.sync.engine import Engine
from zhenbao.sync.envelope import pack
from zhenbao.sync.messages import read_receipts
from zhenbao.sync.names import emergency_side
from zhenbao.sync.sealing import seal_to


@pytest.fixture
def county(tmp_path: Path, clock: Any, faulty_road: Any) -> Iterator[County]:
    pytest.importorskip("sqlalchemy", reason="the hub's store needs SQLAlchemy (pip install zhenbao[hub])")
    made = County(tmp_path, clock, faulty_road())
    made.register.add_kit(made.hub, made.card)
    yield made
    made.close()


def spooled(county: County, ward: Any) -> Emergency:
    value = emergency(ward)
    hub, key = for_emergencies(county.home)
    spool.put(county.home, value.id, lambda: seal_to(hub, key, "emergency", pack(value)))
    return value


def lock(county: County) -> None:
    """The same road, with the locked kit's mailbox in place of its store."""
    county.kit_end.stop()
    county.emergency_end = county.road.end(emergency_side("kit-1"))
    county.emergency_end.start()
    mailbox = SpoolMailbox(county.home, "kit-1", county.clock)
    keyring = EmergencyKeyring(county.home)
    county.up = Engine(
        mailbox,
        county.emergency_end,
        county.clock,
        keyring,
        rng=random.Random(3),
        on_event=county.events.append,
        speaks=False,
    )
    county.up._changed("up")


def unlock(county: County) -> None:
    county.emergency_end.stop()
    county.kit_end.start()
    county.up = Engine(county.kit, county.kit_end, county.clock, county.kit_keys, rng=random.Random(4))
    county.up._changed("up")


def test_the_hubs_signed_receipt_removes_it(county: County, ward: Any) -> None:
    value = spooled(county, ward)
    spool.put(county.home, value.id, lambda: pytest.fail("sealed twice"))
    lock(county)
    county.settle(30)
    assert spool.kept(county.home) == []
    now = spool.account(county.home)
    assert (now.waiting, now.received, now.refused) == (0, 1, ())
    (kept,) = (county.home / spool.FOLDER).iterdir()
    answer = msgspec.json.decode(kept.read_bytes(), type=spool.Answer)
    named, receipts = read_receipts(answer.proof, county.hub_keys.own.newest.public.sign)
    assert (named, len(receipts)) == (emergency_side("kit-1"), 1)
    with pytest.raises(Rejected):
        read_receipts(answer.proof, county.kit_keys.own.newest.public.sign)


def test_a_report_that_comes_while_locked_is_not_lost(county: County, ward: Any) -> None:
    """Receipted into memory it would be gone at the next power cut, and the hub would call it delivered."""
    ward.admit(county.kit)
    reading = ward.reading()
    county.kit.save_observation(reading)
    county.settle()
    spooled(county, ward)
    lock(county)
    report = ward.report(reading)
    outbox = importlib.import_module("zhenbao.hub.store.outbox")
    with county.hub.writing() as connection:
        outbox.post(connection, county.hub.sender, report, report.id, "kit-1", county.clock.now_ms())
    county.settle(30)
    assert spool.kept(county.home) == [], "its own emergency goes all the same"
    assert len(county.hub.due(1 << 60, 9)) == 1
    assert county.kit.inbox() == []
    unlock(county)
    county.settle(30)
    assert [kept.report for kept in county.kit.inbox()] == [report]
    assert len(county.hub.due(1 << 60, 9)) == 0


def test_both_ways_together_make_one_case(county: County, ward: Any) -> None:
    from zhenbao.hub.worklist import Worklist

    value = spooled(county, ward)
    hand_over(county.home, county.kit, county.clock)
    hand_over(county.home, county.kit, county.clock)
    assert county.kit.queue().critical == 1
    assert spool.waiting(county.home) == [value.id], "the store has it, the hub not yet"
    lock(county)
    county.settle(30)
    assert spool.account(county.home).received == 1
    unlock(county)
    county.settle(30)
    assert county.kit.queue().total == 0
    assert DeliveryState.RECEIVED in county.kit.delivery(value.id)
    assert len(Worklist(county.hub).rows()) == 1
    assert county.hub.counters.accepted == 1


def test_what_the_hub_refuses_is_kept_and_told(county: County, ward: Any) -> None:
    value = emergency(ward)
    calm = Emergency(uuid4(), value.patient, value.encounter, value.observation)
    calm = replace(calm, observation=replace(value.observation, findings=(), recordings=()))
    hub, key = for_emergencies(county.home)
    spool.put(county.home, calm.id, lambda: seal_to(hub, key, "emergency", pack(calm)))
    lock(county)
    county.settle(30)
    now = spool.account(county.home)
    assert (now.waiting, now.received, now.refused) == (0, 0, ("emergency-urgency",))
    assert spool.kept(county.home) == [calm.id]
    unlock(county)
    hand_over(county.home, county.kit, county.clock)
    county.settle(30)
    assert [q.reason for q in county.kit.quarantined()] == ["emergency-urgency"]


def test_a_packet_that_the_disk_changed_holds_up_no_other(county: County, ward: Any) -> None:
    bad, good = spooled(county, ward), spooled(county, ward)
    place = county.home / spool.FOLDER / f"{bad.id}.sealed"
    place.write_bytes(b"?" + place.read_bytes()[1:])
    (county.home / spool.FOLDER / "a stranger.sealed").write_bytes(b"")
    lock(county)
    county.settle(40)
    now = spool.account(county.home)
    assert (now.received, now.refused) == (1, ("body-damaged",))
    assert spool.kept(county.home) == [bad.id]
    assert good.id != bad.id


def test_without_a_pinned_hub_nothing_is_sealed(tmp_path: Path) -> None:
    from zhenbao.agent.keys import set_up_keys

    with pytest.raises(InputError, match="emergency-unset"):
        for_emergencies(tmp_path)
    set_up_keys(tmp_path, "kit-1", 1)
    with pytest.raises(InputError, match="emergency-unset"):
        for_emergencies(tmp_path)
