"""The road with certificates as it ships: a county's CA, its broker's configuration, a kit's key behind the store's."""

from __future__ import annotations

import getpass
import time
from pathlib import Path

from reliability import rig

from zhenbao.agent.own_keys import road_passphrase
from zhenbao.agent.roads import open_roads
from zhenbao.agent.settings import KitSettings
from zhenbao.hub.broker_config import CONFIGURATION, write_broker_config
from zhenbao.hub.ca import CA_CERTIFICATE, HUB_CLIENT, HUB_CLIENT_KEY, init_ca, issue_server, sign_kit
from zhenbao.hub.issued import IssuedBook
from zhenbao.sync.link import Link
from zhenbao.sync.links.identity import EMERGENCY_CERTIFICATE, make_request, requests_in
from zhenbao.sync.links.mqtt import MqttLink
from zhenbao.sync.links.tls import client_context

PORT = 8883


def found(county: Path, host: str) -> Path:
    """A CA, a broker's certificate for this address and a kit with its own; returns the broker's configuration."""
    now_ms = time.time_ns() // 1_000_000
    ca, kit = county / "ca", county / rig.KIT_ID
    init_ca(ca, "演示县", now_ms)
    issue_server(ca, [host], now_ms)
    kit.mkdir()
    settings = _settings(host)
    _, request = make_request(kit, road_passphrase(rig.KEY))
    names = (settings.hub_certificate, EMERGENCY_CERTIFICATE)
    for one, name in zip(requests_in(request.read_bytes()), names, strict=True):
        (kit / name).write_bytes(sign_kit(ca, one, rig.KIT_ID, now_ms))
    (kit / settings.hub_ca).write_bytes((ca / CA_CERTIFICATE).read_bytes())
    write_broker_config(ca, county / "mosquitto", port=PORT, address=host, user=getpass.getuser())
    return county / "mosquitto" / CONFIGURATION


def kit_road(county: Path, host: str) -> Link:
    """As the kit's service opens it once the PIN is given."""
    return open_roads(county / rig.KIT_ID, _settings(host), rig.KEY)


def hub_road(county: Path, host: str) -> Link:
    """As the hub's server opens it."""
    ca = county / "ca"
    tls = client_context(ca / CA_CERTIFICATE, ca / HUB_CLIENT, ca / HUB_CLIENT_KEY)
    return MqttLink(host, PORT, rig.HUB_ID, is_hub=True, tls=tls, book=IssuedBook(ca))


def _settings(host: str) -> KitSettings:
    return KitSettings(rig.KIT_ID, hub_host=host, hub_port=PORT, hub_tls=True)
