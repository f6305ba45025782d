"""The operator's commands about keys: who was heard, what ends soon, new keys, and one command that ends a lost kit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.hub.conftest import HandClock
from zhenbao.agent.keys import KitKeyring, pin_hub, set_up_keys
from zhenbao.agent.roads import certificate_troubles
from zhenbao.agent.settings import KitSettings
from zhenbao.hub.ca import init_ca, issue_server, sign_kit
from zhenbao.hub.certificates import ending
from zhenbao.hub.cli import app
from zhenbao.hub.issued import IssuedBook
from zhenbao.hub.presence import heard, keep
from zhenbao.hub.store import HubStore
from zhenbao.model.time import SystemClock
from zhenbao.sync.keys import card_of, make_keys
from zhenbao.sync.links.identity import make_request, requests_in
from zhenbao.sync.links.several_hub import Presence
from zhenbao.sync.links.tls import warn_ms

DAY_MS = 86_400_000
NOW_MS = SystemClock().now_ms()


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    return tmp_path / "hub"


def run(hub: Path, *arguments: str, refused: str = "") -> str:
    result = CliRunner().invoke(app, [*arguments, "--dir", str(hub)])
    assert getattr(result.exception, "code", "") == refused or not refused, result.output
    assert bool(result.exception) == bool(refused), result.output + repr(result.exception)
    return result.output


def enrolled(hub: Path, home: Path, kit_id: str, days: int) -> None:
    """A kit's folder with both certificates, valid for some days from now."""
    home.mkdir()
    _, request = make_request(home)
    for one, file in zip(requests_in(request.read_bytes()), ("road.pem", "emergency.pem"), strict=True):
        (home / file).write_bytes(sign_kit(hub / "ca", one, kit_id, NOW_MS, days))


def test_certificates_are_told_of_a_month_before_they_end_and_not_earlier(hub: Path, tmp_path: Path) -> None:
    hub.mkdir()
    init_ca(hub / "ca", "演示县", NOW_MS)
    issue_server(hub / "ca", ["localhost"], NOW_MS)
    assert ending(tmp_path / "nowhere", NOW_MS) == [], "a hub without a CA has nothing to renew"
    enrolled(hub, tmp_path / "soon", "kit-0001", days=20)
    enrolled(hub, tmp_path / "later", "kit-0002", days=31)
    assert warn_ms() == 30 * DAY_MS
    assert [each.whose for each in ending(hub / "ca", NOW_MS)] == ["kit-0001", "kit-0001~em"]
    for command in (("ca", "list"), ("kit", "list")):
        said = run(hub, *command)
        assert said.count("再过 19 天") == 2
        assert "kit-0002 的证书" not in said
    # The kit says it by itself.
    settings = KitSettings("kit-0001", hub_tls=True)
    (first, second) = certificate_troubles(tmp_path / "soon", settings, NOW_MS)
    assert (first.code, second.code, first.facts["days"]) == ("tls-own-ending", "tls-own-ending", 19)
    assert certificate_troubles(tmp_path / "later", settings, NOW_MS) == []
    assert certificate_troubles(tmp_path / "soon", KitSettings("kit-0001"), NOW_MS) == [], "no road needs it"
    over = certificate_troubles(tmp_path / "soon", settings, NOW_MS + 21 * DAY_MS)
    assert [trouble.code for trouble in over] == ["tls-own-expired"] * 2
    # The hub's own are told of, too; a renewal ends the matter.
    near = NOW_MS + 810 * DAY_MS
    assert {each.whose for each in ending(hub / "ca", near)} >= {"server.pem", "hub.pem"}
    issue_server(hub / "ca", ["localhost"], near)
    assert {each.whose for each in ending(hub / "ca", near)} == {
        f"kit-000{n}{side}" for n in "12" for side in ("", "~em")
    }


