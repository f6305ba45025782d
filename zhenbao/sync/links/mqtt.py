"""MQTT as a road: QoS 1, clean start, nothing remembered.

Topics are ``zhenbao/v1/up/<kit>`` (kit to hub) and ``zhenbao/v1/down/<kit>`` (hub to kit). The broker sees kit ids,
never what is in a message. MQTT 5 where the broker speaks it, 3.1.1 otherwise.

Each connection gets a client of its own (paho-mqtt) that is thrown away with it, so no queue of the library
outlives a connection, and reconnecting is ours: jittered, from half a second to half a minute.
"""

from __future__ import annotations

import contextlib
import logging
import random
import secrets
import socket
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zhenbao.model.errors import InputError, LinkDown, Rejected
from zhenbao.sync.names import HUB, check_kit_id, is_kit_id

if TYPE_CHECKING:
    import ssl

    from paho.mqtt.client import Client, MQTTMessageInfo
    from paho.mqtt.enums import MQTTProtocolVersion

_log = logging.getLogger(__name__)
_UP, _DOWN = "zhenbao/v1/up", "zhenbao/v1/down"
_KEEPALIVE_S = 30
_CONNECT_TIMEOUT_S = 10.0
_POLITE_S = 0.5
_FIRST_WAIT_S, _LAST_WAIT_S = 0.5, 30.0
MOST_BYTES = 4 << 20
"""The largest message this road takes; a broker may be set to less."""


@dataclass(slots=True)
class _Connection:
    """One client and what has become of it."""

    client: Client
    ready: threading.Event = field(default_factory=threading.Event)
    """Subscribed: both directions work. Set as well when it ended, so that nobody waits for nothing."""
    ended: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)
    """The socket is closed."""
    answered: bool = False
    subscribed: bool = False
    wrong_version: bool = False
    unsent: deque[tuple[MQTTMessageInfo, int]] = field(default_factory=deque)


