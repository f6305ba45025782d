"""MQTT as a road: QoS 1, nothing remembered by us, MQTT 5 where the broker speaks it, 3.1.1 otherwise.

Topics are ``zhenbao/v1/up/<mailbox>`` (kit to hub), ``zhenbao/v1/down/<mailbox>`` (hub to kit) and
``zhenbao/v1/gone/<mailbox>`` (the last will: this kit's line broke; empty). A locked kit's emergency side has
``zhenbao/v1/emergency/<mailbox>`` and ``zhenbao/v1/receipt/<mailbox>`` alone. The broker sees mailbox names, sizes and
times, never what is in a message; client ids are random, but for an emergency side's, which is its mailbox name.

Each connection gets a client of its own (paho-mqtt) that is thrown away with it, so no queue of the library outlives
a connection, and reconnecting is ours. With MQTT 5 the broker keeps the *session* for a few minutes, so that what
was sent to us during a short outage still comes; nothing depends on it, as only receipts end an item.
"""

from __future__ import annotations

import logging
import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from zhenbao.model.errors import InputError, LinkDown, Rejected
from zhenbao.sync.links.backoff import FIRST_S, LAST_S, Backoff
from zhenbao.sync.links.mqtt_connection import MqttConnection
from zhenbao.sync.links.outgoing import Packet
from zhenbao.sync.links.tcp import tune
from zhenbao.sync.links.tls import trouble_of, trouble_of_text
from zhenbao.sync.names import HUB, AddressBook, OpenBook, check_kit_id, is_emergency_side, is_kit_id, kit_behind

if TYPE_CHECKING:
    import ssl

    from paho.mqtt.client import Client
    from paho.mqtt.enums import MQTTProtocolVersion

_log = logging.getLogger(__name__)
UP, DOWN, GONE = "zhenbao/v1/up", "zhenbao/v1/down", "zhenbao/v1/gone"
EMERGENCY, RECEIPT = "zhenbao/v1/emergency", "zhenbao/v1/receipt"
_KEEPALIVE_S = 30
_CONNECT_TIMEOUT_S = 10.0
SESSION_S = 300
"""How long a broker keeps what it has for us after a break; a longer one is caught up by sending again."""
MOST_BYTES = 4 << 20
"""The largest message this road takes; a broker may be set to less."""
_TOPIC_BYTES = 128
"""Room for the topic and the header in a packet whose size a broker limits."""
_UNSUPPORTED_VERSION = 132
"""MQTT 5's reason code, to which paho also maps the old code 1."""
_NOT_AUTHORIZED = 135


