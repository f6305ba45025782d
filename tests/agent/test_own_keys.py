"""The kit's private keys behind its PIN: what lies open, how it goes inside, and a power cut at every step of that."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from zhenbao.agent import own_keys
from zhenbao.agent.keys import CARD_FILE, EmergencyKeyring, KitKeyring, pin_hub, put_inside, renew_keys, set_up_keys
from zhenbao.agent.own_keys import load_emergency, load_own, move_inside, road_passphrase, save_own
from zhenbao.agent.settings import KitSettings, save_settings
from zhenbao.agent.vault.file import Cost
from zhenbao.agent.vault.unlocked import forget, hold
from zhenbao.agent.vault.vault import create
from zhenbao.model.errors import InputError, StorageError
from zhenbao.sync.keys import FILE, OwnKeys, card_of, load_keys, make_keys, parse_card, read_card, rotated, save_keys
from zhenbao.sync.links.identity import KEY, load_key, make_request
from zhenbao.sync.links.tls import client_context
from zhenbao.technician.roads import ask_for_certificates

STORE_KEY = bytes(range(32))
CHEAP = Cost(memory_kib=1024, iterations=1, lanes=1)
SETTINGS = KitSettings("kit-1")
NOW_MS = 1_800_000_000_000


@pytest.fixture
def old_kit(tmp_path: Path) -> Path:
    """As an older version left it: everything open in one file, and the road's key open beside it."""
    home = tmp_path / "kit"
    home.mkdir()
    save_keys(home, make_keys("kit-1", 1, emergency=True))
    make_request(home)
    pin_hub(home, card_of(make_keys("hub", 1)).text)
    return home


def secrets_of(own: OwnKeys, road_key: bytes) -> dict[str, bytes]:
    """Everything that opens or signs, each as raw bytes, as hexadecimal and as it stands in PEM."""
    import base64

    raw = {f"road {n}": part for n, part in enumerate([load_raw(road_key)])}
    for pair in own.pairs:
        raw |= {f"sign {pair.number}": pair.sign_secret, f"seal {pair.number}": pair.seal_secret}
    found = dict(raw)
    for name, secret in raw.items():
        found[f"{name} hex"] = secret.hex().encode()
        found[f"{name} base64"] = base64.b64encode(secret)[:40]
    # An Ed25519 PKCS#8 ends with the secret: what stands in the PEM after its fixed head of 16 bytes.
    found["road PEM"] = road_key.split(b"\n")[1][24:60]
    return found


