"""The kit's roads to the hub, as its settings name them: MQTT first, the web beside it or instead of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zhenbao.agent.settings import KitSettings
from zhenbao.model.errors import InputError, LinkDown
from zhenbao.sync.links.identity import load_key, mailbox_in
from zhenbao.sync.links.several import Road, SeveralRoads
from zhenbao.sync.links.tls import client_context, own_trouble

if TYPE_CHECKING:
    import ssl


def open_roads(home: Path, settings: KitSettings) -> SeveralRoads:
    """The roads of a kit, not yet started.

    Raises:
        InputError: ``link-address``, no road at all; ``link-url``; ``tls-file``, a certificate or key that is missing
            or does not fit.
    """
    from zhenbao.sync.links.https import HttpsLink
    from zhenbao.sync.links.mqtt import MqttLink

    roads: dict[str, Road] = {}
    name, tls = settings.kit_id, None
    if has_certificate(settings):
        name, tls = mailbox_in(home / settings.hub_certificate), _context(home, settings)
    if settings.hub_host:
        roads["mqtt"] = MqttLink(settings.hub_host, settings.hub_port, name, tls=tls if settings.hub_tls else None)
    if settings.hub_https:
        roads["https"] = HttpsLink(settings.hub_https, name, load_key(home / settings.hub_key).sign, tls=tls)
    if not roads:
        raise InputError("link-address")
    return SeveralRoads(roads)


def certificate_trouble(home: Path, settings: KitSettings, now_ms: int) -> LinkDown | None:
    """Whether the kit's own certificate is out of its time, by the tablet's clock: said before anything is tried.

    Raises:
        InputError: ``tls-file``.
    """
    return own_trouble(home / settings.hub_certificate, now_ms) if has_certificate(settings) else None


def has_certificate(settings: KitSettings) -> bool:
    """Whether a road needs the kit's certificate: MQTT over TLS, or HTTPS, whose requests its key signs."""
    return settings.hub_tls or bool(settings.hub_https)


def _context(home: Path, settings: KitSettings) -> ssl.SSLContext:
    return client_context(home / settings.hub_ca, home / settings.hub_certificate, home / settings.hub_key)