class MqttLink:
    """Implements ``sync.link.Link``.

    Args:
        host: the broker.
        port: 1883, or 8883 with TLS.
        own_name: the kit's name on this road (see ``sync.names``), or ``hub``.
        is_hub: which side this is.
        emergency: this is a locked kit's emergency side.
        tls: a context from ``sync.links.tls.client_context``; None for none.
        book: at the hub: who is behind which name.
        first_wait_s, last_wait_s: bounds of the pauses before connecting again.

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
        emergency: bool = False,
        username: str | None = None,
        password: str | None = None,
        tls: ssl.SSLContext | None = None,
        book: AddressBook | None = None,
        first_wait_s: float = FIRST_S,
        last_wait_s: float = LAST_S,
    ) -> None:
        self.on_message: Callable[[str, bytes], None] = lambda sender, data: None
        self.on_up: Callable[[], None] = lambda: None
        self.on_down: Callable[[], None] = lambda: None
        self.on_gone: Callable[[str], None] = lambda kit_id: None
        """At the hub: the broker says that this kit's connection broke, or it said good-bye."""
        self.trouble: LinkDown | None = None
        """Why the last attempt failed; None while connected, and before the first."""
        if not host or not 0 < port < 1 << 16:
            raise InputError("link-address")
        self._host = host
        self._port = port
        if not is_hub:
            check_kit_id(kit_behind(own_name) if emergency else own_name)
        self._name = HUB if is_hub else own_name
        self._is_hub = is_hub
        self._emergency = emergency
        self._username = username
        self._password = password
        self._tls = tls
        self._book = book or OpenBook()
        self._backoff = Backoff(first_wait_s, last_wait_s)
        # The same client id for the life of this link, so that a broker ends a half-open connection of ours at once
        # and knows our session again; random, as it is no business of the broker's who we are.
        # An emergency side's is its name: a broker that has one user for all of them tells them apart by it.
        self._client_id = own_name if emergency else f"zhenbao-{secrets.token_hex(8)}"
        self._versions: deque[MQTTProtocolVersion] = deque()
        self._fresh = True
        self._interface = ""
        self._attempt: MqttConnection | None = None
        self._connection: MqttConnection | None = None
        self._stop = threading.Event()
        self._pause = threading.Event()
        """Ends the pause before the next attempt."""
        self._thread: threading.Thread | None = None

    @property
    def connected(self) -> bool:
        return self._connection is not None

    @property
    def backlog_bytes(self) -> int:
        """Bytes that the broker has not acknowledged, whether they are under way or wait here."""
        connection = self._connection
        return connection.outgoing.backlog_bytes if connection is not None else 0

    @property
    def resumed(self) -> bool:
        """Whether the broker still had our session when this connection was made."""
        connection = self._connection
        return connection is not None and connection.resumed

    def start(self) -> None:
        """Connect, and connect again for ever, on a thread of its own."""
        if self._thread is not None:
            return
        self._stop.clear()
        self._pause.clear()
        self._thread = threading.Thread(target=self._keep_up, name="mqtt-link", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Disconnect; returns when the threads have ended."""
        self._stop.set()
        self._pause.set()
        attempt = self._attempt
        if attempt is not None:
            attempt.finish()
        if self._thread is not None:
            self._thread.join(_CONNECT_TIMEOUT_S + 5)
            self._thread = None

    def hurry(self) -> None:
        """Try to connect now: somebody waits, or the network has just come. Harmless while connected."""
        if not self.connected:
            self._pause.set()

    def via(self, interface: str) -> None:
        """Leave by this network interface from now on; a connection by another one ends and is made anew at once.

        The broker is told good-bye and keeps the session; what it has not acknowledged is sent again by the engine.

        Args:
            interface: empty: as the routes say, and a connection that stands stays.
        """
        self._interface = interface
        connection = self._connection
        if connection is None:
            self.hurry()
        elif interface and not connection.leaves_by(interface):
            connection.moved = True
            connection.finish()

    def send(self, recipient: str, data: bytes, *, urgent: bool = False) -> None:
        """Hand a message to the broker's connection.

        Raises:
            LinkDown: ``link-down``.
            Rejected: ``link-too-large``, or ``link-recipient``, what can be no kit at all.
        """
        connection = self._connection
        most = MOST_BYTES
        if connection is not None and connection.most_bytes is not None:
            most = min(most, connection.most_bytes - _TOPIC_BYTES)
        if len(data) > most:
            raise Rejected("link-too-large", size=len(data), most=most)
        if self._is_hub and not (is_kit_id(recipient) or is_emergency_side(recipient)):
            raise Rejected("link-recipient")
        if connection is None:
            raise LinkDown("link-down")
        if self._is_hub and self._book.mailbox_of(recipient) is None:
            # A kit without a certificate now (revoked, its new tablet not yet enrolled) is away, not impossible.
            return
        connection.outgoing.put(Packet(recipient, data, urgent))
        if not connection.pump():
            raise LinkDown("link-down")

    # On the link's own thread

    def _keep_up(self) -> None:
        from paho.mqtt.enums import MQTTProtocolVersion

        self._versions = deque([MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311])
        self._fresh = True
        while not self._stop.is_set():
            connection = self._connect()
            if connection is not None and connection.subscribed:
                self._backoff.succeeded()
                self.trouble = None
                self._fresh = False
                self._connection = connection
                self.on_up()
                self.via(self._interface)  # another one may have been chosen meanwhile
                connection.ended.wait()
                self._connection = None
                self.on_down()
            if connection is not None:
                if connection.ended.is_set() and not (connection.wrong_version or connection.moved):
                    self.trouble = connection.trouble or self._closed()
                connection.discard(farewell=self._farewell if self._stop.is_set() else None)
                if connection.moved:
                    continue
                if connection.wrong_version or not connection.answered:
                    # Ask in the other version; what answers is remembered.
                    self._versions.rotate(1)
                    if connection.wrong_version:
                        continue
            self._pause.wait(self._backoff.next_s())
            if not self._stop.is_set():
                self._pause.clear()

    def _connect(self) -> MqttConnection | None:
        """A connection that is subscribed or has failed; None where there is not even a socket."""
        version = self._versions[0]
        interface = self._interface
        connection = MqttConnection(self._client(version, interface), self._topic_for, interface)
        client = connection.client
        self._listen(connection)
        self._attempt = connection
        try:
            client.connect(self._host, self._port, keepalive=_KEEPALIVE_S, **self._session(version))
            if isinstance(opened := client.socket(), socket.socket):
                tune(opened)
        except (OSError, ValueError) as error:  # ValueError: a host name that is none
            self.trouble = trouble_of(error, _now_ms()) or LinkDown("link-nobody", reason=type(error).__name__)
            _log.debug("no connection to the broker: %s", type(error).__name__)
            return None
        client.loop_start()
        if not connection.ready.wait(_CONNECT_TIMEOUT_S):
            self.trouble = LinkDown("link-nobody", reason="silent")
            _log.warning("the broker does not answer")
        return connection

    def _closed(self) -> LinkDown:
        """A connection that ended without a reason. The alert that carries one is lost now and then, when the socket is
        reset before it is read: what a certificate was refused for stays said until something else happens."""
        known = self.trouble
        return (
            known if known is not None and known.code.startswith("tls-") else LinkDown("link-nobody", reason="closed")
        )

    def _session(self, version: MQTTProtocolVersion) -> dict[str, Any]:
        """How a connection is to be joined to the one before it; 3.1.1 has no expiry, so there it never is."""
        from paho.mqtt.enums import MQTTProtocolVersion
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        if version is not MQTTProtocolVersion.MQTTv5:
            return {}
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_S
        return {"clean_start": self._fresh, "properties": properties}

    def _farewell(self, client: Client) -> None:
        """Said by whom it stops on purpose: a broker sends the last will only where a line breaks."""
        from paho.mqtt.enums import MQTTProtocolVersion
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        if not (self._is_hub or self._emergency):
            client.publish(f"{GONE}/{self._name}", b"", qos=0)
        if client.protocol == MQTTProtocolVersion.MQTTv5:
            properties = Properties(PacketTypes.DISCONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = 0
            client.disconnect(properties=properties)

    def _topic_for(self, recipient: str) -> str:
        if self._is_hub:
            return f"{RECEIPT if is_emergency_side(recipient) else DOWN}/{self._book.mailbox_of(recipient)}"
        return f"{EMERGENCY if self._emergency else UP}/{self._name}"

    def _topics(self) -> list[str]:
        """What is heard."""
        if self._is_hub:
            return [f"{UP}/+", f"{GONE}/+", f"{EMERGENCY}/+"]
        return [f"{RECEIPT if self._emergency else DOWN}/{self._name}"]

    def _client(self, version: MQTTProtocolVersion, interface: str) -> Client:
        from paho.mqtt.enums import MQTTProtocolVersion

        from zhenbao.sync.links.bound_client import BoundClient

        client = BoundClient(
            interface,
            client_id=self._client_id,
            clean_session=True if version is MQTTProtocolVersion.MQTTv311 else None,
            protocol=version,
            reconnect_on_failure=False,
        )
        client.connect_timeout = _CONNECT_TIMEOUT_S
        # How much is under way is decided by our own window; a queue inside the library could not be overtaken.
        client.max_inflight_messages_set(1000)
        if self._username is not None:
            client.username_pw_set(self._username, self._password)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        if not (self._is_hub or self._emergency):
            client.will_set(f"{GONE}/{self._name}", b"", qos=1)
        return client

    def _listen(self, connection: MqttConnection) -> None:
        """Set the client's callbacks; they run on its thread."""
        client = connection.client
        topics = self._topics()

        def connected(_client: Client, _data: Any, flags: Any, reason: Any, properties: Any) -> None:
            connection.answered = True
            if reason.is_failure:
                connection.wrong_version = reason.value == _UNSUPPORTED_VERSION
                if not connection.wrong_version:
                    connection.trouble = LinkDown("link-refused", reason=reason)
                    _log.warning("the broker refuses the connection: %s", reason)
                connection.finish()
            else:
                connection.resumed = flags.session_present
                connection.most_bytes = getattr(properties, "MaximumPacketSize", None)
                client.subscribe([(topic, 1) for topic in topics])

        def subscribed(_client: Client, _data: Any, _mid: int, reasons: list[Any], _properties: Any) -> None:
            connection.subscribed = not any(reason.is_failure for reason in reasons)
            if not connection.subscribed:
                connection.trouble = LinkDown("link-refused", reason="subscribe")
                _log.error("the broker does not let us subscribe")
                connection.ended.set()
            connection.ready.set()

        def disconnected(_client: Client, _data: Any, _flags: Any, _reason: Any, _properties: Any) -> None:
            connection.gone.set()
            connection.finish()

        def published(_client: Client, _data: Any, mid: int, reason: Any, _properties: Any) -> None:
            if reason.value == _NOT_AUTHORIZED:
                self.trouble = LinkDown("link-refused", reason="publish")
            connection.published(mid)

        def message(_client: Client, _data: Any, received: Any) -> None:
            try:
                kind, _, mailbox = received.topic.rpartition("/")
            except UnicodeDecodeError:
                return
            if not self._is_hub:
                self.on_message(HUB, received.payload)
            # Anybody whom the broker lets in may publish under any name: what cannot be a kit is not heard.
            elif (kit_id := self._book.kit_of(mailbox)) is not None and is_emergency_side(kit_id) is (
                kind == EMERGENCY
            ):
                if kind == GONE:
                    self.on_gone(kit_id)
                else:
                    self.on_message(kit_id, received.payload)

        def log(_client: Client, _data: Any, _level: int, text: str) -> None:
            # In TLS 1.3 the broker judges our certificate after the handshake: the library only logs what it says.
            connection.trouble = connection.trouble or trouble_of_text(text, _now_ms())

        client.on_connect = connected
        client.on_subscribe = subscribed
        client.on_disconnect = disconnected
        client.on_publish = published
        client.on_message = message
        client.on_log = log


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
