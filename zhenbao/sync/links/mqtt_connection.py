"""One MQTT connection: a client of its own (paho-mqtt), what it still has to send, and what has become of it."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zhenbao.sync.links.bound import leaves_by
from zhenbao.sync.links.outgoing import Outgoing, Packet

if TYPE_CHECKING:
    from collections.abc import Callable

    from paho.mqtt.client import Client

    from zhenbao.model.errors import LinkDown

_log = logging.getLogger(__name__)
_POLITE_S = 0.5


@dataclass(slots=True)
class MqttConnection:
    """Thrown away when it ends; nothing that it held outlives it.

    Args:
        topic_for: the topic of a recipient.
        interface: by which the client was told to leave; empty: as the routes say.
    """

    client: Client
    topic_for: Callable[[str], str]
    interface: str = ""
    outgoing: Outgoing = field(default_factory=lambda: Outgoing(time.monotonic))
    ready: threading.Event = field(default_factory=threading.Event)
    """Subscribed: both directions work. Set as well when it ended, so that nobody waits for nothing."""
    ended: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)
    """The socket is closed."""
    answered: bool = False
    subscribed: bool = False
    wrong_version: bool = False
    resumed: bool = False
    """The broker still had our session."""
    most_bytes: int | None = None
    """The largest packet that the broker takes, where it says so (MQTT 5)."""
    trouble: LinkDown | None = None
    moved: bool = False
    """Ended by us, to be made anew by another interface."""
    _published: dict[int, Packet] = field(default_factory=dict)
    _early: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def pump(self) -> bool:
        """Hand the library what may go now. False where it takes nothing any more. From any thread."""
        while (packet := self.outgoing.take()) is not None:
            # No lock of ours is held here: the library holds its own while it calls us back.
            info = self.client.publish(self.topic_for(packet.recipient), packet.data, qos=1)
            if info.rc != 0:
                return False
            with self._lock:
                if info.mid not in self._early:
                    self._published[info.mid] = packet
                    continue
                self._early.discard(info.mid)
            self.outgoing.answered(packet)
        return True

    def published(self, mid: int) -> None:
        """The broker has a message: there is room for others."""
        with self._lock:
            packet = self._published.pop(mid, None)
            if packet is None:
                self._early.add(mid)
                return
        self.outgoing.answered(packet)
        self.pump()

    def leaves_by(self, interface: str) -> bool:
        """Whether it may stay where it is; what is closed has no place, and ends by itself."""
        if interface == self.interface:
            return True
        try:
            opened = self.client.socket()
            return not isinstance(opened, socket.socket) or leaves_by(
                interface, opened.getsockname(), opened.getpeername()
            )
        except OSError:
            return True

    def finish(self) -> None:
        """No more comes of it: wake whoever waits."""
        self.ended.set()
        self.ready.set()

    def discard(self, *, farewell: Callable[[Client], None] | None = None) -> None:
        """End the client for good, with a good-bye where there is somebody to hear it."""
        if farewell is not None and not self.gone.is_set():
            farewell(self.client)
        self.client.disconnect()
        if not self.gone.wait(_POLITE_S) and isinstance(opened := self.client.socket(), socket.socket):
            # A half-open connection takes no good-bye, and the library would wait for its heartbeat to fail.
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
        self.client.loop_stop()
