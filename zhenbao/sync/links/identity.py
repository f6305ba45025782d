"""A kit's own keys for its roads and the request for their certificates, made on the kit: the keys never leave it.

There are two: the kit's, behind its PIN once it has one, and its emergency side's, with which a locked kit brings
emergencies and can reach nothing else.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from zhenbao.model.errors import InputError
from zhenbao.sync.names import is_emergency_mailbox, is_mailbox, new_mailbox

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.x509 import CertificateSigningRequest, Name

KEY, REQUEST, CERTIFICATE, CA = "road.key", "road.csr", "road.pem", "county-ca.pem"
EMERGENCY_KEY, EMERGENCY_CERTIFICATE = "emergency.key", "emergency.pem"
_END = b"-----END CERTIFICATE REQUEST-----"
_ENCRYPTED = b"BEGIN ENCRYPTED PRIVATE KEY"


def make_request(folder: Path, passphrase: bytes | None = None) -> tuple[str, Path]:
    """Make the kit's keys (once), mailbox names, and the request for certificates. Renewing keeps keys and names.

    Args:
        passphrase: encrypts the kit's key, and opens one that is there; None: it lies open.

    Returns:
        The kit's mailbox name, and the file to bring to the hub: one request after the other.

    Raises:
        InputError: ``tls-file``: a key that is there cannot be read.
    """
    from cryptography.hazmat.primitives import serialization

    asked = _asked_for(folder / REQUEST)
    mailbox = next(filter(is_mailbox, asked), None) or new_mailbox()
    emergency = next(filter(is_emergency_mailbox, asked), None) or new_mailbox(emergency=True)
    requests = b""
    for name, file, secret in ((mailbox, KEY, passphrase), (emergency, EMERGENCY_KEY, None)):
        if not (folder / file).exists():
            _make_key(folder / file, secret)
        requests += _request(name, load_key(folder / file, secret)).public_bytes(serialization.Encoding.PEM)
    (folder / REQUEST).write_bytes(requests)
    return mailbox, folder / REQUEST


def requests_in(pem: bytes) -> list[bytes]:
    """The single requests of what ``make_request`` wrote."""
    return [part + _END + b"\n" for part in pem.split(_END)[:-1]]


def load_key(path: Path, passphrase: bytes | None = None) -> Ed25519PrivateKey:
    """The kit's key.

    Raises:
        InputError: ``tls-file``: missing, unreadable, another passphrase's, or no Ed25519 key.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        data = path.read_bytes()
        key = serialization.load_pem_private_key(data, passphrase if _ENCRYPTED in data else None)
    except (OSError, TypeError, ValueError) as error:
        raise InputError("tls-file", path=path.name, reason=type(error).__name__) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError("tls-file", path=path.name, reason="not an Ed25519 key")
    return key


def is_encrypted(path: Path) -> bool:
    """Whether the key in a file needs a passphrase; false for what is none."""
    try:
        return _ENCRYPTED in path.read_bytes()
    except OSError:
        return False


def encrypt_key(path: Path, passphrase: bytes) -> bytes:
    """A key that lies open, as an encrypted PKCS#8 in PEM.

    Raises:
        InputError: ``tls-file``.
    """
    return _encoded(load_key(path), passphrase)


def mailbox_in(certificate: Path) -> str:
    """The mailbox name in a kit's certificate, or in its emergency side's.

    Raises:
        InputError: ``tls-file``: no certificate, or none of a kit.
    """
    try:
        pem = certificate.read_bytes()
    except OSError as error:
        raise InputError("tls-file", path=certificate.name, reason=type(error).__name__) from error
    return mailbox_named(pem, certificate.name)


def mailbox_named(pem: bytes, file: str) -> str:
    """As :func:`mailbox_in`, of a certificate at hand; ``file`` is what an error names."""
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate(pem)
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        (name,) = names.get_values_for_type(x509.DNSName)
    except (ValueError, x509.ExtensionNotFound) as error:
        raise InputError("tls-file", path=file, reason=type(error).__name__) from error
    if not (is_mailbox(name) or is_emergency_mailbox(name)):
        raise InputError("tls-file", path=file, reason="not a kit's certificate")
    return name


def _make_key(path: Path, passphrase: bytes | None) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(_encoded(Ed25519PrivateKey.generate(), passphrase))
        file.flush()
        os.fsync(file.fileno())


def _encoded(key: Ed25519PrivateKey, passphrase: bytes | None) -> bytes:
    from cryptography.hazmat.primitives import serialization

    sealing = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealing)


def _request(name: str, key: Ed25519PrivateKey) -> CertificateSigningRequest:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, None)


def _asked_for(request: Path) -> list[str]:
    """The names in a request made before."""
    from cryptography import x509

    try:
        found = [_common_name(x509.load_pem_x509_csr(one).subject) for one in requests_in(request.read_bytes())]
    except (OSError, ValueError):
        return []
    return found


def _common_name(subject: Name) -> str:
    from cryptography.x509.oid import NameOID

    found = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if len(found) == 1 else ""
