"""Alerts on devices, against a push service of our own that opens what it is sent as the browser would."""

from __future__ import annotations

import base64
import json
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("pywebpush", reason="the extra zhenbao[notify] is not installed")

import http_ece
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.testclient import TestClient

from tests.hub.conftest import change_to
from zhenbao.hub.case_code import case_code
from zhenbao.hub.list_settings import list_settings
from zhenbao.hub.push import KEY_FILE, Pusher, check_endpoint, check_keys
from zhenbao.hub.server import Hub
from zhenbao.hub.store import HubStore, audit, push_devices
from zhenbao.hub.watch import Call, sweep
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Finding, Urgency

if TYPE_CHECKING:
    from tests.hub.conftest import HandClock, KitVoice
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist

CONTACT = "mailto:it@hub.example"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Service:
    """What browsers' makers run: takes what is sent to a device, and here opens it with the device's own key."""

    port: int = 0
    answer: int = 201
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    secret: bytes = field(default_factory=lambda: os.urandom(16))

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def p256dh(self) -> str:
        return b64(self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))

    def opened(self) -> list[dict[str, str]]:
        return [
            json.loads(http_ece.decrypt(body, private_key=self.key, auth_secret=self.secret, version="aes128gcm"))
            for body in self.bodies
        ]


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.paths.append(self.path)
            made.headers.append({name.lower(): value for name, value in self.headers.items()})
            made.bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(made.answer)
            if made.answer == 307:
                self.send_header("Location", f"{made.origin}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def pusher(store: HubStore, service: Service, tmp_path: Path) -> Pusher:
    return Pusher(store, tmp_path, CONTACT, hosts=[service.origin])


def add_device(store: HubStore, service: Service, login: str, name: str = "a", *, english: bool = False) -> None:
    with store.writing() as connection:
        push_devices.add(
            connection, login, f"{service.origin}/send/{name}", service.p256dh, b64(service.secret), "Chrome", 1,
            english=english,
        )  # fmt: skip


def red(kit: KitVoice) -> None:
    patient = kit.patient()
    encounter = kit.encounter(patient, chest_pain="yes")
    kit.send(patient, encounter, kit.observation(encounter, Finding("EC19", Urgency.RED, source="x"), code="ecg"))


def devices(store: HubStore, login: str) -> list[push_devices.Device]:
    with store.reading() as connection:
        return push_devices.of_login(connection, login)


def test_a_critical_case_is_pushed_to_its_owner_once_and_says_its_code_alone(
    store: HubStore,
    kit: KitVoice,
    pusher: Pusher,
    service: Service,
    heart: Practitioner,
    lungs: Practitioner,
    worklist: Worklist,
) -> None:
    add_device(store, service, "heart")
    add_device(store, service, "lungs", "b")
    red(kit)
    assert pusher.once() == 1
    assert pusher.once() == 0  # once
    (row,) = worklist.rows()
    (told,) = service.opened()
    assert told == {
        "code": case_code(row.item.id),
        "text": f"【诊包】新危急病例 {case_code(row.item.id)}，请登录枢纽处理。",
    }
    assert service.paths == ["/send/a"]
    sent = service.headers[0]
    assert (sent["content-encoding"], sent["urgency"], sent["ttl"]) == ("aes128gcm", "high", "600")
    # Nothing that names the patient, in the clear or sealed.
    everything = json.dumps(told, ensure_ascii=False) + str(sent)
    for secret in ("演示患者", "99999919480101002X", "EC19", "心动", "120", "kit-001", "0994", str(row.item.id)):
        assert secret not in everything
    with store.reading() as connection:
        assert devices(store, "heart")[0].told_ms == store.clock.now_ms()
        assert "127.0.0.1" not in str(audit.rows(connection, 50))


def test_the_hub_proves_who_it_is(
    store: HubStore, kit: KitVoice, pusher: Pusher, service: Service, heart: Practitioner
) -> None:
    """RFC 8292: a signature of the key that the browser was given, for this service, by whoever can be asked."""
    add_device(store, service, "heart")
    red(kit)
    pusher.once()
    scheme, _, fields = service.headers[0]["authorization"].partition(" ")
    values = dict(part.strip().split("=", 1) for part in fields.split(","))
    assert scheme == "vapid"
    assert values["k"] == pusher.public_key
    signed, _, signature = values["t"].rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    point = base64.urlsafe_b64decode(values["k"] + "=")
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    both = (int.from_bytes(half, "big") for half in (raw[:32], raw[32:]))
    key.verify(encode_dss_signature(*both), signed.encode(), ec.ECDSA(hashes.SHA256()))  # raises where it does not fit
    claims = json.loads(base64.urlsafe_b64decode(signed.partition(".")[2] + "=="))
    assert (claims["aud"], claims["sub"]) == (service.origin, CONTACT)


def test_whom_a_clock_calls_is_pushed_to_in_their_language(
    store: HubStore, kit: KitVoice, pusher: Pusher, service: Service, heart_2: Practitioner, clock: HandClock
) -> None:
    add_device(store, service, "heart-2", english=True)
    red(kit)
    clock.pass_minutes(3.1)
    for call in sweep(store):
        pusher.call(call)
    assert pusher.once() == 1  # the second line; nobody else has a device
    (told,) = service.opened()
    assert told["code"] in told["text"]
    assert told["text"].isascii()


def test_a_late_look_pushes_no_old_arrival(
    store: HubStore, kit: KitVoice, pusher: Pusher, service: Service, heart: Practitioner, clock: HandClock
) -> None:
    add_device(store, service, "heart")
    red(kit)
    clock.pass_minutes(list_settings().push.arrival_minutes + 0.1)
    assert pusher.once() == 0


def test_two_processes_push_once(
    store: HubStore,
    kit: KitVoice,
    pusher: Pusher,
    service: Service,
    heart: Practitioner,
    tmp_path: Path,
    clock: HandClock,
) -> None:
    add_device(store, service, "heart")
    red(kit)
    second = HubStore(str(store.database.url), clock, store.roster)
    other = Pusher(second, tmp_path, CONTACT, hosts=[service.origin])
    assert other.public_key == pusher.public_key
    threads = [threading.Thread(target=each.once) for each in (pusher, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    second.close()
    assert len(service.bodies) == 1


@pytest.mark.parametrize("answer", [404, 410])
def test_a_device_that_is_gone_is_forgotten(
    store: HubStore, kit: KitVoice, pusher: Pusher, service: Service, heart: Practitioner, answer: int
) -> None:
    add_device(store, service, "heart")
    red(kit)
    service.answer = answer
    assert pusher.once() == 0
    assert devices(store, "heart") == []
    with store.reading() as connection:
        assert audit.rows(connection, 1)[0].action == "push-off"


def test_a_service_that_fails_is_counted_and_at_last_given_up(
    store: HubStore, pusher: Pusher, service: Service, heart: Practitioner, caplog: pytest.LogCaptureFixture
) -> None:
    add_device(store, service, "heart")
    most = list_settings().push.most_failures
    service.answer = 503
    with caplog.at_level(logging.DEBUG):
        for number in range(most - 1):
            pusher.call(Call("ABC-DEFG", "ack", "second-line", "heart", ""))
            pusher.once()
            assert devices(store, "heart")[0].failed == number + 1
    assert not any("/send/a" in r.getMessage() for r in caplog.records if r.name.startswith("zhenbao"))
    service.answer = 201
    pusher.call(Call("ABC-DEFG", "ack", "second-line", "heart", ""))
    assert pusher.once() == 1
    assert devices(store, "heart")[0].failed == 0
    service.answer = 503
    for _ in range(most):
        pusher.call(Call("ABC-DEFG", "ack", "second-line", "heart", ""))
        pusher.once()
    assert devices(store, "heart") == []


def test_where_a_service_sends_on_nobody_follows(
    store: HubStore, pusher: Pusher, service: Service, heart: Practitioner
) -> None:
    add_device(store, service, "heart")
    service.answer = 307
    pusher.call(Call("ABC-DEFG", "ack", "second-line", "heart", ""))
    assert pusher.once() == 0
    assert service.paths == ["/send/a"]


def test_a_service_that_is_no_longer_allowed_is_not_called(
    store: HubStore, service: Service, heart: Practitioner, tmp_path: Path
) -> None:
    add_device(store, service, "heart")
    strict = Pusher(store, tmp_path, CONTACT)
    strict.call(Call("ABC-DEFG", "ack", "second-line", "heart", ""))
    assert strict.once() == 0
    assert service.bodies == []


@pytest.mark.parametrize(
    ("endpoint", "allowed"),
    [
        ("https://fcm.googleapis.com/fcm/send/abc", True),
        ("https://updates.push.services.mozilla.com/wpush/v2/abc", True),
        ("https://wns2-by3p.notify.windows.com/w/?token=abc", True),
        ("https://web.push.apple.com/abc", True),
        ("https://fcm.googleapis.com:443/fcm/send/abc", True),
        ("http://fcm.googleapis.com/fcm/send/abc", False),
        ("https://fcm.googleapis.com:8443/x", False),
        ("https://fcm.googleapis.com.evil.example/x", False),
        ("https://evil-notify.windows.com.example/x", False),
        ("https://evilnotify.windows.com/x", False),
        ("https://user@fcm.googleapis.com/x", False),
        ("https://fcm.googleapis.com@127.0.0.1/x", False),
        ("https://127.0.0.1/x", False),
        ("https://[::1]/x", False),
        ("https://169.254.169.254/latest/meta-data", False),
        ("file:///etc/passwd", False),
        ("https://fcm.googleapis.com/" + "a" * 1000, False),
        ("https://fcm.googleapis.com\\@127.0.0.1/", False),
        ("https://fcm.googleapis.com:x/", False),
        ("https://fcm.googleapis.com/\r\nX: y", False),
        ("", False),
    ],
)
def test_only_known_services_are_ever_called(endpoint: str, allowed: bool) -> None:
    hosts = list_settings().push.hosts
    if allowed:
        check_endpoint(endpoint, hosts)
    else:
        with pytest.raises(InputError, match="push-address"):
            check_endpoint(endpoint, hosts)


def test_keys_that_are_none_are_refused(service: Service) -> None:
    check_keys(service.p256dh, b64(service.secret))
    point = base64.urlsafe_b64decode(service.p256dh + "==")
    bent = b64(point[:-1] + bytes([point[-1] ^ 1]))
    for p256dh, auth in (
        ("", b64(service.secret)),
        (bent, b64(service.secret)),
        (service.p256dh, ""),
        (service.p256dh, b64(b"short")),
        ("*", "*"),
    ):
        with pytest.raises(InputError):
            check_keys(p256dh, auth)


def test_the_key_is_the_hubs_alone_and_stays(store: HubStore, pusher: Pusher, tmp_path: Path) -> None:
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert Pusher(store, tmp_path, CONTACT).public_key == pusher.public_key
    assert len(base64.urlsafe_b64decode(pusher.public_key + "=")) == 65


def test_without_a_contact_nothing_is_pushed(store: HubStore, tmp_path: Path) -> None:
    for contact in ("it@hub.example", "mailto:", "http://hub.example", "mailto:a b@c"):
        with pytest.raises(InputError, match="push-contact"):
            Pusher(store, tmp_path, contact)


# The page


@pytest.fixture
def phone(store: HubStore, pusher: Pusher, vendored: None) -> Iterator[TestClient]:
    from zhenbao.hub.web.app import create_app

    agent = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36"
    headers = {"accept-language": "zh-CN", "user-agent": agent}
    app = create_app(store, pusher=pusher)
    with TestClient(app, base_url="http://127.0.0.1", follow_redirects=False, headers=headers) as client:
        yield client


def test_a_device_is_turned_on_and_off_by_its_owner(
    store: HubStore, phone: TestClient, pusher: Pusher, service: Service, heart: Practitioner, heart_2: Practitioner
) -> None:
    csrf = change_to(phone, "heart")
    assert pusher.public_key in phone.get("/alerts").text
    data = {"endpoint": f"{service.origin}/send/a", "p256dh": service.p256dh, "auth": b64(service.secret)}
    assert phone.post("/alerts", data=data | {"csrf": "x"}).status_code == 403
    assert devices(store, "heart") == []
    assert phone.post("/alerts", data=data | {"csrf": csrf}).status_code == 303
    (device,) = devices(store, "heart")
    assert (device.name, device.english) == ("Chrome · Android", False)
    page = phone.get("/alerts").text
    assert "Chrome · Android" in page
    assert "/send/a" not in page  # whoever knows it may push
    refused = phone.post("/alerts", data=data | {"csrf": csrf, "endpoint": "https://evil.example/x"})
    assert refused.status_code == 409
    assert "推送地址" in refused.text
    other = change_to(phone, "heart-2")
    phone.post(f"/alerts/{device.id}/off", data={"csrf": other})
    assert devices(store, "heart") == [device]
    # The same browser under another login: it is theirs, and the first person is no longer told there.
    phone.post("/alerts", data=data | {"csrf": other})
    assert devices(store, "heart") == []
    (moved,) = devices(store, "heart-2")
    phone.post(f"/alerts/{moved.id}/off", data={"csrf": other})
    assert devices(store, "heart-2") == []
    with store.reading() as connection:
        done = [row.action for row in audit.rows(connection, 20) if row.action.startswith("push")]
    assert done == ["push-off", "push-on", "push-on"]


def test_a_person_has_a_handful_of_devices(
    store: HubStore, phone: TestClient, service: Service, heart: Practitioner
) -> None:
    csrf = change_to(phone, "heart")
    most = list_settings().push.most_devices
    data = {"p256dh": service.p256dh, "auth": b64(service.secret), "csrf": csrf}
    answers = [
        phone.post("/alerts", data=data | {"endpoint": f"{service.origin}/send/{n}"}).status_code
        for n in range(most + 1)
    ]
    assert answers == [303] * most + [409]
    assert phone.post("/alerts", data=data | {"endpoint": f"{service.origin}/send/0"}).status_code == 303  # known


def test_a_hub_that_pushes_nothing_says_so(browser: TestClient, store: HubStore, heart: Practitioner) -> None:
    csrf = change_to(browser, "heart")
    assert "没有开启设备推送" in browser.get("/alerts").text
    assert browser.post("/alerts", data={"csrf": csrf}).status_code == 409


def test_the_worker_is_served_from_the_root_under_the_policy(browser: TestClient) -> None:
    answer = browser.get("/sw.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert "showNotification" in answer.text


@pytest.mark.slow
def test_a_running_hub_pushes(
    tmp_path: Path, service: Service, vendored: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from tests.hub.conftest import ROSTER, HandClock, KitVoice
    from zhenbao.hub import push
    from zhenbao.model.time import SystemClock

    local = replace(list_settings(), push=replace(list_settings().push, hosts=(service.origin,)))
    monkeypatch.setattr(push, "list_settings", lambda: local)
    hub = Hub(tmp_path / "hub", roster=ROSTER, push=CONTACT)
    hub.add_practitioner("heart", name="演示医师甲", specialty="cardiology", password="correct horse")
    add_device(hub.store, service, "heart")
    hub.start()
    try:
        red(KitVoice(hub.store, HandClock(SystemClock().now_ms())))
        for _ in range(100):
            if service.bodies:
                break
            threading.Event().wait(0.1)
        assert "新危急病例" in service.opened()[0]["text"]
    finally:
        hub.close()
