"""paho's MQTT client on a socket that leaves by one interface. Slow to import."""

from __future__ import annotations

import socket
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from zhenbao.sync.links.bound import dial


class BoundClient(Client):
    """The library takes a source address, but no interface, and calls ``on_socket_open`` only after the handshake."""

    def __init__(self, interface: str, **options: Any) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, **options)
        self._interface = interface

    def _create_socket_connection(self) -> socket.socket:
        # Not public; tests/sync/links/test_bound.py says so if another version no longer asks for it.
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        return dial(found, self._interface, self.connect_timeout)
