"""A county for tests: a CA, kits with certificates, and the real Mosquitto with the configuration that is shipped."""

from __future__ import annotations

import getpass
import shutil
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from zhenbao.hub.broker_config import CONFIGURATION, write_broker_config
from zhenbao.hub.ca import init_ca, issue_server, sign_kit
from zhenbao.hub.issued import IssuedBook
from zhenbao.model.errors import StorageError
from zhenbao.sync.links.identity import mailbox_in, make_request, requests_in
from zhenbao.sync.links.mqtt import MqttLink
from zhenbao.sync.links.tls import client_context
from zhenbao.sync.names import emergency_side

if TYPE_CHECKING:
    from zhenbao.hub.server import Hub

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
NOW_MS = time.time_ns() // 1_000_000
DAY_MS = 86_400_000


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@dataclass
class County:
    """Everything lies under ``home``, laid out as a hub's folder."""

    home: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    mailboxes: dict[str, str] = field(default_factory=dict)
    links: list[MqttLink] = field(default_factory=list)

    def __post_init__(self) -> None:
        if MOSQUITTO is None:
            pytest.skip("mosquitto is not installed (Debian package mosquitto)")
        init_ca(self.ca, "演示县", NOW_MS - 1000 * DAY_MS)
        issue_server(self.ca, ["localhost", "127.0.0.1"], NOW_MS)

    @property
    def ca(self) -> Path:
        return self.home / "ca"

    def enrol(self, kit_id: str, now_ms: int = NOW_MS, days: int = 1095) -> Path:
        """A kit's folder with key and certificate."""
        folder = self.home / kit_id
        folder.mkdir(exist_ok=True)
        self.mailboxes[kit_id], request = make_request(folder)
        for one, file in zip(requests_in(request.read_bytes()), ("road.pem", "emergency.pem"), strict=True):
            (folder / file).write_bytes(sign_kit(self.ca, one, kit_id, now_ms, days))
        self.mailboxes[emergency_side(kit_id)] = mailbox_in(folder / "emergency.pem")
        (folder / "county-ca.pem").write_bytes((self.ca / "ca.pem").read_bytes())
        return folder

    def start(self) -> None:
        """Start the broker with the CA's files as they are now."""
        folder = self.home / "mosquitto"
        write_broker_config(self.ca, folder, port=self.port, address="127.0.0.1", user=getpass.getuser())
        assert MOSQUITTO is not None
        self.process = subprocess.Popen(
            [MOSQUITTO, "-c", str(folder / CONFIGURATION)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert self.process.poll() is None, "mosquitto ended: is its configuration right?"
                time.sleep(0.02)
        pytest.fail("mosquitto does not listen")

    def stop(self) -> None:
        """As after a power cut: killed."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def close(self) -> None:
        for link in self.links:
            link.stop()
        self.stop()

    def context(self, kit_id: str, side: str = "road") -> ssl.SSLContext:
        folder = self.home / kit_id
        return client_context(folder / "county-ca.pem", folder / f"{side}.pem", folder / f"{side}.key")

    def hub(self) -> Hub:
        """The hub itself, started, on the county's broker and on a web port of its own; the test closes it."""
        from zhenbao.hub.server import Hub

        tls = (self.ca / "server.pem", self.ca / "server.key")
        hub = Hub(self.home, broker=f"mqtts://localhost:{self.port}", web_port=free_port(), web_tls=tls)
        try:
            hub.start()
        except StorageError as error:
            self.close()
            if error.code == "hub-vendor":
                pytest.skip("the page's files are not there: run make")
            raise
        return hub

    def hub_link(self, **options: Any) -> MqttLink:
        tls = client_context(self.ca / "ca.pem", self.ca / "hub.pem", self.ca / "hub.key")
        return self._link("hub", is_hub=True, tls=tls, book=IssuedBook(self.ca), **options)

    def kit_link(self, kit_id: str, *, port: int = 0, **options: Any) -> MqttLink:
        options = {"tls": self.context(kit_id), **options}
        return self._link(self.mailboxes[kit_id], port=port, **options)

    def emergency_link(self, kit_id: str, **options: Any) -> MqttLink:
        options = {"tls": self.context(kit_id, "emergency"), "emergency": True, **options}
        return self._link(self.mailboxes[emergency_side(kit_id)], **options)

    def _link(self, name: str, *, port: int = 0, **options: Any) -> MqttLink:
        link = MqttLink("localhost", port or self.port, name, **{"first_wait_s": 0.05, "last_wait_s": 0.4, **options})
        self.links.append(link)
        return link
