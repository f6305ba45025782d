"""The county's own certificate authority: for kits, for the hub, and for the names under which they reach it.

The CA and the hub's own certificates have P-256 keys, which every browser and broker reads; a kit's key is Ed25519,
as it also signs the kit's requests over HTTPS (``sync.links.signed_request``). A kit's key never leaves the kit.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from zhenbao.hub.issued import Issued, read_issued, write_issued
from zhenbao.model.errors import InputError
from zhenbao.sync.names import HUB, check_kit_id, emergency_side, is_emergency_mailbox, is_mailbox, kit_behind

CA_CERTIFICATE, CA_KEY, CRL = "ca.pem", "ca.key", "crl.pem"
SERVER, SERVER_KEY = "server.pem", "server.key"
"""For the hub's listeners: the broker's and the web page's."""
HUB_CLIENT, HUB_CLIENT_KEY = "hub.pem", "hub.key"
"""The hub as a client of the broker."""
EMERGENCY_USER = "emergency"
"""The name in the certificates of all emergency sides: a broker's list of rights has one line for them."""
CA_DAYS, SERVER_DAYS, KIT_DAYS = 7300, 825, 1095
_BACKDATED = timedelta(days=1)
"""A tablet's clock may be hours behind."""


def init_ca(directory: Path, county: str, now_ms: int) -> None:
    """Make the CA, the hub's client certificate and an empty revocation list.

    Raises:
        InputError: ``ca-exists``: a second CA would lock out every kit.
    """
    if (directory / CA_KEY).exists() or (directory / CA_CERTIFICATE).exists():
        raise InputError("ca-exists", path=directory)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, county)])
    now = _time(now_ms)
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    _write_key(directory / CA_KEY, key)
    (directory / CA_CERTIFICATE).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    write_issued(directory, [])
    _write_crl(directory, now_ms)
    _issue_own(directory, HUB_CLIENT, HUB_CLIENT_KEY, HUB, [HUB], ExtendedKeyUsageOID.CLIENT_AUTH, now_ms)


def issue_server(directory: Path, hosts: Sequence[str], now_ms: int) -> None:
    """A key and certificate for the broker and the web page, valid for these names and addresses; and the hub's own
    client certificate anew, so that both are renewed together.

    Raises:
        InputError: ``ca-missing``, ``ca-host``.
    """
    if not hosts or any(not host.isascii() or not host or len(host) > 253 for host in hosts):
        raise InputError("ca-host")
    _issue_own(directory, SERVER, SERVER_KEY, hosts[0][:64], hosts, ExtendedKeyUsageOID.SERVER_AUTH, now_ms)
    _issue_own(directory, HUB_CLIENT, HUB_CLIENT_KEY, HUB, [HUB], ExtendedKeyUsageOID.CLIENT_AUTH, now_ms)