class MqttLink:
    """Implements ``sync.link.Link``.

    Args:
        host: the broker.
        port: 1883, or 8883 with TLS.
        own_name: the kit's id, or ``hub``.
        is_hub: which side this is.
        tls: a context made with ``ssl.create_default_context``; None for none.
        first_wait_s: the first pause before connecting again.

    Raises:
        InputError: ``kit-id``, the name cannot stand in a topic; ``link-address``, no host or port.
    """

    def __init__(
        self,
        host: str,
        port: int,
        own_name: str,
        *,
        is_hub: bool = False,
        username: str | None = None,
        password: str | None = None,
        tls: ssl.SSLContext | None = None,
        first_wait_s: float = _FIRST_WAIT_S,
    ) -> None:
        self.on_message: Callable[[str, bytes], None] = lambda sender, data: None
        self.on_up: Callable[[], None] = lambda: None
        self.on_down: Callable[[], None] = lambda: None
        if not host or not 0 < port < 1 << 16:
            raise InputError("link-address")
        self._host = host
        self._port = port
        self._name = HUB if is_hub else check_kit_id(own_name)
        self._is_hub = is_hub
        self._username = username
        self._password = password
        self._tls = tls
        self._first_wait_s = first_wait_s
        # The same client id for the life of this link, so that a broker ends a half-open connection of ours at once.
        self._client_id = f"zhenbao-{self._name}-{secrets.token_hex(4)}"
        self._versions: deque[MQTTProtocolVersion] = deque()
        self._attempt: _Connection | None = None
        self._connection: _Connection | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def connected(self) -> bool:
        return self._connection is not None

    @property
    def backlog_bytes(self) -> int:
        """Bytes that the broker has not acknowledged."""
        connection = self._connection
        if connection is None:
            return 0
        unsent = connection.unsent
        while unsent and unsent[0][0].is_published():
            unsent.popleft()
        return sum(size for info, size in unsent if not info.is_published())

    def start(self) -> None:
        """Connect, and connect again for ever, on a thread of its own."""
        if self._thread is not None:
            return
        self._stop.clear()
        self._thread = threading.Thread(target=self._keep_up, name="mqtt-link", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Disconnect; returns when the threads have ended."""
        self._stop.set()
        attempt = self._attempt
        if attempt is not None:
            attempt.ready.set()
            attempt.ended.set()
        if self._thread is not None:
            self._thread.join(_CONNECT_TIMEOUT_S + 5)
            self._thread = None

    def send(self, recipient: str, data: bytes) -> None:
        """Hand a message to the broker's connection.

        Raises:
            LinkDown: ``link-down``.
            Rejected: ``link-too-large``, or ``link-recipient``, a name that cannot stand in a topic.
        """
        if len(data) > MOST_BYTES:
            raise Rejected("link-too-large", size=len(data), most=MOST_BYTES)
        if self._is_hub and not is_kit_id(recipient):
            raise Rejected("link-recipient")
        topic = f"{_DOWN}/{recipient}" if self._is_hub else f"{_UP}/{self._name}"
        connection = self._connection
        if connection is None:
            raise LinkDown("link-down")
        info = connection.client.publish(topic, data, qos=1)
        if info.rc != 0:
            raise LinkDown("link-down")
        connection.unsent.append((info, len(data)))

    # On the link's own thread

    def _keep_up(self) -> None:
        from paho.mqtt.enums import MQTTProtocolVersion

        self._versions = deque([MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311])
        wait_s = self._first_wait_s
        while not self._stop.is_set():
            connection = self._connect()
            if connection is not None and connection.subscribed:
                wait_s = self._first_wait_s
                self._connection = connection
                self.on_up()
                connection.ended.wait()
                self._connection = None
                self.on_down()
            if connection is not None:
                self._discard(connection)
                if connection.wrong_version or not connection.answered:
                    # Ask in the other version; what answers is remembered.
                    self._versions.rotate(1)
                    if connection.wrong_version:
                        continue
            self._stop.wait(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
            wait_s = min(2 * wait_s, _LAST_WAIT_S)

    def _connect(self) -> _Connection | None:
        """A connection that is subscribed or has failed; None where there is not even a socket."""
        connection = _Connection(self._client(self._versions[0]))
        client = connection.client
        self._listen(connection)
        self._attempt = connection
        try:
            client.connect(self._host, self._port, keepalive=_KEEPALIVE_S)
            if isinstance(opened := client.socket(), socket.socket):
                # Small packets at once: the library leaves Nagle's algorithm on, which costs 40 ms for every answer.
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except (OSError, UnicodeError) as error:
            _log.debug("no connection to the broker: %s", type(error).__name__)
            return None
        client.loop_start()
        if not connection.ready.wait(_CONNECT_TIMEOUT_S):
            _log.warning("the broker does not answer")
        return connection

    def _client(self, version: MQTTProtocolVersion) -> Client:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            clean_session=True if version is MQTTProtocolVersion.MQTTv311 else None,
            protocol=version,
            reconnect_on_failure=False,
        )
        client.connect_timeout = _CONNECT_TIMEOUT_S
        # The engine decides how much is under way; a critical item must not queue behind twenty others in the library.
        client.max_inflight_messages_set(1000)
        if self._username is not None:
            client.username_pw_set(self._username, self._password)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        return client

    def _listen(self, connection: _Connection) -> None:
        """Set the client's callbacks; they run on its thread."""
        client = connection.client
        topic = f"{_UP}/+" if self._is_hub else f"{_DOWN}/{self._name}"

        def connected(_client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
            connection.answered = True
            if reason.is_failure:
                # 132 is MQTT 5's "unsupported protocol version", to which paho also maps the old code 1.
                connection.wrong_version = reason.value == 132
                if not connection.wrong_version:
                    _log.warning("the broker refuses the connection: %s", reason)
                connection.ended.set()
                connection.ready.set()
            else:
                client.subscribe(topic, qos=1)

        def subscribed(_client: Client, _data: Any, _mid: int, reasons: list[Any], _properties: Any) -> None:
            connection.subscribed = not any(reason.is_failure for reason in reasons)
            if not connection.subscribed:
                _log.error("the broker does not let us subscribe")
                connection.ended.set()
            connection.ready.set()

        def disconnected(_client: Client, _data: Any, _flags: Any, _reason: Any, _properties: Any) -> None:
            connection.gone.set()
            connection.ended.set()
            connection.ready.set()

        def message(_client: Client, _data: Any, received: Any) -> None:
            try:
                sender = received.topic.rpartition("/")[2] if self._is_hub else HUB
            except UnicodeDecodeError:
                return
            # Anybody whom the broker lets in may publish under any name: what cannot be a kit is not heard.
            if not self._is_hub or is_kit_id(sender):
                self.on_message(sender, received.payload)

        client.on_connect = connected
        client.on_subscribe = subscribed
        client.on_disconnect = disconnected
        client.on_message = message

    @staticmethod
    def _discard(connection: _Connection) -> None:
        """End a client for good; what it still held is forgotten with it."""
        client = connection.client
        client.disconnect()
        if not connection.gone.wait(_POLITE_S) and isinstance(open_socket := client.socket(), socket.socket):
            # A half-open connection takes no good-bye, and the library would wait for its heartbeat to fail.
            with contextlib.suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)
        client.loop_stop()
