"""The kit's roads to the hub, as its settings name them: MQTT first, the web beside it or instead of it.

A locked kit has the same roads for its emergency side alone, with a certificate and a key that need no PIN.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from zhenbao.agent.own_keys import held_key, road_passphrase
from zhenbao.agent.settings import KitSettings
from zhenbao.model.errors import InputError, LinkDown
from zhenbao.sync.links.identity import EMERGENCY_CERTIFICATE, EMERGENCY_KEY, load_key, mailbox_in
from zhenbao.sync.links.several import Road, SeveralRoads
from zhenbao.sync.links.tls import client_context, ending_soon, own_trouble
from zhenbao.sync.names import emergency_side

if TYPE_CHECKING:
    import ssl


def open_roads(home: Path, settings: KitSettings, key: bytes | None = None) -> SeveralRoads:
    """The roads of a kit, not yet started.

    Args:
        key: the store's, which opens the road's; None: the one that the vault holds open.

    Raises:
        InputError: ``link-address``, no road at all; ``link-url``; ``tls-file``, a certificate or key that is missing
            or does not fit.
        StorageError: ``vault-locked``.
    """
    if not has_certificate(settings):
        return _roads(settings, settings.kit_id)
    certificate, own = home / settings.hub_certificate, home / settings.hub_key
    passphrase = road_passphrase(key or held_key(home))
    tls = client_context(home / settings.hub_ca, certificate, own, passphrase)
    return _roads(settings, mailbox_in(certificate), tls, load_key(own, passphrase).sign)


def open_emergency_roads(home: Path, settings: KitSettings) -> SeveralRoads:
    """The roads of a locked kit's emergency side, not yet started. They need no PIN.

    Raises:
        InputError: ``emergency-road``, it has no certificate; else as :func:`open_roads`.
    """
    if not has_certificate(settings):
        return _roads(settings, emergency_side(settings.kit_id), emergency=True)
    certificate, own = home / EMERGENCY_CERTIFICATE, home / EMERGENCY_KEY
    if not certificate.exists():
        raise InputError("emergency-road")
    tls = client_context(home / settings.hub_ca, certificate, own)
    return _roads(settings, mailbox_in(certificate), tls, load_key(own).sign, emergency=True)


def certificate_troubles(home: Path, settings: KitSettings, now_ms: int) -> list[LinkDown]:
    """Whether a certificate of the kit's is out of its time, or will be before long: said before anything is tried.

    Raises:
        InputError: ``tls-file``.
    """
    if not has_certificate(settings):
        return []
    places = [home / settings.hub_certificate, home / EMERGENCY_CERTIFICATE]
    found = [own_trouble(place, now_ms) or ending_soon(place, now_ms) for place in places if place.exists()]
    return [trouble for trouble in found if trouble is not None]


def has_certificate(settings: KitSettings) -> bool:
    """Whether a road needs the kit's certificate: MQTT over TLS, or HTTPS, whose requests its key signs."""
    return settings.hub_tls or bool(settings.hub_https)


def _roads(
    settings: KitSettings,
    name: str,
    tls: ssl.SSLContext | None = None,
    sign: Callable[[bytes], bytes] | None = None,
    *,
    emergency: bool = False,
) -> SeveralRoads:
    from zhenbao.sync.links.https import HttpsLink
    from zhenbao.sync.links.mqtt import MqttLink

    roads: dict[str, Road] = {}
    if settings.hub_host:
        mqtt_tls = tls if settings.hub_tls else None
        roads["mqtt"] = MqttLink(settings.hub_host, settings.hub_port, name, tls=mqtt_tls, emergency=emergency)
    if settings.hub_https and sign is not None:
        roads["https"] = HttpsLink(settings.hub_https, name, sign, tls=tls, emergency=emergency)
    if not roads:
        raise InputError("link-address")
    return SeveralRoads(roads)
