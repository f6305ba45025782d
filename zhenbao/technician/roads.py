"""The technician's part of a kit's certificate: ask for one, and put the answer in its place."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from zhenbao.agent.own_keys import held_key, road_passphrase, set_aside
from zhenbao.agent.settings import KitSettings, check_roads, save_settings
from zhenbao.model.errors import InputError
from zhenbao.sync.links.identity import (
    CA,
    CERTIFICATE,
    EMERGENCY_CERTIFICATE,
    EMERGENCY_KEY,
    REQUEST,
    is_encrypted,
    load_key,
    mailbox_in,
    make_request,
)
from zhenbao.sync.links.tls import client_context, own_trouble


def ask_for_certificates(home: Path, settings: KitSettings, now_ms: int) -> tuple[str, Path]:
    """The kit's mailbox name, and the file to bring to the hub.

    A key that the right PIN does not open (its vault was lost) is put aside, and a new one with a new name is made, as
    for a new tablet: the hub must revoke the old one first.

    Raises:
        InputError: ``tls-file``.
        StorageError: ``vault-locked``; ``keys-unwritable``.
    """
    passphrase = road_passphrase(held_key(home))
    try:
        return make_request(home, passphrase)
    except InputError:
        if not is_encrypted(home / settings.hub_key):
            raise
        for name in (settings.hub_key, REQUEST):
            set_aside(home, name, now_ms)
        return make_request(home, passphrase)


def accept_certificate(
    home: Path, settings: KitSettings, folder: Path, *, mqtt: tuple[str, int] | None, https: str, now_ms: int
) -> str:
    """Check what came back from the hub, put it into the kit's folder, and set the roads. Gives the mailbox name.

    Args:
        folder: with ``road.pem``, ``county-ca.pem``, and ``emergency.pem`` where it was asked for.
        mqtt: host and port of the broker; None: HTTPS alone.
        https: the hub's web address; empty: MQTT alone.

    Raises:
        InputError: ``tls-file``: a file is missing, not signed by this CA, or not for this kit's key; ``link-address``;
            ``link-url``.
        LinkDown: ``tls-clock`` or ``tls-own-expired``: not valid now, by this tablet's clock.
        StorageError: ``vault-locked``: the kit's key lies behind the PIN.
    """
    host, port = mqtt or ("", 0)
    check_roads(host, port, https)
    mailbox = mailbox_in(folder / CERTIFICATE)
    _check(folder, CERTIFICATE, home / settings.hub_key, road_passphrase(held_key(home)), now_ms)
    kept_as = [(CERTIFICATE, settings.hub_certificate), (CA, settings.hub_ca)]
    if (folder / EMERGENCY_CERTIFICATE).exists():
        _check(folder, EMERGENCY_CERTIFICATE, home / EMERGENCY_KEY, None, now_ms)
        kept_as.append((EMERGENCY_CERTIFICATE, EMERGENCY_CERTIFICATE))
    for name, kept in kept_as:
        draft = home / f".{kept}.new"
        shutil.copyfile(folder / name, draft)
        draft.replace(home / kept)
    changed = replace(settings, hub_host=host, hub_port=port or settings.hub_port, hub_https=https, hub_tls=bool(host))
    save_settings(home, changed)
    return mailbox


def _check(folder: Path, name: str, key: Path, passphrase: bytes | None, now_ms: int) -> None:
    """Whether a certificate is this kit's, of this CA, and valid now.

    Raises:
        InputError, LinkDown: as :func:`accept_certificate`.
    """
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    # Loads certificate and key together: a certificate for another tablet's key fails here.
    client_context(folder / CA, folder / name, key, passphrase)
    load_key(key, passphrase)
    certificate = x509.load_pem_x509_certificate((folder / name).read_bytes())
    try:
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate((folder / CA).read_bytes()))
    except (InvalidSignature, TypeError, ValueError) as error:
        raise InputError("tls-file", path=name, reason="not signed by this CA") from error
    trouble = own_trouble(folder / name, now_ms)
    if trouble is not None:
        raise trouble
