"""The hub's keys are renewed: while kits are on the line, while they are away for a while, and while they are away for
longer than the old keys are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sync.test_locked import lock, spooled, unlock
from tests.sync.test_trust import County
from zhenbao.agent.emergency import spool
from zhenbao.agent.keys import KitKeyring, pin_hub
from zhenbao.model.errors import InputError
from zhenbao.sync.keys import card_of, load_keys, make_keys


@pytest.fixture
def county(tmp_path: Path, clock: Any, faulty_road: Any, ward: Any) -> Iterator[County]:
    pytest.importorskip("sqlalchemy", reason="the hub's store needs SQLAlchemy (pip install zhenbao[hub])")
    made = County(tmp_path, clock, faulty_road())
    made.register.add_kit(made.hub, made.card)
    ward.admit(made.kit)
    made.settle()
    yield made
    made.close()


def renew(county: County, **options: bool) -> Any:
    return county.register.renew(county.hub, county.place / "hub", **options)


def away(county: County, days: float) -> None:
    county.clock.pass_s(days * 86_400)


def reasons(county: County) -> list[str]:
    return [event.reason for event in county.events if event.name == "packet-refused-in"]


def test_a_running_hub_takes_up_what_a_command_beside_it_renewed_and_tells_each_kit(county: County, ward: Any) -> None:
    assert county.register.kits_behind(county.hub, county.hub_keys.own) == []
    card = renew(county)
    assert county.hub_keys.card == card, "no restart"
    assert county.register.kits_behind(county.hub, county.hub_keys.own) == ["kit-1"]
    with pytest.raises(InputError, match="hub-keys-pending") as refused:
        renew(county)
    assert refused.value.facts == {"count": 1, "kits": "kit-1"}
    county.kit.save_observation(ward.reading())
    county.settle(20)
    assert county.kit.queue().total == 0
    assert KitKeyring(county.home, "kit-1").hub.card == card
    assert county.register.kits_behind(county.hub, county.hub_keys.own) == []
    assert reasons(county) == []
    renew(county)
    with county.hub.reading() as connection:
        from zhenbao.hub.store import audit

        assert [row.action for row in audit.rows(connection, 9)].count("hub-keys-renewed") == 2


def test_what_was_sealed_before_opens_during_the_grace_and_the_kit_learns_the_new_card(
    county: County, ward: Any
) -> None:
    """It was away for all but a day of the grace, with a tracing sealed for the old key and half sent."""
    reading = ward.reading()
    county.kit.save_observation(reading, [ward.recording(reading, 60_000)])
    county.settle(3, 0.1)
    assert county.kit.queue().total > 0
    old = county.hub_keys.own.newest.public
    card = renew(county)
    away(county, county.register.grace_ms() / 86_400_000 - 1)
    county.settle(80, 5)
    assert county.kit.queue().total == 0
    assert county.kit.quarantined() == []
    assert KitKeyring(county.home, "kit-1").hub.card == card
    # A day later the old key is gone from the hub's disk, and nobody misses it.
    away(county, 2)
    assert [pair.public for pair in county.hub_keys.own.pairs] == [card.newest]
    kept = load_keys(county.place / "hub")
    assert kept is not None
    assert kept.sealed_for(old.seal_id) is None
    county.kit.save_observation(ward.reading())
    county.settle(20)
    assert county.kit.queue().total == 0


def test_a_kit_that_was_away_for_the_whole_grace_says_so_keeps_everything_and_is_helped_by_the_new_card(
    county: County, ward: Any
) -> None:
    renew(county)
    away(county, county.register.grace_ms() / 86_400_000 + 1)
    assert len(county.hub_keys.own.pairs) == 1
    reading = ward.reading()
    county.kit.save_observation(reading, [ward.recording(reading, 30_000)])
    waiting = county.kit.queue().total
    county.settle(20, 5)
    # The hub cannot open what was sealed for the key that it has forgotten, and its word is a stranger's.
    assert county.kit.queue().total == waiting
    assert county.kit.quarantined() == []
    assert set(reasons(county)) == {"packet-signer"}
    assert county.down.counts.packets_refused_in > 0
    # The technician brings the new card; the service goes on with it, without a restart.
    with pytest.raises(InputError, match="card-name"):
        pin_hub(county.home, card_of(make_keys("kit-1", 1)).text)
    pin_hub(county.home, county.hub_keys.card.text)
    county.settle(120, 10)
    assert county.kit.queue().total == 0
    assert county.kit.quarantined() == []


def test_what_the_kit_says_then_has_words_for_what_to_do() -> None:
    from zhenbao.words import Words

    for language in ("zh_CN", "en"):
        what, do = (Words(language)(f"error.hub-keys-changed.{part}") for part in ("what", "do"))
        assert "zhenbao tech pin-hub" in do
        assert what


def test_two_renewals_that_leave_a_kit_behind_are_refused_or_asked_for(county: County, ward: Any) -> None:
    renew(county)
    with pytest.raises(InputError, match="hub-keys-pending"):
        renew(county)
    card = renew(county, anyway=True)
    county.kit.save_observation(ward.reading())
    county.settle(20)
    assert set(reasons(county)) == {"packet-signer"}
    pin_hub(county.home, card.text)
    county.settle(60, 10)
    assert county.kit.queue().total == 0
    # A kit that is out of use holds nobody up.
    renew(county)
    county.register.revoke_kit(county.hub, "kit-1")
    renew(county)


def test_a_card_pinned_by_hand_does_not_make_the_kit_sign_with_its_own_old_key(
    county: County, ward: Any, clock: Any
) -> None:
    """The hub takes that for a month only; which of the kit's keys it knows is no matter of the hub's card."""
    from zhenbao.agent.keys import renew_keys

    renew_keys(county.home, "kit-1", clock.now_ms())
    county.kit.save_observation(ward.reading())
    county.settle(20)
    away(county, county.register.overlap_ms() / 86_400_000 + 1)
    renew(county, anyway=True)
    pin_hub(county.home, county.hub_keys.card.text)
    county.kit.save_observation(ward.reading())
    county.settle(20)
    assert county.kit.queue().total == 0


def test_an_emergency_sealed_before_the_renewal_arrives_while_locked(county: County, ward: Any) -> None:
    spooled(county, ward)
    renew(county)
    away(county, 30)
    lock(county)
    county.settle(40, 5)
    assert spool.account(county.home).received == 1
    unlock(county)
    county.settle(20)
    assert KitKeyring(county.home, "kit-1").hub.card == county.hub_keys.card
    # The next one is sealed for the new key, which the locked kit reads from the card that the unlocked one pinned.
    spooled(county, ward)
    lock(county)
    county.settle(40, 5)
    assert spool.account(county.home).received == 2


def test_a_kit_that_lay_in_a_drawer_since_it_was_registered_is_not_locked_out(
    tmp_path: Path, clock: Any, faulty_road: Any, ward: Any
) -> None:
    """Its PIN renewed its keys, its card with both was registered, and the older one ended before its first word."""
    from zhenbao.agent.keys import renew_keys

    county = County(tmp_path, clock, faulty_road())
    try:
        card = renew_keys(county.home, "kit-1", clock.now_ms())
        county.register.add_kit(county.hub, card)
        away(county, county.register.overlap_ms() / 86_400_000 + 1)
        ward.admit(county.kit)
        county.settle(20)
        assert county.kit.queue().total == 0
        assert county.kit_keys.hub.knows == card.newest.sign_id
        # Where neither key is known, it keeps everything and tries now and then.
        county.register.add_kit(county.hub, card_of(make_keys("kit-1", 1)))
        county.kit.save_observation(ward.reading())
        sent = county.up.counts.sent
        county.settle(100)
        assert county.kit.queue().total == 1
        assert county.kit.quarantined() == []
        assert county.up.counts.sent - sent < 15
    finally:
        county.close()
