"""A kit's own key and the request for its certificate, made on the kit: the key never leaves it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from zhenbao.model.errors import InputError
from zhenbao.sync.names import is_mailbox, new_mailbox

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.x509 import Name

KEY, REQUEST, CERTIFICATE, CA = "road.key", "road.csr", "road.pem", "county-ca.pem"


def make_request(folder: Path) -> tuple[str, Path]:
    """Make the kit's key (once), a mailbox name, and the request for a certificate. Renewing keeps key and name.

    Returns:
        The mailbox name, and the file to bring to the hub.

    Raises:
        InputError: ``tls-file``: the key that is there cannot be read.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.x509.oid import NameOID

    path = folder / KEY
    if not path.exists():
        encoded = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(encoded)
            file.flush()
            os.fsync(file.fileno())
    key = load_key(path)
    mailbox = _asked_for(folder / REQUEST) or new_mailbox()
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, mailbox)]))
        .sign(key, None)
    )
    (folder / REQUEST).write_bytes(request.public_bytes(serialization.Encoding.PEM))
    return mailbox, folder / REQUEST


def load_key(path: Path) -> Ed25519PrivateKey:
    """The kit's key.

    Raises:
        InputError: ``tls-file``: missing, unreadable, or no Ed25519 key.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, TypeError, ValueError) as error:
        raise InputError("tls-file", path=path.name, reason=type(error).__name__) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError("tls-file", path=path.name, reason="not an Ed25519 key")
    return key


def mailbox_in(certificate: Path) -> str:
    """The mailbox name in a kit's certificate.

    Raises:
        InputError: ``tls-file``: no certificate, or none of a kit.
    """
    from cryptography import x509

    try:
        name = _common_name(x509.load_pem_x509_certificate(certificate.read_bytes()).subject)
    except (OSError, ValueError) as error:
        raise InputError("tls-file", path=certificate.name, reason=type(error).__name__) from error
    if not is_mailbox(name):
        raise InputError("tls-file", path=certificate.name, reason="not a kit's certificate")
    return name


def _asked_for(request: Path) -> str | None:
    """The name in a request made before."""
    from cryptography import x509

    try:
        name = _common_name(x509.load_pem_x509_csr(request.read_bytes()).subject)
    except (OSError, ValueError):
        return None
    return name if is_mailbox(name) else None


def _common_name(subject: Name) -> str:
    from cryptography.x509.oid import NameOID

    found = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if len(found) == 1 else ""