def test_the_register_shows_who_was_heard_by_which_road_over_restarts(hub: Path, tmp_path: Path) -> None:
    card = tmp_path / "kit.card"
    card.write_text(set_up_keys(tmp_path / "kit", "kit-0001", 1).text)
    run(hub, "kit", "add", str(card))
    assert "最近一次消息" not in run(hub, "kit", "list")
    clock = HandClock(NOW_MS)
    store = HubStore(f"sqlite:///{hub}/hub.db", clock)
    now_s = clock.monotonic_s()
    keep(store, [Presence("kit-0001", "mqtt", now_s - 60, True), Presence("kit-0001~em", "https", now_s - 5, False)])
    keep(store, [])
    assert {name: seen.heard_ms for name, seen in heard(store).items()} == {
        "kit-0001": NOW_MS - 60_000,
        "kit-0001~em": NOW_MS - 5_000,
    }
    keep(store, [Presence("kit-0001", "https", now_s, True)])
    store.close()
    said = run(hub, "kit", "list")
    assert "网页线路，线路仍在" in said
    assert "锁定时的应急消息" in said
    assert "线路已断" in said


def test_one_command_ends_a_lost_kit_its_keys_its_certificates_and_its_emergency_side(
    hub: Path, tmp_path: Path
) -> None:
    hub.mkdir()
    init_ca(hub / "ca", "演示县", NOW_MS)
    home = tmp_path / "kit"
    enrolled(hub, home, "kit-0001", days=1000)
    card = tmp_path / "kit.card"
    card.write_text(set_up_keys(home, "kit-0001", 1).text)
    run(hub, "kit", "add", str(card))
    book = IssuedBook(hub / "ca")
    names = [book.mailbox_of(name) for name in ("kit-0001", "kit-0001~em")]
    assert all(names) and len(set(names)) == 2
    assert "2 张证书" in run(hub, "kit", "revoke", "kit-0001")
    assert [book.key_of(name) for name in names if name] == [None, None]
    store = HubStore(f"sqlite:///{hub}/hub.db", HandClock(NOW_MS))
    from zhenbao.hub.keys import HubKeyring

    keyring = HubKeyring(store, hub)
    assert [keyring.peer(name).revoked for name in ("kit-0001", "kit-0001~em")] == [True, True]  # type: ignore[union-attr]
    own = key_ids_of(home)
    for key_id in own:
        signer = keyring.signer(key_id)
        assert signer is not None and signer.peer.revoked
    store.close()
    assert "已停用诊包" in run(hub, "kit", "revoke", "kit-0001"), "once more does no harm"


def key_ids_of(home: Path) -> list[bytes]:
    pin_hub(home, card_of(make_keys("hub", 1)).text)
    own = KitKeyring(home, "kit-0001").own
    assert own.emergency is not None
    return [own.newest.public.sign_id, own.emergency.pair.public.sign_id]


def test_renewing_says_what_it_means_and_refuses_to_leave_kits_behind(hub: Path, tmp_path: Path) -> None:
    card = tmp_path / "kit.card"
    card.write_text(set_up_keys(tmp_path / "kit", "kit-0001", 1).text)
    run(hub, "kit", "add", str(card))
    assert "180 天" in run(hub, "renew-keys")
    assert "还没有收到枢纽的新密钥" in run(hub, "kit", "list")
    run(hub, "renew-keys", refused="hub-keys-pending")
    run(hub, "renew-keys", "--anyway")
    assert run(hub, "audit").count("更换枢纽密钥") == 2


def test_an_old_kits_card_is_told_in_the_register(hub: Path, tmp_path: Path) -> None:
    own = make_keys("kit-0001", 1)
    card = tmp_path / "kit.card"
    card.write_text(card_of(replace(own, emergency=None)).text)
    run(hub, "kit", "add", str(card))
    assert "应急密钥" in run(hub, "kit", "list")


def test_the_technician_pins_a_new_card_of_the_hub_by_hand(hub: Path, tmp_path: Path) -> None:
    from zhenbao.technician.cli import app as technician

    set_up_keys(tmp_path / "kit", "kit-0001", 1)
    card = tmp_path / "hub.text"
    card.write_text(run(hub, "kit", "card").split()[0])
    done: Any = CliRunner().invoke(technician, ["pin-hub", str(card)], env={"ZHENBAO_HOME": str(tmp_path / "kit")})
    assert done.exit_code == 0, done.output
    assert "已登记枢纽名片" in done.output
    assert KitKeyring(tmp_path / "kit", "kit-0001").hub.card.text == card.read_text()
