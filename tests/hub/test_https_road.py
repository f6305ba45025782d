"""The HTTPS road: the real web server, the real client, and strangers who want another kit's mail."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cbor2
import httpx
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI

from tests.hub.conftest import HandClock
from zhenbao.hub.web import sync_endpoint
from zhenbao.hub.web.sync_guard import BURST, CLOCK_S, SyncGuard
from zhenbao.model.errors import InputError, LinkDown, Rejected
from zhenbao.model.time import SystemClock
from zhenbao.sync.links.http_wire import DOWN_PATH, EMERGENCY_PATH, MOST_BYTES, RECEIPT_PATH, UP_PATH, unpack_mail
from zhenbao.sync.links.https import HttpsLink
from zhenbao.sync.links.mailboxes import AWAY_S, BOX_PACKETS, MailboxLink
from zhenbao.sync.links.signed_request import Request, Signed, sign
from zhenbao.sync.names import AddressBook, OpenBook, emergency_side


@dataclass
class Server:
    """A hub's sync endpoint on a free port of this machine; stops and starts again on it."""

    link: MailboxLink
    keys: dict[str, Ed25519PrivateKey] = field(default_factory=dict)
    clock: Any = field(default_factory=SystemClock)
    port: int = 0
    got: list[tuple[str, bytes]] = field(default_factory=list)
    book: AddressBook = field(default_factory=OpenBook)
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=20, trust_env=False))

    def __post_init__(self) -> None:
        self.keys |= {name: Ed25519PrivateKey.generate() for name in ("kit-1", "kit-2")}
        self.link.on_message = lambda sender, data: self.got.append((sender, data))

    def key_of(self, name: str) -> bytes | None:
        key = self.keys.get(name)
        return key.public_key().public_bytes_raw() if key is not None else None

    def start(self) -> None:
        app = FastAPI()
        app.state.sync = sync_endpoint.SyncRoad(self.link, SyncGuard(self.key_of, self.clock), self.book, self.clock)
        app.include_router(sync_endpoint.router)
        self._socket = socket.create_server(("127.0.0.1", self.port))
        self.port = self._socket.getsockname()[1]
        self._server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1)
        )
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})
        self._thread.start()
        self.link.start()

    def stop(self) -> None:
        self.link.stop()
        self._server.should_exit = True
        self._thread.join(20)
        self._socket.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kit(self, name: str = "kit-1") -> HttpsLink:
        return HttpsLink(self.url, name, self.keys[name].sign, first_wait_s=0.05, last_wait_s=0.3)

    def ask(
        self,
        method: str,
        path: str,
        query: str = "",
        body: bytes = b"",
        *,
        name: str = "kit-1",
        signer: str = "",
        off_s: int = 0,
        nonce: str = "",
    ) -> httpx.Response:
        """One request made by hand."""
        signed = Signed(name, self.clock.now_ms() // 1000 + off_s, nonce or f"{time.monotonic_ns():022d}")
        headers = sign(Request(method, path, query, body), self.keys[signer or name].sign, signed)
        return self.client.request(method, f"{self.url}{path}?{query}", content=body, headers=headers)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(MailboxLink())
    made.start()
    yield made
    made.stop()


def until(happened: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.01)


@pytest.fixture
def kits(server: Server) -> Iterator[Callable[..., tuple[HttpsLink, list[bytes]]]]:
    made: list[HttpsLink] = []

    def make(name: str = "kit-1") -> tuple[HttpsLink, list[bytes]]:
        link, got = server.kit(name), []
        link.on_message = lambda _sender, data: got.append(data)
        link.start()
        made.append(link)
        until(lambda: link.connected)
        return link, got

    yield make
    for link in made:
        link.stop()


def test_both_ways_and_only_to_whom_it_is_meant(server: Server, kits: Any) -> None:
    (one, at_one), (two, at_two) = kits("kit-1"), kits("kit-2")
    large = bytes(range(256)) * 1600
    one.send("hub", b"from one")
    one.send("hub", large)
    two.send("hub", b"from two")
    server.link.send("kit-1", b"to one")
    server.link.send("kit-2", large)
    until(lambda: len(server.got) == 3 and len(at_one) == 1 and len(at_two) == 1)
    assert sorted(server.got) == sorted([("kit-1", b"from one"), ("kit-1", large), ("kit-2", b"from two")])
    assert (at_one, at_two) == ([b"to one"], [large])
    until(lambda: one.backlog_bytes == two.backlog_bytes == 0)


def test_mail_that_comes_while_the_kit_waits_is_there_at_once(server: Server, kits: Any) -> None:
    _, got = kits()
    began = time.monotonic()
    for n in range(5):
        server.link.send("kit-1", b"%d" % n)
        until(lambda n=n: len(got) == n + 1)
    assert time.monotonic() - began < 2.0
    assert got == [b"0", b"1", b"2", b"3", b"4"]


def test_fetching_takes_nothing_away_until_the_kit_asks_for_what_comes_next(server: Server) -> None:
    first = unpack_mail(server.ask("GET", DOWN_PATH, "after=0&epoch=&wait=0").content)
    assert first.packets == []
    server.link.send("kit-1", b"a")
    server.link.send("kit-1", b"b")
    lost = unpack_mail(server.ask("GET", DOWN_PATH, f"after=0&epoch={first.epoch}&wait=0").content)
    again = unpack_mail(server.ask("GET", DOWN_PATH, f"after=0&epoch={first.epoch}&wait=0").content)
    assert lost == again
    assert again.packets == [b"a", b"b"]
    server.link.send("kit-1", b"c")
    rest = unpack_mail(server.ask("GET", DOWN_PATH, f"after={again.last}&epoch={first.epoch}&wait=0").content)
    assert rest.packets == [b"c"]
    # A number from before the hub's restart means nothing to the new one.
    other = unpack_mail(server.ask("GET", DOWN_PATH, "after=999&epoch=of-another-start&wait=0").content)
    assert other.packets == [b"c"]


def test_a_long_mailbox_comes_in_several_answers(server: Server, kits: Any) -> None:
    _, got = kits()
    packets = [bytes([n]) * 8000 for n in range(60)]
    for packet in packets:
        server.link.send("kit-1", packet)
    until(lambda: len(got) == 60)
    assert got == packets


def test_a_full_mailbox_takes_no_more_and_one_of_nobody_nothing(server: Server) -> None:
    server.link.send("kit-2", b"for nobody")
    assert unpack_mail(server.ask("GET", DOWN_PATH, "wait=0", name="kit-2").content).packets == []
    server.ask("GET", DOWN_PATH, "wait=0")
    for n in range(BOX_PACKETS + 20):
        server.link.send("kit-1", b"%d" % n)
    seen: list[bytes] = []
    mail = unpack_mail(server.ask("GET", DOWN_PATH, "wait=0").content)
    while mail.packets:
        seen += mail.packets
        mail = unpack_mail(server.ask("GET", DOWN_PATH, f"after={mail.last}&epoch={mail.epoch}&wait=0").content)
    assert seen == [b"%d" % n for n in range(BOX_PACKETS)]
    with pytest.raises(Rejected, match="link-too-large"):
        server.link.send("kit-1", bytes(MOST_BYTES + 1))


def test_nobody_fetches_or_fills_another_kits_mailbox(server: Server) -> None:
    server.ask("GET", DOWN_PATH, "wait=0", name="kit-2")
    server.link.send("kit-2", b"secret")
    for method, path in (("GET", DOWN_PATH), ("POST", UP_PATH)):
        body = cbor2.dumps([b"forged"]) if method == "POST" else b""
        forged = server.ask(method, path, "wait=0", body, name="kit-2", signer="kit-1")
        assert (forged.status_code, forged.headers["zhenbao-refused"], forged.content) == (401, "sync-signature", b"")
        plain = httpx.request(method, f"{server.url}{path}", content=body)
        assert (plain.status_code, plain.headers["zhenbao-refused"]) == (401, "sync-unsigned")
    assert server.got == []
    assert unpack_mail(server.ask("GET", DOWN_PATH, "wait=0", name="kit-2").content).packets == [b"secret"]


SPARE = "e-0123456789abcdef"


class WithEmergencySide(OpenBook):
    """As the CA's list has it: the emergency side of kit-1 has a random name of its own."""

    def kit_of(self, mailbox: str) -> str | None:
        return emergency_side("kit-1") if mailbox == SPARE else super().kit_of(mailbox)


def test_a_locked_kits_key_posts_emergencies_fetches_their_receipts_and_does_nothing_else(server: Server) -> None:
    server.keys[SPARE] = Ed25519PrivateKey.generate()
    server.stop()
    server.book = WithEmergencySide()
    server.start()
    link = HttpsLink(server.url, SPARE, server.keys[SPARE].sign, emergency=True, first_wait_s=0.05, last_wait_s=0.3)
    got: list[bytes] = []
    link.on_message = lambda _sender, data: got.append(data)
    link.start()
    try:
        until(lambda: link.connected)
        kit, _ = server.ask("GET", DOWN_PATH), server.got.clear()  # the kit itself has asked: it has a mailbox
        assert kit.status_code == 200
        server.link.send("kit-1", b"a report")
        link.send("hub", b"an emergency", urgent=True)
        until(lambda: server.got == [("kit-1~em", b"an emergency")])
        server.link.send("kit-1~em", b"a receipt")
        until(lambda: got == [b"a receipt"])
        body = cbor2.dumps([b"anything"])
        refused = [
            server.ask("GET", DOWN_PATH, "epoch=&after=0&wait=0", name=SPARE),
            server.ask("POST", UP_PATH, body=body, name=SPARE),
            # And the kit's own key does not bring emergencies past its PIN's side.
            server.ask("POST", EMERGENCY_PATH, body=body),
            server.ask("GET", RECEIPT_PATH),
        ]
        assert {(r.status_code, r.headers["zhenbao-refused"]) for r in refused} == {(403, "sync-emergency-only")}
        # Under the kit's name its signature is none.
        posing = server.ask("GET", DOWN_PATH, name="kit-1", signer=SPARE)
        assert (posing.status_code, posing.headers["zhenbao-refused"]) == (401, "sync-signature")
        assert server.got == [("kit-1~em", b"an emergency")]
        (report,) = unpack_mail(server.ask("GET", DOWN_PATH, "epoch=&after=0&wait=0").content).packets
        assert (report, got) == (b"a report", [b"a receipt"])
    finally:
        link.stop()


def test_a_kit_whose_key_is_withdrawn_is_a_stranger_at_once(server: Server) -> None:
    key = server.keys["kit-1"]
    assert server.ask("GET", DOWN_PATH, "wait=0").status_code == 200
    server.keys["kit-2"], other = key, server.keys.pop("kit-1")
    assert other is key
    refused = server.ask("GET", DOWN_PATH, "wait=0", name="kit-1", signer="kit-2")
    assert (refused.status_code, refused.headers["zhenbao-refused"]) == (401, "sync-stranger")


def test_a_request_counts_once_and_only_near_its_time(server: Server) -> None:
    assert server.ask("GET", DOWN_PATH, "wait=0", nonce="n" * 22).status_code == 200
    again = server.ask("GET", DOWN_PATH, "wait=0", nonce="n" * 22)
    assert (again.status_code, again.headers["zhenbao-refused"]) == (401, "sync-replayed")
    for off_s in (-CLOCK_S - 5, CLOCK_S + 5):
        late = server.ask("GET", DOWN_PATH, "wait=0", off_s=off_s)
        assert (late.status_code, late.headers["zhenbao-refused"]) == (401, "sync-clock")
    assert server.ask("GET", DOWN_PATH, "wait=0", off_s=CLOCK_S - 60).status_code == 200


def test_a_nonce_is_remembered_as_long_as_its_request_could_count(clock: HandClock) -> None:
    key = Ed25519PrivateKey.generate()
    guard = SyncGuard(lambda _: key.public_key().public_bytes_raw(), clock)
    request = Request("GET", DOWN_PATH, "", b"")
    ahead = sign(request, key.sign, Signed("kit-1", clock.now_ms() // 1000 + CLOCK_S, "n" * 22))
    assert guard.admit(request, ahead) == "kit-1"
    for _ in range(2 * CLOCK_S // 10):
        with pytest.raises(Rejected, match=r"sync-(replayed|clock)"):
            guard.admit(request, ahead)
        clock.sleep(10)
    clock.sleep(10)
    with pytest.raises(Rejected, match="sync-clock"):
        guard.admit(request, ahead)


def test_one_kit_that_asks_without_end_is_slowed_and_the_others_are_not(server: Server) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: server.ask("GET", DOWN_PATH, "wait=0"), range(3 * round(BURST))))
    slowed = [answer for answer in answers if answer.status_code == 429]
    assert slowed
    assert len(answers) - len(slowed) >= BURST
    assert slowed[0].headers["retry-after"] == "1"
    assert server.ask("GET", DOWN_PATH, "wait=0", name="kit-2").status_code == 200


@pytest.mark.parametrize("body", [b"", b"\xff", cbor2.dumps({}), cbor2.dumps(["text"]), cbor2.dumps([b"x"] * 300)])
def test_a_batch_that_is_none_is_refused_whole(server: Server, body: bytes) -> None:
    answer = server.ask("POST", UP_PATH, body=body)
    assert (answer.status_code, answer.headers["zhenbao-refused"]) == (400, "message")
    assert server.got == []


def test_a_body_beyond_the_limit_is_cut_off(server: Server) -> None:
    answer = server.ask("POST", UP_PATH, body=cbor2.dumps([bytes(7 << 20)]))
    assert (answer.status_code, answer.headers["zhenbao-refused"]) == (413, "link-too-large")
    with pytest.raises(Rejected, match="link-too-large"):
        server.kit().send("hub", bytes(MOST_BYTES + 1))


def test_a_wrong_clock_is_no_reason_to_send_nothing(server: Server, kits: Any) -> None:
    """The hub's time is taken: a request's time only bounds its repetition."""

    class Ahead(SystemClock):
        def now_ms(self) -> int:
            return super().now_ms() + 56 * 365 * 86_400_000

    server.stop()
    server.clock = Ahead()
    server.start()
    link, _ = kits()
    link.send("hub", b"from 1970")
    until(lambda: server.got == [("kit-1", b"from 1970")])


@pytest.mark.slow
def test_a_hub_that_goes_and_comes_is_found_again(server: Server, kits: Any) -> None:
    link, _ = kits()
    turns: list[str] = []
    link.on_up, link.on_down = lambda: turns.append("up"), lambda: turns.append("down")
    server.stop()
    until(lambda: not link.connected)
    with pytest.raises(LinkDown):
        link.send("hub", b"x")
    until(lambda: link.trouble is not None)
    assert link.trouble.code == "link-nobody"
    server.start()
    until(lambda: link.connected)
    assert turns == ["down", "up"]
    assert link.trouble is None
    link.send("hub", b"again")
    until(lambda: server.got == [("kit-1", b"again")])


def test_who_waits_before_the_screen_does_not_wait_for_the_next_attempt(server: Server) -> None:
    server.stop()
    link = HttpsLink(server.url, "kit-1", server.keys["kit-1"].sign, first_wait_s=3600, last_wait_s=3600)
    link.start()
    try:
        until(lambda: link.trouble is not None)
        server.start()
        link.hurry()
        until(lambda: link.connected)
    finally:
        link.stop()


def test_a_kit_that_is_not_let_in_learns_why(server: Server) -> None:
    server.keys["kit-3"] = Ed25519PrivateKey.generate()
    link = server.kit("kit-3")
    server.keys.pop("kit-3")
    link.start()
    try:
        until(lambda: link.trouble is not None)
        assert (link.trouble.code, link.trouble.facts["reason"]) == ("link-refused", "sync-stranger")
        assert not link.connected
    finally:
        link.stop()


def test_a_kit_that_does_not_ask_any_more_is_away_and_its_mailbox_forgotten() -> None:
    now = [0.0]
    link = MailboxLink(lambda: now[0])
    link.start()
    asyncio.run(link.collect("kit-1", "", 0, 0))
    link.send("kit-1", b"x")
    assert link.is_there("kit-1")
    now[0] = AWAY_S + 1
    assert not link.is_there("kit-1")
    asyncio.run(link.collect("kit-2", "", 0, 0))
    mail = asyncio.run(link.collect("kit-1", "", 0, 0))
    assert mail.packets == []


def test_leaving_does_not_wait_for_an_open_request(server: Server, kits: Any) -> None:
    link, _ = kits()
    time.sleep(0.1)
    began = time.monotonic()
    link.stop()
    assert time.monotonic() - began < 1.0
    assert not any(thread.name == "https-link" for thread in threading.enumerate())


@pytest.mark.parametrize(
    "url", ["", "http://hub.example", "https://", "https://hub/path", "ftp://hub", "https://u@hub", "https://h:x"]
)
def test_only_https_leads_off_this_machine(url: str) -> None:
    with pytest.raises(InputError, match="link-url"):
        HttpsLink(url, "kit-1", lambda data: data)


def test_the_web_server_stays_on_this_machine_without_tls(tmp_path: Path) -> None:
    from zhenbao.hub.server import Hub

    for address in ("0.0.0.0", "192.0.2.1", "::", "hub.example"):  # noqa: S104 - that it is refused
        with pytest.raises(InputError, match="hub-plain-web"):
            Hub(tmp_path / "hub", web_host=address)
