"""The technician's part of a kit's certificate: ask for one, and put the answer in its place."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from zhenbao.agent.settings import KitSettings, check_roads, save_settings
from zhenbao.model.errors import InputError
from zhenbao.sync.links.identity import CA, CERTIFICATE, load_key, mailbox_in
from zhenbao.sync.links.tls import client_context, own_trouble


def accept_certificate(
    home: Path, settings: KitSettings, folder: Path, *, mqtt: tuple[str, int] | None, https: str, now_ms: int
) -> str:
    """Check what came back from the hub, put it into the kit's folder, and set the roads. Gives the mailbox name.

    Args:
        folder: with ``road.pem`` and ``county-ca.pem``.
        mqtt: host and port of the broker; None: HTTPS alone.
        https: the hub's web address; empty: MQTT alone.

    Raises:
        InputError: ``tls-file``: a file is missing, not signed by this CA, or not for this kit's key; ``link-address``;
            ``link-url``.
        LinkDown: ``tls-clock`` or ``tls-own-expired``: not valid now, by this tablet's clock.
    """
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    host, port = mqtt or ("", 0)
    check_roads(host, port, https)
    mailbox = mailbox_in(folder / CERTIFICATE)
    # Loads certificate and key together: a certificate for another tablet's key fails here.
    client_context(folder / CA, folder / CERTIFICATE, home / settings.hub_key)
    load_key(home / settings.hub_key)
    certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
    try:
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate((folder / CA).read_bytes()))
    except (InvalidSignature, TypeError, ValueError) as error:
        raise InputError("tls-file", path=CERTIFICATE, reason="not signed by this CA") from error
    trouble = own_trouble(folder / CERTIFICATE, now_ms)
    if trouble is not None:
        raise trouble
    for name, kept in ((CERTIFICATE, settings.hub_certificate), (CA, settings.hub_ca)):
        draft = home / f".{kept}.new"
        shutil.copyfile(folder / name, draft)
        draft.replace(home / kept)
    changed = replace(settings, hub_host=host, hub_port=port or settings.hub_port, hub_https=https, hub_tls=bool(host))
    save_settings(home, changed)
    return mailbox
