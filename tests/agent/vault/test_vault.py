"""The PIN opens, nothing else does; wrong ones are counted; a restart locks; the hub can help."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from bedside import CHEAP, PASSPHRASE

from tests.agent.vault.conftest import start_tpm
from zhenbao.agent.store import KitStore
from zhenbao.agent.vault import file, rules, tries, unlocked
from zhenbao.agent.vault.recover import finish_request, make_request
from zhenbao.agent.vault.vault import change_pin, create, reset_pin, set_recovery, unlock
from zhenbao.model.errors import InputError, StorageError
from zhenbao.sync import recovery

OTHER = "8230 1175 4496 3027"


def make(home: Path, **more: Any) -> bytes:
    return create(home, "kit-1", PASSPHRASE, cost=CHEAP, **more)


def restart() -> None:
    """What a power cut does to memory."""
    for left in memory().iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def memory() -> Path:
    """The folder in memory of this test alone."""
    folder = unlocked.runtime_folder()
    assert folder.is_relative_to(os.environ["XDG_RUNTIME_DIR"])
    return folder


def opened(home: Path, clock: Any) -> int:
    with KitStore.open(home, kit_id="kit-1", clock=clock, ballast_bytes=1 << 16) as store:
        return len(store.patients())


def test_nothing_opens_before_the_pin_and_again_nothing_after_a_restart(home: Path, clock: Any) -> None:
    with pytest.raises(StorageError, match="vault-missing"):
        opened(home, clock)
    key = make(home)
    with pytest.raises(StorageError, match="vault-locked"):
        opened(home, clock)
    assert unlock(home, PASSPHRASE, clock) == key
    assert opened(home, clock) == 0
    restart()
    with pytest.raises(StorageError, match="vault-locked"):
        opened(home, clock)
    unlock(home, "５２７３８０４１９９６２１４０８", clock)  # the same digits, full-width, without spaces
    assert opened(home, clock) == 0
    unlocked.forget(home)
    with pytest.raises(StorageError, match="vault-locked"):
        opened(home, clock)


def test_the_key_lies_in_memory_only_and_only_its_owner_reads_it(home: Path, clock: Any) -> None:
    key = make(home)
    unlock(home, PASSPHRASE, clock)
    (held,) = memory().glob("*.key")
    assert held.stat().st_mode & 0o777 == 0o600
    assert held.parent.stat().st_mode & 0o777 == 0o700
    for place in home.iterdir():
        assert key not in place.read_bytes()
        assert key.hex() not in place.read_text(errors="replace")


def test_a_folder_on_a_disk_is_refused(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if unlocked._in_memory(tmp_path):
        pytest.skip("the tests' own folder lies in memory")
    key = make(home)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert tmp_path not in [folder.parent for folder in unlocked._folders()]
    monkeypatch.setattr(unlocked, "_in_memory", lambda place: False)
    with pytest.raises(StorageError, match="vault-no-memory"):
        unlocked.hold(home, key)


def test_a_kit_locks_itself_when_nobody_uses_it(home: Path, clock: Any) -> None:
    make(home)
    unlock(home, PASSPHRASE, clock, idle_s=60)
    (held,) = memory().glob("*.key")

    def used(seconds_ago: float) -> None:
        moment = os.stat(held).st_mtime - seconds_ago
        os.utime(held, (moment, moment))

    used(50)
    unlocked.unlocked_key(home)  # counts as use
    used(50)
    unlocked.unlocked_key(home, counts_as_use=False)  # the service's does not
    used(20)
    with pytest.raises(StorageError, match="vault-locked"):
        unlocked.unlocked_key(home)
    assert not held.exists()


def test_wrong_pins_are_counted_over_restarts_and_wait_longer_and_longer(home: Path, clock: Any) -> None:
    make(home)
    waits = []
    for _ in range(12):
        with pytest.raises(InputError) as refused:
            unlock(home, OTHER, clock)
        if refused.value.code == "pin-wait":
            waits.append(refused.value.facts["seconds"])
            restart()
            with pytest.raises(InputError, match="pin-wait"):
                unlock(home, PASSPHRASE, clock)  # the right one waits as well, or it would be told apart
            clock.sleep(waits[-1])
        else:
            assert refused.value.code == "pin-wrong"
    assert waits == [30, 60, 300, 900]
    assert tries.wrong_tries(home) == 8
    clock.sleep(3600)
    unlock(home, PASSPHRASE, clock)
    assert tries.wrong_tries(home) == 0


def test_a_clock_that_went_back_years_costs_a_wait_and_no_more(home: Path, clock: Any) -> None:
    make(home)
    for _ in range(5):
        with pytest.raises(InputError, match="pin-wrong"):
            unlock(home, OTHER, clock)
    clock.sleep(-5 * 365 * 86400)
    with pytest.raises(InputError, match="pin-wait"):
        unlock(home, PASSPHRASE, clock)
    clock.sleep(31)
    unlock(home, PASSPHRASE, clock)


def test_a_pin_is_changed_and_the_old_one_opens_no_more(home: Path, clock: Any) -> None:
    key = make(home)
    with pytest.raises(InputError, match="pin-wrong"):
        change_pin(home, OTHER, OTHER, clock)
    change_pin(home, PASSPHRASE, OTHER, clock)
    with pytest.raises(InputError, match="pin-wrong"):
        unlock(home, PASSPHRASE, clock)
    assert unlock(home, OTHER, clock) == key
    # Neither copy has the old slot: the second would be tried when the first is damaged.
    (home / file.FILE).write_bytes(b"")
    with pytest.raises(InputError, match="pin-wrong"):
        unlock(home, PASSPHRASE, clock)


@pytest.mark.parametrize("damage", [b"", b"{", b'{"sha256":"00","vault":{}}', bytes(400), "flip"])
@pytest.mark.parametrize("which", [file.FILE, file.BACKUP])
def test_one_damaged_copy_of_the_vault_is_made_good_and_two_are_said(
    home: Path, clock: Any, damage: Any, which: str
) -> None:
    key = make(home)
    content = bytearray((home / which).read_bytes())
    place = content.index(b'"sealed":"') + 12
    content[place] = content[place] ^ 1 if content[place] ^ 1 != ord('"') else ord("A")
    broken = bytes(content) if damage == "flip" else damage
    (home / which).write_bytes(broken)
    assert unlock(home, PASSPHRASE, clock) == key
    assert (home / file.FILE).read_bytes() == (home / file.BACKUP).read_bytes() != broken
    for name in (file.FILE, file.BACKUP):
        (home / name).write_bytes(broken)
    with pytest.raises(StorageError, match="vault-damaged"):
        unlock(home, PASSPHRASE, clock)
    with pytest.raises(InputError, match="vault-exists"):
        make(home)  # nothing is overwritten that might still be read


def test_no_new_pin_over_records_whose_vault_is_gone(home: Path, clock: Any) -> None:
    make(home)
    unlock(home, PASSPHRASE, clock)
    opened(home, clock)
    for name in (file.FILE, file.BACKUP):
        (home / name).unlink()
    with pytest.raises(StorageError, match="vault-lost"):
        make(home)


def test_a_slot_moved_to_another_vault_does_not_open(home: Path, tmp_path: Path, clock: Any) -> None:
    make(home)
    make(tmp_path / "other")
    mine, other = file.load(home), file.load(tmp_path / "other")
    import msgspec

    file.save(home, msgspec.structs.replace(mine, pin=other.pin))
    with pytest.raises(InputError, match="pin-wrong"):
        unlock(home, PASSPHRASE, clock)


@pytest.mark.parametrize(
    ("pin", "tpm", "code"),
    [
        ("482915", True, None),
        ("48291", True, "pin-short"),
        ("123456", True, "pin-simple"),
        ("111111", True, "pin-simple"),
        ("121212", True, "pin-simple"),
        ("482915", False, "pin-short-no-tpm"),
        ("482915 306174 28", False, "pin-short-no-tpm"),
        ("4829 1530 6174 2849", False, None),
        ("correct horse", False, None),
        ("short horse", False, "pin-short-no-tpm"),
    ],
)
def test_what_may_be_a_pin(pin: str, tpm: bool, code: str | None) -> None:
    if code is None:
        rules.check_pin(pin, tpm=tpm)
        return
    with pytest.raises(InputError) as refused:
        rules.check_pin(pin, tpm=tpm)
    assert refused.value.code == code


def test_the_suggested_passphrase_may_be_one() -> None:
    suggested = {rules.suggestion() for _ in range(20)}
    assert len(suggested) == 20
    for one in suggested:
        rules.check_pin(one, tpm=False)


def test_a_disk_without_a_byte_left_locks_nobody_out(tmp_path: Path, clock: Any) -> None:
    """The kit's reserve is given up for the count of tries: what is critical must still be kept."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        home = disk / "kit"
        key = make(home)
        with KitStore.open(home, kit_id="kit-1", clock=clock, key=key, ballast_bytes=1 << 20) as store:
            assert {notice.code for notice in store.notices} <= {"store-filling"}
        with contextlib.suppress(OSError), (disk / "photographs").open("wb", buffering=0) as other:
            while other.write(bytes(4096)):
                pass
        with pytest.raises(InputError, match="pin-wrong"):
            unlock(home, OTHER, clock)
        assert tries.wrong_tries(home) == 1
        assert unlock(home, PASSPHRASE, clock) == key
        assert file.load(home).kit_id == "kit-1"
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


