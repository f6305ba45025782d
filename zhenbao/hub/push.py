"""Alerts on devices whose browser shows no page of the hub: Web Push (RFC 8030, 8291, 8292), by pywebpush.

What travels through a browser maker's service is encrypted for the device, and even so carries a case code alone: no
name, number, finding or value.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import queue
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from zhenbao.hub.case_code import case_code
from zhenbao.hub.list_settings import list_settings
from zhenbao.hub.notify import notice
from zhenbao.hub.store import HubStore, audit, push_devices
from zhenbao.hub.store.push_devices import Device
from zhenbao.hub.store.work import HUB
from zhenbao.model.errors import InputError, StorageError
from zhenbao.words import Words

if TYPE_CHECKING:
    from zhenbao.hub.watch import Call

_log = logging.getLogger(__name__)
KEY_FILE = "push.pem"
_PERIOD_S = 2.0
_GONE = (404, 410)
_LONGEST_ENDPOINT = 1000
_DAY_MS = 86_400_000


class Pusher:
    """Pushes to the devices of one hub, on a thread of its own: a slow service delays nothing else.

    Args:
        store: the hub's.
        directory: the hub's folder, where its push key lies; made there when it is not.
        contact: ``mailto:`` or ``https:``, for the services, should they have to ask (RFC 8292, 2.1).
        hosts: the services that may be called; None: as ``list.toml`` says. One that begins with ``http`` is a whole
            origin, of a service of the county's own.

    Raises:
        InputError: ``push-missing``, pywebpush is not installed; ``push-contact``.
        StorageError: ``hub-push-key``.
    """

    def __init__(self, store: HubStore, directory: Path, contact: str, hosts: Sequence[str] | None = None) -> None:
        if not re.fullmatch(r"mailto:[^\s@]+@[^\s@]+|https://\S+", contact):
            raise InputError("push-contact")
        try:
            import pywebpush
            import requests
            from py_vapid import Vapid
        except ImportError:
            raise InputError("push-missing") from None
        self._send, self._refused = pywebpush.webpush, (pywebpush.WebPushException, requests.RequestException)
        self._web: Any = requests.Session()
        self._web.max_redirects = 0  # where a service sends us, nobody has allowed
        self._vapid: Any = Vapid.from_file(str(_ensure_key(directory / KEY_FILE)))
        self._store = store
        self._contact = contact
        self.hosts = tuple(list_settings().push.hosts if hosts is None else hosts)
        self._calls: queue.SimpleQueue[Call] = queue.SimpleQueue()

    @property
    def public_key(self) -> str:
        """For the browsers: an uncompressed point of P-256 in base64url."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        point: bytes = self._vapid.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return base64.urlsafe_b64encode(point).rstrip(b"=").decode()

    def call(self, call: Call) -> None:
        """A sink of notices: whoever a clock calls is alerted on their devices too."""
        if call.login is not None:
            self._calls.put(call)

    def run(self, stop: threading.Event) -> None:
        """Push what comes until told to stop. What cannot be pushed is on the page and in the notices all the same."""
        while not stop.is_set():
            try:
                self.once()
            except StorageError as error:
                _log.error("alerts could not be looked for: %s", error.code)
            stop.wait(_PERIOD_S)

    def once(self) -> int:
        """Push what is due now; returns to how many devices."""
        told = 0
        while True:
            try:
                call = self._calls.get_nowait()
            except queue.Empty:
                break
            assert call.login is not None
            told += self._tell(call.login, call.code, lambda words, call=call: notice(call, words))
        settings, now_ms = list_settings().push, self._store.clock.now_ms()
        with self._store.reading() as connection:
            new = push_devices.arrivals(connection, now_ms - round(settings.arrival_minutes * 60_000))
        for arrival in new:
            with self._store.writing() as connection:
                push_devices.forget_pushes(connection, now_ms - round(settings.keep_days * _DAY_MS))
                mine = push_devices.take(connection, arrival, now_ms)
            if mine:
                code = case_code(arrival.case_id)
                told += self._tell(arrival.login, code, lambda words, code=code: words("hub.push.arrived", code=code))
        return told

    def _tell(self, login: str, code: str, text: Any) -> int:
        with self._store.reading() as connection:
            devices = push_devices.of_login(connection, login)
        return sum(self._push(device, code, text(Words("en" if device.english else "zh_CN"))) for device in devices)

    def _push(self, device: Device, code: str, text: str) -> bool:
        settings = list_settings().push
        status: int | None = None
        try:
            # The list of services may have become shorter since the device was added.
            check_endpoint(device.endpoint, self.hosts)
            self._send(
                {"endpoint": device.endpoint, "keys": {"p256dh": device.p256dh, "auth": device.auth}},
                json.dumps({"code": code, "text": text}, ensure_ascii=False),
                vapid_private_key=self._vapid,
                vapid_claims={"sub": self._contact},
                timeout=settings.timeout_s,
                ttl=round(settings.arrival_minutes * 60),
                headers={"Urgency": "high"},
                requests_session=self._web,
            )
        except self._refused as error:
            response = getattr(error, "response", None)
            status = response.status_code if response is not None else None
            # Neither the address nor the answer: both may name the device.
            _log.warning("an alert was not taken: %s", status or type(error).__name__)
        except (InputError, ValueError) as error:
            _log.warning("an alert was not sent: %s", type(error).__name__)
        else:
            with self._store.writing() as connection:
                push_devices.told(connection, device.id, self._store.clock.now_ms())
            return True
        with self._store.writing() as connection:
            if status in _GONE or device.failed + 1 >= settings.most_failures:
                push_devices.remove(connection, device.id, device.login)
                now_ms = self._store.clock.now_ms()
                audit.append(connection, now_ms, HUB, "push-off", f"practitioner:{device.login}", why=str(status or ""))
            else:
                push_devices.failed(connection, device.id)
        return False


def check_endpoint(endpoint: str, hosts: Sequence[str]) -> None:
    """A browser names the address that the hub will call: it must be one of the known services, over TLS.

    Raises:
        InputError: ``push-address``.
    """
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise InputError("push-address") from None
    if len(endpoint) > _LONGEST_ENDPOINT or "@" in parts.netloc or re.search(r"[\s\\\x00-\x1f]", endpoint):
        raise InputError("push-address")
    if f"{parts.scheme}://{parts.netloc}" in [known for known in hosts if known.startswith("http")]:
        return
    named = any(host == known or (known.startswith(".") and host.endswith(known)) for known in hosts)
    if parts.scheme != "https" or port not in (None, 443) or not named:
        raise InputError("push-address")


def check_keys(p256dh: str, auth: str) -> None:
    """The device's keys as RFC 8291 wants them: a point of P-256, and sixteen bytes.

    Raises:
        InputError: ``push-address``.
    """
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        point, secret = (base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) for text in (p256dh, auth))
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        raise InputError("push-address") from None
    if len(secret) != 16 or len(point) != 65:
        raise InputError("push-address")


def _ensure_key(file: Path) -> Path:
    """The hub's key for push services, P-256, readable by the hub alone."""

    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    try:
        if not file.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            body = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                out.write(body)
        return file
    except OSError as error:
        raise StorageError("hub-push-key", reason=type(error).__name__) from error
