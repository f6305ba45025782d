"""Certificates that have run out stop the road and nothing else: what waits stays, and goes once they are renewed."""

from __future__ import annotations

import datetime
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from reliability import rig
from reliability.export import export
from reliability.history import History, check
from reliability.kill_loop import free_port
from reliability.rig import HUB_ID, KIT_ID, Visit

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("mosquitto") is None, reason="needs the Debian package mosquitto"),
]
DAY = datetime.timedelta(days=1)


class Authority:
    """A county's certificate authority of five minutes, and what it issued."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test county")])
        self.file = folder / "ca.pem"
        self._write(self.file, self._signed(self._name, self._key.public_key(), -DAY, DAY, authority=True))

    def issue(self, name: str, begins: datetime.timedelta, ends: datetime.timedelta) -> None:
        """``NAME.pem`` and ``NAME.key``, valid from and to so long from now; replaces what was there."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._write(self.folder / f"{name}.pem", self._signed(subject, key.public_key(), begins, ends))
        (self.folder / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

    def context(self, name: str) -> ssl.SSLContext:
        """A client's, as a kit makes one."""
        context = ssl.create_default_context(cafile=str(self.file))
        context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        return context

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        begins: datetime.timedelta,
        ends: datetime.timedelta,
        *,
        authority: bool = False,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begins)
            .not_valid_after(now + ends)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.KeyUsage(True, False, False, False, False, authority, authority, False, False), critical=True
            )
            .sign(self._key, hashes.SHA256())
        )

    @staticmethod
    def _write(file: Path, certificate: x509.Certificate) -> None:
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


class County:
    """Mosquitto that asks for certificates, a hub, and a kit whose engine can be started again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.authority = Authority(folder)
        for name in ("broker", HUB_ID, KIT_ID):
            self.authority.issue(name, -DAY, DAY)
        self._broker: subprocess.Popen[bytes] | None = None
        self._running: list[tuple[threading.Event, threading.Thread]] = []
        self.kit = rig.open_kit(folder / "kit", rig.SystemClock())
        self.hub = rig.open_hub(folder / "hub", rig.SystemClock())

    def start_broker(self) -> None:
        file = self.folder / "mosquitto.conf"
        file.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nrequire_certificate true\nuser root\n"
            f"cafile {self.authority.file}\ncertfile {self.folder}/broker.pem\nkeyfile {self.folder}/broker.key\n"
        )
        self.stop_broker()
        self._broker = subprocess.Popen(["mosquitto", "-c", file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("the broker does not listen")

    def stop_broker(self) -> None:
        if self._broker is not None:
            self._broker.kill()
            self._broker.wait()

    def run(self, *names: str) -> None:
        """Engines of these sides, with their certificates as they are now."""
        for name in names:
            store = self.hub if name == HUB_ID else self.kit
            link = rig.mqtt_link("localhost", self.port, name, tls=self.authority.context(name))
            stop = threading.Event()
            thread = threading.Thread(target=rig.engine(store, link, rig.SystemClock()).run, args=(stop,), daemon=True)
            thread.start()
            self._running.append((stop, thread))

    def stop(self) -> None:
        for stop, thread in self._running:
            stop.set()
            thread.join(20)
        self._running.clear()

    def wait(self, happened: Callable[[], bool], seconds: float) -> bool:
        deadline_s = time.monotonic() + seconds
        while time.monotonic() < deadline_s:
            if happened():
                return True
            time.sleep(0.1)
        return False


@pytest.fixture
def county(tmp_path: Path) -> Iterator[County]:
    opened = County(tmp_path)
    visit = Visit()
    visit.begin(opened.kit)
    visit.save(opened.kit, visit.reading(critical=True))
    yield opened
    opened.stop()
    opened.stop_broker()
    opened.kit.close()
    opened.hub.close()


def _nothing_moved_and_then_everything(county: County, mend: Callable[[], None]) -> None:
    assert not county.wait(lambda: county.kit.queue().total < 3, 4), "it went over a road that must be shut"
    assert county.kit.quarantined() == []
    mend()
    assert county.wait(lambda: county.kit.queue().total == 0, 60), "it does not go after the renewal"
    assert check(History(export(county.folder / "kit", county.folder / "hub")), settled=True) == []


def test_with_good_certificates_it_goes(county: County) -> None:
    county.start_broker()
    county.run(HUB_ID, KIT_ID)
    assert county.wait(lambda: county.kit.queue().total == 0, 30)


def test_the_brokers_certificate_has_run_out(county: County) -> None:
    """Both sides refuse it; the operator renews it, and nobody has to touch the kit."""
    county.authority.issue("broker", -2 * DAY, -DAY)
    county.start_broker()
    county.run(HUB_ID, KIT_ID)

    def renew() -> None:
        county.authority.issue("broker", -DAY, DAY)
        county.start_broker()

    _nothing_moved_and_then_everything(county, renew)


def test_the_kits_certificate_has_run_out(county: County) -> None:
    """The broker refuses it; with a new one the kit's service is started again."""
    county.authority.issue(KIT_ID, -2 * DAY, -DAY)
    county.start_broker()
    county.run(HUB_ID, KIT_ID)

    def renew() -> None:
        county.authority.issue(KIT_ID, -DAY, DAY)
        county.run(KIT_ID)

    _nothing_moved_and_then_everything(county, renew)


def test_a_certificate_that_is_not_valid_yet_is_a_clock_that_stands_in_the_past(county: County) -> None:
    """A kit that woke in 1970 sees only certificates of the future: it waits, and sends when its clock is right."""
    county.authority.issue("broker", DAY, 2 * DAY)
    county.start_broker()
    county.run(HUB_ID, KIT_ID)

    def renew() -> None:
        county.authority.issue("broker", -DAY, DAY)
        county.start_broker()

    _nothing_moved_and_then_everything(county, renew)