# The hub


@dataclass
class HubKey:
    private: Any
    public: bytes


@pytest.fixture
def hub_key() -> HubKey:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    private = X25519PrivateKey.generate()
    return HubKey(private, private.public_key().public_bytes_raw())


def test_the_hub_helps_with_a_forgotten_pin(home: Path, clock: Any, hub_key: HubKey) -> None:
    key = make(home, hub_key=hub_key.public)
    request = make_request(home)
    assert key.hex() not in request
    answer = recovery.to_text(recovery.answer(recovery.request_from(request), hub_key.private))
    for broken in (answer[:-8], answer.replace("answer:", "request:"), "", request):
        with pytest.raises(InputError, match="recovery-text"):
            finish_request(home, broken, OTHER)
    finish_request(home, answer, OTHER)
    assert unlock(home, OTHER, clock) == key
    with pytest.raises(InputError, match="pin-wrong"):
        unlock(home, PASSPHRASE, clock)
    with pytest.raises(InputError, match="recovery-restarted"):
        finish_request(home, answer, PASSPHRASE)  # an answer serves once


def test_an_answer_opens_one_kit_for_one_request(home: Path, tmp_path: Path, hub_key: HubKey) -> None:
    make(home, hub_key=hub_key.public)
    make(tmp_path / "other", hub_key=hub_key.public)
    first = recovery.answer(recovery.request_from(make_request(home)), hub_key.private)
    request = make_request(home)
    with pytest.raises(InputError, match="recovery-answer"):
        finish_request(home, recovery.to_text(first), OTHER)
    make_request(tmp_path / "other")
    with pytest.raises(InputError, match="recovery-answer"):
        finish_request(tmp_path / "other", recovery.to_text(first), OTHER)
    # A slot that is given out as another kit's does not open at the hub.
    moved = json.loads(json.dumps({"kit_id": "kit-2"}))
    import msgspec

    lying = msgspec.structs.replace(recovery.request_from(request), **moved)
    with pytest.raises(InputError, match="recovery-slot"):
        recovery.answer(lying, hub_key.private)
    restart()
    answer = recovery.answer(recovery.request_from(request), hub_key.private)
    with pytest.raises(InputError, match="recovery-restarted"):
        finish_request(home, recovery.to_text(answer), OTHER)


