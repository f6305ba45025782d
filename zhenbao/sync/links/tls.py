"""TLS for the roads: 1.3 or nothing, and a message of its own for each way in which certificates fail.

A tablet whose battery was empty may believe that it is 1970. Then no certificate is valid, nothing is sent, and
waiting does not help: so "the clock is wrong" is said, and never only tried again in silence.
"""

from __future__ import annotations

import re
import ssl
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path

from zhenbao.model.errors import InputError, LinkDown
from zhenbao.model.time import local_text

_DAY_MS = 86_400_000
_REASON = re.compile(r"\[SSL: ([A-Z0-9_]+)\]")
_ALERTS = {
    # What the other side says of our certificate (RFC 8446, section 6.2), in OpenSSL's names.
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "tls-own-expired",
    "SSL/TLS_ALERT_CERTIFICATE_EXPIRED": "tls-own-expired",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "tls-own-revoked",
    "SSLV3_ALERT_BAD_CERTIFICATE": "tls-own-unknown",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "tls-own-unknown",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "tls-own-unknown",
    "TLSV1_ALERT_UNKNOWN_CA": "tls-own-unknown",
    "TLSV1_ALERT_DECRYPT_ERROR": "tls-own-unknown",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "tls-own-missing",
    "TLSV1_ALERT_PROTOCOL_VERSION": "tls-version",
    "UNSUPPORTED_PROTOCOL": "tls-version",
    "WRONG_VERSION_NUMBER": "tls-none",
    "RECORD_LAYER_FAILURE": "tls-none",
}


def client_context(
    ca: Path, certificate: Path | None = None, key: Path | None = None, passphrase: bytes | None = None
) -> ssl.SSLContext:
    """What a kit, or the hub towards its broker, brings to a TLS connection.

    Args:
        ca: the county's CA, the only one that is believed.
        certificate: our own, with its ``key``; None: the other side does not ask for one.
        passphrase: of the key, where it is encrypted.

    Raises:
        InputError: ``tls-file``: a file is missing, no PEM, or the key is not the certificate's or needs another
            passphrase.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    _load(ca, lambda: context.load_verify_locations(cafile=ca))
    if certificate is not None:
        # Never None: OpenSSL would ask for a passphrase on the doctor's terminal.
        _load(certificate, lambda: context.load_cert_chain(certificate, key, password=passphrase or b""))
    return context


def server_context(certificate: Path, key: Path, client_ca: Path | None = None) -> ssl.SSLContext:
    """For a listener; with ``client_ca`` nobody without a certificate of that CA comes in.

    Raises:
        InputError: ``tls-file``.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    _load(certificate, lambda: context.load_cert_chain(certificate, key))
    if client_ca is not None:
        _load(client_ca, lambda: context.load_verify_locations(cafile=client_ca))
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@cache
def warn_ms() -> int:
    """How long before its end a certificate is told of."""
    table = tomllib.loads(files("zhenbao.sync.links").joinpath("expiry.toml").read_text("utf-8"))
    return int(table["certificate"]["warn_days"]) * _DAY_MS


def ends_ms(certificate: Path) -> int:
    """When a certificate ends.

    Raises:
        InputError: ``tls-file``.
    """
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError("tls-file", path=certificate.name, reason=type(error).__name__) from error
    return round(found.not_valid_after_utc.timestamp() * 1000)


def ending_soon(certificate: Path, now_ms: int) -> LinkDown | None:
    """Whether our own certificate must be renewed before long; ``own_trouble`` tells one that has ended.

    Raises:
        InputError: ``tls-file``.
    """
    end_ms = ends_ms(certificate)
    if not 0 <= end_ms - now_ms < warn_ms():
        return None
    return LinkDown("tls-own-ending", days=(end_ms - now_ms) // _DAY_MS, ends=local_text(end_ms)[:10])


def own_trouble(certificate: Path, now_ms: int) -> LinkDown | None:
    """Whether our own certificate is out of its time by this machine's clock; slow to import what reads it."""
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError("tls-file", path=certificate.name, reason=type(error).__name__) from error
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    if now < found.not_valid_before_utc:
        return LinkDown("tls-clock", now=local_text(now_ms))
    if now > found.not_valid_after_utc:
        ended_ms = round(found.not_valid_after_utc.timestamp() * 1000)
        return LinkDown("tls-own-expired", ended=local_text(ended_ms)[:10], now=local_text(now_ms))
    return None


def valid_until_ms(certificate: Path) -> int:
    """When a certificate ends (Unix ms); slow to import what reads it.

    Raises:
        InputError: ``tls-file``.
    """
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError("tls-file", path=certificate.name, reason=type(error).__name__) from error
    return round(found.not_valid_after_utc.timestamp() * 1000)


def trouble_of(error: BaseException, now_ms: int) -> LinkDown | None:
    """What a failed connection means for people; None where it has nothing to do with certificates."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return _peer_trouble(seen.verify_code, now_ms)
        if isinstance(seen, ssl.SSLError) and seen.reason:
            return trouble_of_reason(seen.reason, now_ms)
        seen = seen.__cause__ or seen.__context__
    return None


def trouble_of_text(text: str, now_ms: int) -> LinkDown | None:
    """As :func:`trouble_of`, from a library's log line that quotes OpenSSL's reason."""
    found = _REASON.search(text)
    return trouble_of_reason(found[1], now_ms) if found else None


def trouble_of_reason(reason: str, now_ms: int) -> LinkDown:
    """As :func:`trouble_of`, from OpenSSL's own name of the reason."""
    code = _ALERTS.get(reason.replace(" ", "_").upper(), "tls-failed")
    if code == "tls-own-expired":
        return LinkDown(code, ended="?", now=local_text(now_ms))
    return LinkDown(code, reason=reason) if code == "tls-failed" else LinkDown(code)


def _peer_trouble(verify_code: int, now_ms: int) -> LinkDown:
    now = local_text(now_ms)
    match verify_code:  # X509_V_ERR_... of OpenSSL, x509_vfy.h
        case 9:  # CERT_NOT_YET_VALID
            return LinkDown("tls-clock", now=now)
        case 10:  # CERT_HAS_EXPIRED
            return LinkDown("tls-peer-expired", now=now)
        case 62 | 64:  # HOSTNAME_MISMATCH, IP_ADDRESS_MISMATCH
            return LinkDown("tls-peer-name")
        case _:
            return LinkDown("tls-peer-unknown", reason=verify_code)


def _load(path: Path, read: Callable[[], None]) -> None:
    try:
        read()
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise InputError("tls-file", path=path.name, reason=type(error).__name__) from error
