"""Only the hub's own answer to this very question counts, however politely others answer."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from zhenbao.firmware_sim.uplink import SwitchableUplink
from zhenbao.hub.server import Hub
from zhenbao.model.errors import InputError
from zhenbao.sync.uplink.probe import CONTEXT, Address, parse_address, probe, verifier
from zhenbao.sync.uplink.state import Miss, Outcome

HUB_KEY, OTHER_KEY = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
VERIFY = verifier([HUB_KEY.public_key().public_bytes_raw()])
Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def server(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Something on a port that answers as it likes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        if tls is not None:
            listening.socket = tls.wrap_socket(listening.socket, server_side=True)
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield listening.server_address[1]
        listening.shutdown()
        thread.join()


def ask(port: int, **options: object) -> Outcome:
    return probe(Address("127.0.0.1", port, https=False), VERIFY, timeout_s=2, **options)  # type: ignore[arg-type]


def say(body: bytes, status: int = 200, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def sign(key: Ed25519PrivateKey, message: Callable[[bytes], bytes] = lambda nonce: CONTEXT + nonce) -> Answer:
    return lambda handler: say(key.sign(message(bytes.fromhex(handler.path.rpartition("/")[2]))))(handler)


def trickle(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(100):
        handler.wfile.write(b"X-Wait: 1\r\n")
        handler.wfile.flush()
        time.sleep(0.1)


@pytest.mark.slow
def test_the_hub_answers(tmp_path: Path) -> None:
    hub = Hub(tmp_path)
    hub.start()
    own = hub.keyring.own.newest.public
    by_hub = verifier([own.sign])
    try:
        outcome = probe(parse_address(hub.web_url), by_hub, timeout_s=5)
        assert probe(parse_address(hub.web_url), by_hub, timeout_s=5, key_id=own.sign_id).round_trip_s is not None
        assert outcome.round_trip_s is not None and 0 < outcome.round_trip_s < 5
        other = verifier([OTHER_KEY.public_key().public_bytes_raw()])
        assert probe(parse_address(hub.web_url), other, timeout_s=5).miss is Miss.OTHER
        both = verifier([OTHER_KEY.public_key().public_bytes_raw(), own.sign])
        assert probe(parse_address(hub.web_url), both, timeout_s=5).round_trip_s is not None
        uplink = SwitchableUplink(int(hub.web_url.rpartition(":")[2]))
        uplink.start()
        through = Address("127.0.0.1", uplink.port, https=False)
        assert probe(through, by_hub, timeout_s=2).round_trip_s is None
        uplink.mend()
        assert probe(through, by_hub, timeout_s=2).round_trip_s is not None
        assert uplink.bytes_forwarded < 1000
        uplink.stop()
    finally:
        hub.close()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(say(b"<html>please log in</html>"), id="a page"),
        pytest.param(say(b""), id="nothing, with 200"),
        pytest.param(say(b"", 204), id="no content"),
        pytest.param(say(b"", 302, Location="http://10.0.0.1/login"), id="to the login page"),
        pytest.param(say(b"", 511), id="network authentication required"),
        pytest.param(say(HUB_KEY.sign(CONTEXT + bytes(16))), id="an old answer of the hub"),
        pytest.param(sign(OTHER_KEY), id="another key"),
        pytest.param(sign(HUB_KEY, lambda nonce: nonce), id="signed for something else"),
        pytest.param(lambda h: say(h.path.encode())(h), id="an echo"),
        pytest.param(say(b"x" * 64), id="as long as a signature"),
        pytest.param(lambda h: h.wfile.write(b"SSH-2.0-x\r\n"), id="another protocol"),
        pytest.param(say(b"x" * 1_000_000), id="a large page"),
    ],
)
def test_whoever_else_answers_is_not_the_hub(answer: Answer) -> None:
    with server(answer) as port:
        assert ask(port) == Outcome(miss=Miss.OTHER)


def test_nobody_there(unused_tcp_port: int) -> None:
    assert ask(unused_tcp_port) == Outcome(miss=Miss.NO_ROUTE)
    assert probe(Address("hub.invalid", 80, https=False), VERIFY, timeout_s=1) == Outcome(miss=Miss.NO_NAME)


@pytest.mark.parametrize("answer", [lambda _: time.sleep(2), trickle], ids=["silent", "a trickle"])
def test_an_answer_has_its_time(answer: Answer) -> None:
    with server(answer) as port:
        began_s = time.monotonic()
        outcome = probe(Address("127.0.0.1", port, https=False), VERIFY, timeout_s=0.5)
    assert outcome == Outcome(miss=Miss.SILENT)
    assert time.monotonic() - began_s < 2.5


def test_it_asks_over_the_interface_it_is_told() -> None:
    with server(sign(HUB_KEY)) as port:
        assert ask(port, interface="lo").round_trip_s is not None
        assert ask(port, interface="wwan9") == Outcome(miss=Miss.NO_ROUTE)


def certificate(folder: Path) -> Path:
    """A key and a certificate of its own for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "hub.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


def test_over_tls_another_certificate_is_not_the_hub_and_it_costs_little(tmp_path: Path) -> None:
    file = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with server(sign(HUB_KEY), context) as port:
        uplink = SwitchableUplink(port)
        uplink.start()
        uplink.mend()
        address = Address("127.0.0.1", uplink.port, https=True)
        assert probe(address, VERIFY, timeout_s=5) == Outcome(miss=Miss.OTHER)
        before = uplink.bytes_forwarded
        known = ssl.create_default_context(cafile=str(file))
        assert probe(address, VERIFY, timeout_s=5, tls=known).round_trip_s is not None
        assert uplink.bytes_forwarded - before < 4000
        uplink.stop()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://hub.example", Address("hub.example", 443, https=True)),
        ("http://127.0.0.1:8000/", Address("127.0.0.1", 8000, https=False)),
        ("https://[::1]:9", Address("::1", 9, https=True)),
    ],
)
def test_an_address(url: str, address: Address) -> None:
    assert parse_address(url) == address


@pytest.mark.parametrize("url", ["", "hub", "ftp://hub", "https://", "https://hub/x", "http://hub:99999", "http://[x"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_address(url)
    assert refused.value.code == "link-address"