def test_a_recovery_key_may_come_later(home: Path, hub_key: HubKey) -> None:
    key = make(home)
    with pytest.raises(InputError, match="recovery-none"):
        make_request(home)
    set_recovery(home, key, hub_key.public)
    answer = recovery.answer(recovery.request_from(make_request(home)), hub_key.private)
    finish_request(home, recovery.to_text(answer), OTHER)


def test_a_key_of_another_store_sets_no_pin(home: Path, clock: Any) -> None:
    make(home)
    unlock(home, PASSPHRASE, clock)
    opened(home, clock)
    with pytest.raises(InputError, match="recovery-answer"):
        reset_pin(home, bytes(32), OTHER)


# The TPM


@pytest.mark.slow
def test_with_a_tpm_a_copied_disk_does_not_open_even_with_the_pin(
    home: Path, clock: Any, software_tpm: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = create(home, "kit-1", "482915", cost=CHEAP)
    assert file.load(home).pin.tpm is not None
    assert unlock(home, "482915", clock) == key
    with pytest.raises(InputError, match="pin-wrong"):
        unlock(home, "482916", clock)
    assert unlock(home, "482915", clock) == key
    # The same folder beside another chip.
    (tmp_path / "thief").mkdir()
    chip = start_tpm(tmp_path / "thief", monkeypatch)
    try:
        with pytest.raises(StorageError, match="vault-tpm"):
            unlock(home, "482915", clock)
    finally:
        chip.terminate()
        chip.wait(10)
    # And without any.
    monkeypatch.setenv("TPM2TOOLS_TCTI", "swtpm:host=127.0.0.1,port=1")
    with pytest.raises(StorageError, match="vault-tpm"):
        unlock(home, "482915", clock)


@pytest.mark.slow
def test_the_chip_itself_stops_answering_a_thief_who_does_not_count(home: Path, clock: Any, software_tpm: Path) -> None:
    """Without the kit's own count, as somebody would try who took tablet and all."""
    create(home, "kit-1", "482915", cost=CHEAP)
    codes = []
    for n in range(40):
        (home / tries.FILE).unlink(missing_ok=True)
        with pytest.raises(InputError) as refused:
            unlock(home, f"{700000 + n}", clock)
        codes.append(refused.value.code)
        if codes[-1] == "pin-tpm-lockout":
            break
    assert codes[-1] == "pin-tpm-lockout"
    assert codes[:3] == ["pin-wrong"] * 3
    (home / tries.FILE).unlink(missing_ok=True)
    with pytest.raises(InputError, match="pin-tpm-lockout"):
        unlock(home, "482915", clock)  # not even the right one, for a while


@pytest.mark.slow
def test_recovery_replaces_a_chip_that_is_gone(
    home: Path, clock: Any, hub_key: HubKey, software_tpm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = create(home, "kit-1", "482915", cost=CHEAP, hub_key=hub_key.public)
    monkeypatch.delenv("TPM2TOOLS_TCTI")
    if os.path.exists("/dev/tpmrm0"):
        pytest.skip("this machine has a TPM of its own")
    answer = recovery.answer(recovery.request_from(make_request(home)), hub_key.private)
    with pytest.raises(InputError, match="pin-short-no-tpm"):
        finish_request(home, recovery.to_text(answer), "482915")
    finish_request(home, recovery.to_text(answer), PASSPHRASE)
    assert unlock(home, PASSPHRASE, clock) == key


def test_the_figures_of_the_page_on_stolen_tablets_follow_from_the_cost() -> None:
    """Argon2id moves its memory at least (3t - 1) times; a card's bandwidth divided by that is its tries a second."""
    page = (Path(__file__).resolve().parents[3] / "docs" / "stolen-tablet.md").read_text(encoding="utf-8")
    cost = rules.cost()
    tries_a_second = 960e9 / (1024 * cost.memory_kib * (3 * cost.iterations - 1))
    assert round(tries_a_second, -2) == 1800
    assert "1800" in page
    year_s = 365.25 * 86400
    for digits, told, unit_s in ((4, "6 秒", 1), (6, "9 分钟", 60), (8, "15 小时", 3600), (12, "18 年", year_s)):
        assert round(10**digits / 1800 / unit_s) == int(told.split()[0])
        assert f"{digits} 位" in page
        assert told in page
    assert round(10**16 / 1800 / year_s, -3) == 176_000
    assert [told for told in ("17.6 万年", "176 年", "176,000 years", "176 years") if told not in page] == []
    least = rules.rules()["without_tpm"]
    assert f"至少 {least['least_digits']} 位随机数字" in page
    assert f"至少 {least['least_characters']} 个字符" in page