def load_raw(pem: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(pem, None)
    assert isinstance(key, Ed25519PrivateKey)
    return key.private_bytes_raw()


def lying_open(home: Path, wanted: dict[str, bytes]) -> set[str]:
    content = b"\0".join(place.read_bytes() for place in home.rglob("*") if place.is_file())
    return {name for name, secret in wanted.items() if secret in content}


def test_what_lay_open_goes_inside_and_only_the_emergency_side_stays(old_kit: Path) -> None:
    own, road = load_keys(old_kit), (old_kit / KEY).read_bytes()
    assert own is not None and own.emergency is not None
    wanted = secrets_of(own, road)
    assert lying_open(old_kit, wanted) >= {"sign 1", "seal 1", "road PEM"}, "the search finds what is there"
    assert put_inside(old_kit, SETTINGS, STORE_KEY, NOW_MS)
    assert lying_open(old_kit, wanted) == set()
    kept = load_own(old_kit, STORE_KEY)
    assert kept is not None
    assert kept.pairs[0] == own.pairs[0]
    # What lay open may be left in a flash cell: it is on its way out, and announces its successor.
    assert (len(kept.pairs), kept.newest.number, kept.newest.made_ms) == (2, 2, NOW_MS)
    assert kept.emergency == own.emergency == load_emergency(old_kit)
    assert parse_card((old_kit / CARD_FILE).read_text()).newest == kept.newest.public
    assert load_key(old_kit / KEY, road_passphrase(STORE_KEY)).private_bytes_raw() == load_raw(road)
    assert {place.stat().st_mode & 0o777 for place in old_kit.glob("*key*")} == {0o600}
    assert not put_inside(old_kit, SETTINGS, STORE_KEY, NOW_MS), "once is enough"


def test_another_key_opens_nothing_and_is_never_taken_for_no_keys(old_kit: Path) -> None:
    put_inside(old_kit, SETTINGS, STORE_KEY, NOW_MS)
    wrong = bytes(32)
    with pytest.raises(StorageError, match="keys-unreadable"):
        load_own(old_kit, wrong)
    for passphrase in (None, road_passphrase(wrong)):
        with pytest.raises(InputError, match="tls-file"):
            load_key(old_kit / KEY, passphrase)
        with pytest.raises(InputError, match="tls-file"):
            client_context(old_kit / "county-ca.pem", old_kit / KEY, old_kit / KEY, passphrase)
    data = (old_kit / own_keys.SEALED).read_bytes()
    for spoilt in (b"", data[:-1], bytes([data[0] ^ 1]) + data[1:], data + b"\0"):
        (old_kit / own_keys.SEALED).write_bytes(spoilt)
        with pytest.raises(StorageError, match="keys-unreadable"):
            load_own(old_kit, STORE_KEY)


class PowerCut(BaseException):
    """Nothing after this happens."""


def cut_at(monkeypatch: pytest.MonkeyPatch, step: int, *, after: bool) -> Callable[[], int]:
    """The power goes before or after the ``step``-th thing that changes the disk; gives how many there were."""
    steps = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def work(*arguments: Any, **options: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == step and not after:
                raise PowerCut
            mine = steps
            try:
                return real(*arguments, **options)
            finally:
                if mine == step:
                    raise PowerCut

        return work

    for place, name in ((os, "fsync"), (os, "link"), (os, "open"), (Path, "replace"), (Path, "unlink"), (Path, "open")):
        monkeypatch.setattr(place, name, counted(getattr(place, name)))
    return lambda: steps


def pieces(home: Path) -> dict[str, bytes]:
    return {place.name: place.read_bytes() for place in home.iterdir() if place.is_file()}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_power_cut_at_any_step_loses_no_key_and_the_next_start_ends_it(
    old_kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    own, road = load_keys(old_kit), (old_kit / KEY).read_bytes()
    assert own is not None
    wanted = secrets_of(own, road)
    seen, step = set(), 0
    while True:
        step += 1
        home = tmp_path / f"cut-{step}"
        shutil.copytree(old_kit, home)
        with monkeypatch.context() as patched:
            steps = cut_at(patched, step, after=after)
            try:
                move_inside(home, STORE_KEY, KEY, NOW_MS)
                ended = True
            except PowerCut:
                ended = False
        if ended:
            assert steps() < step
            break
        seen.add(frozenset(pieces(home)))
        # As it lies after the cut, the kit has all its keys: nothing need be done for it to send and open.
        left = load_own(home, STORE_KEY)
        assert left is not None
        assert left.pairs[0] == own.pairs[0], step
        assert load_emergency(home) == own.emergency
        assert load_raw(road) == load_key(home / KEY, road_passphrase(STORE_KEY)).private_bytes_raw()
        move_inside(home, STORE_KEY, KEY, NOW_MS + step)
        kept = load_own(home, STORE_KEY)
        assert kept is not None
        assert (kept.pairs[0], len(kept.pairs), kept.emergency) == (own.pairs[0], 2, own.emergency)
        # Whatever was shown to the hub before the cut is what is there after it.
        assert left.newest.number == 1 or left.newest == kept.newest
        assert lying_open(home, wanted) == set(), step
        assert not [name for name in pieces(home) if name.endswith((".erasing", ".new"))], step
    assert step > 15, "there are many steps"
    assert len(seen) > 4, "the cuts leave different folders"


def test_two_that_unlock_at_once_make_one_new_generation(old_kit: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        moved = list(pool.map(lambda n: move_inside(old_kit, STORE_KEY, KEY, NOW_MS + n), range(4)))
    assert moved.count(True) == 1
    kept = load_own(old_kit, STORE_KEY)
    assert kept is not None and len(kept.pairs) == 2


def test_a_renewal_that_waits_for_the_hub_is_not_pushed_out(old_kit: Path) -> None:
    own = load_keys(old_kit)
    assert own is not None
    save_keys(old_kit, rotated(own, 5))
    move_inside(old_kit, STORE_KEY, KEY, NOW_MS)
    kept = load_own(old_kit, STORE_KEY)
    assert kept is not None
    assert [pair.number for pair in kept.pairs] == [1, 2]
    assert kept.pairs[0] == own.pairs[0]


def test_keys_made_anew_by_an_older_program_count_when_the_newer_one_comes_back(old_kit: Path) -> None:
    move_inside(old_kit, STORE_KEY, KEY, NOW_MS)
    fresh = make_keys("kit-1", NOW_MS + 1, emergency=True)
    save_keys(old_kit, fresh)
    assert load_own(old_kit, STORE_KEY).newest == fresh.newest  # type: ignore[union-attr]
    move_inside(old_kit, STORE_KEY, KEY, NOW_MS + 2)
    kept = load_own(old_kit, STORE_KEY)
    assert kept is not None
    assert (kept.pairs[0], kept.emergency) == (fresh.newest, fresh.emergency)
    assert not (old_kit / FILE).exists()


def test_a_disk_that_refuses_leaves_what_lay_open_where_it_was(old_kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_keys(old_kit)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="keys-unwritable"):
            move_inside(old_kit, STORE_KEY, KEY, NOW_MS)
    assert load_keys(old_kit) == before == load_own(old_kit, None)


# With a vault


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """A kit that is set up, has a PIN and is unlocked."""
    home = tmp_path / "kit"
    home.mkdir()
    hold(home, create(home, "kit-1", "5273 8041 9962 1408", cost=CHEAP))
    set_up_keys(home, "kit-1", NOW_MS)
    pin_hub(home, card_of(make_keys("hub", 1)).text)
    yield home
    forget(home)


def test_a_kit_that_has_a_pin_never_writes_its_keys_in_the_open(kit: Path) -> None:
    keyring = KitKeyring(kit, "kit-1")
    assert not (kit / FILE).exists()
    first = keyring.own
    make_request(kit, road_passphrase(own_keys.held_key(kit)))
    assert b"ENCRYPTED" in (kit / KEY).read_bytes()
    renew_keys(kit, "kit-1", NOW_MS)
    assert keyring.own.newest.number == 2, "another process renewed them"
    assert keyring.own.pairs[0] == first.newest
    assert keyring.own.emergency == first.emergency
    assert not (kit / FILE).exists()
    assert set_up_keys(kit, "kit-1", NOW_MS) == read_card(card_of(keyring.own).data), "set up again, it keeps them"


def test_a_locked_kit_has_its_emergency_side_and_nothing_else(kit: Path) -> None:
    own = KitKeyring(kit, "kit-1").own
    forget(kit)
    for work in (
        lambda: KitKeyring(kit, "kit-1"),
        lambda: renew_keys(kit, "kit-1", NOW_MS),
        lambda: set_up_keys(kit, "kit-1", NOW_MS),
    ):
        with pytest.raises(StorageError, match="vault-locked"):
            work()
    side = EmergencyKeyring(kit)
    assert own.emergency is not None
    assert side.own == OwnKeys("kit-1~em", (own.emergency.pair,))
    (pair,) = side.own.pairs
    assert pair.sign_secret != own.newest.sign_secret
    assert pair.seal_secret not in (pair.sign_secret, own.newest.seal_secret)
    assert not side.pin(card_of(make_keys("hub", 2)))
    # A card shows both of its halves; one of an older version shows one, and is read as before.
    shown = card_of(own)
    assert (shown.emergency, shown.emergency_seal) == (pair.public.sign, pair.public.seal)
    assert card_of(replace(own, emergency=None)).emergency_seal is None


def test_after_a_lost_vault_the_technician_makes_new_keys_and_nothing_is_deleted(kit: Path) -> None:
    """A new PIN has a new key of the store: what lay behind the old one never opens again, and is not in the way."""
    save_settings(kit, SETTINGS)
    ask_for_certificates(kit, SETTINGS, NOW_MS)
    before, road = set_up_keys(kit, "kit-1", NOW_MS), (kit / KEY).read_bytes()
    emergency = (kit / "emergency.key").read_bytes()
    for name in ("vault.json", "vault.backup.json"):
        (kit / name).unlink()
    hold(kit, create(kit, "kit-1", "5273 8041 9962 1408", cost=CHEAP))
    with pytest.raises(StorageError, match="keys-unreadable"):
        KitKeyring(kit, "kit-1")
    after = set_up_keys(kit, "kit-1", NOW_MS + 1)
    assert after.newest != before.newest
    assert KitKeyring(kit, "kit-1").own.newest.public == after.newest
    mailbox, _ = ask_for_certificates(kit, SETTINGS, NOW_MS + 1)
    assert load_key(kit / KEY, road_passphrase(own_keys.held_key(kit)))
    assert (kit / f"{KEY}.lost-{NOW_MS + 1}").read_bytes() == road
    assert (kit / f"{own_keys.SEALED}.lost-{NOW_MS + 1}").exists()
    assert (kit / "emergency.key").read_bytes() == emergency
    assert ask_for_certificates(kit, SETTINGS, NOW_MS + 2)[0] == mailbox, "renewing keeps the name"


def test_a_new_owner_of_the_folder_gets_new_keys(kit: Path) -> None:
    before = KitKeyring(kit, "kit-1").own
    assert set_up_keys(kit, "kit-2", NOW_MS).newest != before.newest.public
    assert load_emergency(kit).name == "kit-2"  # type: ignore[union-attr]
    with pytest.raises(InputError, match="keys-missing"):
        KitKeyring(kit, "kit-1")


def test_what_was_sealed_is_read_back_before_anything_goes(old_kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = own_keys.write_whole

    def lying(place: Path, data: bytes) -> None:
        real(place, data[:-1] if place.name == own_keys.SEALED else data)

    monkeypatch.setattr(own_keys, "write_whole", lying)
    own = load_keys(old_kit)
    with pytest.raises(StorageError, match="keys-un"):
        move_inside(old_kit, STORE_KEY, KEY, NOW_MS)
    assert load_keys(old_kit) == own
    with pytest.raises(StorageError, match="keys-un"):
        save_own(old_kit, own, STORE_KEY)  # type: ignore[arg-type]