def sign_kit(directory: Path, csr_pem: bytes, kit_id: str, now_ms: int, days: int = KIT_DAYS) -> bytes:
    """A kit's certificate, or its emergency side's, PEM, for one request that its technician brought.

    Raises:
        InputError: ``ca-missing``; ``kit-id``; ``ca-request``: no request, a bad signature, another kind of key, or no
            mailbox name; ``ca-mailbox-taken``: another kit has this name; ``ca-kit-has-mailbox``: the kit has another
            name (a new tablet: revoke the old one first).
    """
    check_kit_id(kit_id)
    try:
        request = x509.load_pem_x509_csr(csr_pem)
        names = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        mailbox = str(names[0].value) if len(names) == 1 else ""
        public_key = request.public_key()
        genuine = request.is_signature_valid
    except (ValueError, InvalidSignature) as error:
        raise InputError("ca-request", reason=type(error).__name__) from error
    emergency = is_emergency_mailbox(mailbox)
    if not (genuine and (is_mailbox(mailbox) or emergency) and isinstance(public_key, Ed25519PublicKey)):
        raise InputError("ca-request", reason="signature, name or key")
    name, side = (EMERGENCY_USER, emergency_side(kit_id)) if emergency else (mailbox, kit_id)
    rows = read_issued(directory)
    for row in rows:
        if row.mailbox == mailbox and row.kit_id != side:
            raise InputError("ca-mailbox-taken")
        if row.kit_id == side and row.mailbox != mailbox and not row.revoked_ms:
            raise InputError("ca-kit-has-mailbox", kit=kit_id)
        if row.mailbox == mailbox and row.revoked_ms:
            raise InputError("ca-request", reason="revoked")
    certificate = _certificate(
        directory, name, [mailbox], public_key, ExtendedKeyUsageOID.CLIENT_AUTH, now_ms, timedelta(days=days)
    )
    ended_ms = round(certificate.not_valid_after_utc.timestamp() * 1000)
    serial, raw = f"{certificate.serial_number:x}", public_key.public_bytes_raw().hex()
    write_issued(directory, [*rows, Issued(side, mailbox, serial, raw, ended_ms)])
    return certificate.public_bytes(serialization.Encoding.PEM)


def revoke_kit(directory: Path, kit_id: str, now_ms: int) -> int:
    """Let no certificate of a kit count any more, its emergency side's neither; returns how many that were. The broker
    must be restarted after it.

    Raises:
        InputError: ``ca-missing``; ``ca-kit-unknown``.
    """
    rows = read_issued(directory)
    wanted = [row for row in rows if kit_behind(row.kit_id) == kit_id and not row.revoked_ms]
    if not wanted:
        raise InputError("ca-kit-unknown", kit=kit_id[:32])
    changed = [
        Issued(r.kit_id, r.mailbox, r.serial, r.public_key, r.not_after_ms, now_ms) if r in wanted else r for r in rows
    ]
    write_issued(directory, changed)
    _write_crl(directory, now_ms)
    return len(wanted)


def _issue_own(
    directory: Path,
    certificate_file: str,
    key_file: str,
    name: str,
    hosts: Sequence[str],
    usage: x509.ObjectIdentifier,
    now_ms: int,
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(directory, name, hosts, key.public_key(), usage, now_ms, timedelta(days=SERVER_DAYS))
    _write_key(directory / key_file, key)
    (directory / certificate_file).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _certificate(
    directory: Path,
    name: str,
    hosts: Sequence[str],
    public_key: Ed25519PublicKey | ec.EllipticCurvePublicKey,
    usage: x509.ObjectIdentifier,
    now_ms: int,
    lasts: timedelta,
) -> x509.Certificate:
    ca, ca_key = _load_ca(directory)
    now = _time(now_ms)
    key_usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(ca.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(now - _BACKDATED, ca.not_valid_before_utc))
        .not_valid_after(min(now + lasts, ca.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _write_crl(directory: Path, now_ms: int) -> None:
    ca, key = _load_ca(directory)
    # It lasts as long as the CA: a list that has expired would make a broker refuse every kit, on a day nobody chose.
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ca.subject)
        .last_update(_time(now_ms) - _BACKDATED)
        .next_update(ca.not_valid_after_utc)
    )
    for row in read_issued(directory):
        if row.revoked_ms:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(int(row.serial, 16))
                .revocation_date(_time(row.revoked_ms))
                .build()
            )
    draft = directory / f".{CRL}.new"
    draft.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    draft.replace(directory / CRL)


def _load_ca(directory: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    try:
        certificate = x509.load_pem_x509_certificate((directory / CA_CERTIFICATE).read_bytes())
        key = serialization.load_pem_private_key((directory / CA_KEY).read_bytes(), None)
    except (OSError, TypeError, ValueError) as error:
        raise InputError("ca-missing", path=directory, reason=type(error).__name__) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise InputError("ca-missing", path=directory, reason="key")
    return certificate, key


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    encoded = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(encoded)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
