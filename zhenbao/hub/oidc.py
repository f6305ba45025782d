"""The county's identity provider as another way in (OpenID Connect, authorization code with PKCE), through Authlib.

It never makes an account: an identity opens the account that somebody has written down for it (``hub user identity``).
"""

from __future__ import annotations

import secrets
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from zhenbao.model.errors import InputError, LinkDown

if TYPE_CHECKING:
    from zhenbao.model.time import Clock

WAIT_S = 10.0
LEEWAY_S = 60
"""By how much the clocks of hub and provider may differ."""
FLOW_MINUTES = 10
"""So long a person may take at the provider."""
_KEEP_METADATA_S = 3600.0
_ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]
"""Signatures that are taken; never ``none`` nor a shared secret (OpenID Connect Core, 3.1.3.7)."""
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the county's file says."""

    issuer: str
    """As the provider calls itself; HTTPS but on this machine."""
    client_id: str
    redirect_uri: str
    """``https://<the hub>/oidc/callback``, as registered at the provider."""
    client_secret: str = ""
    name: str = ""
    """What people know the provider by."""
    hub_code: bool = False
    """Whether the hub asks for its own one-time code besides; else the second factor is the provider's business."""
    ca: str = ""
    """File of the authority that signed the provider's certificate; empty: those of this machine."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the provider has shown."""

    issuer: str
    subject: str
    fresh: bool
    """It asked anew, as it was told to."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A person who is on the way to the provider."""

    url: str
    state: str
    nonce: str
    verifier: str


def load_settings(file: Path) -> Settings:
    """Read the county's file.

    Raises:
        InputError: ``oidc-file``.
    """
    try:
        settings = msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), Settings, strict=True)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        # The file holds a secret: what is wrong is said by kind only.
        raise InputError("oidc-file", reason=type(error).__name__) from None
    for url in (settings.issuer, settings.redirect_uri):
        if not _safe(url):
            raise InputError("oidc-file", reason="https")
    return settings


@dataclass
class Provider:
    """One provider; its metadata and keys are fetched when first needed and kept for an hour."""

    settings: Settings
    clock: Clock
    _lock: Lock = field(default_factory=Lock)
    _kept: tuple[float, dict[str, Any], dict[str, Any]] | None = None

    def __post_init__(self) -> None:
        try:
            import authlib  # noqa: F401 - said at the start rather than at the first login
        except ImportError:
            raise InputError("oidc-missing") from None

    def begin(self, *, anew: bool = False) -> Begun:
        """Where to send a browser.

        Args:
            anew: the provider must ask again who this is (``max_age=0``).

        Raises:
            LinkDown: ``oidc-down``.
        """
        from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        metadata, _ = self._metadata()
        state, nonce, verifier = (secrets.token_urlsafe(n) for n in (32, 32, 48))
        more: dict[str, str] = {"max_age": "0", "prompt": "login"} if anew else {}
        url = prepare_grant_uri(
            metadata["authorization_endpoint"],
            self.settings.client_id,
            "code",
            redirect_uri=self.settings.redirect_uri,
            scope="openid",
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
            **more,
        )
        return Begun(str(url), state, nonce, verifier)

    def finish(self, code: str, *, nonce: str, verifier: str, begun_ms: int, anew: bool = False) -> Identity:
        """Exchange the code that came back for an identity, and check every word of it.

        Args:
            begun_ms: when the person left for the provider; with ``anew`` they must have shown themselves since.

        Raises:
            InputError: ``oidc-refused``.
            LinkDown: ``oidc-down``.
        """
        from authlib.oidc.core import CodeIDToken
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError, JoseError
        from joserfc.jwk import KeySet

        metadata, keys = self._metadata()
        token = self._token(metadata["token_endpoint"], code, verifier)
        try:
            try:
                decoded = jwt.decode(token["id_token"], KeySet.import_key_set(keys), algorithms=_ALGORITHMS)
            except (ValueError, InvalidKeyIdError):
                # A key that is not there: the provider may have changed its keys since they were fetched.
                _, keys = self._metadata(again=True)
                decoded = jwt.decode(token["id_token"], KeySet.import_key_set(keys), algorithms=_ALGORITHMS)
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                {
                    "iss": {"essential": True, "value": metadata["issuer"]},
                    "sub": {"essential": True},
                    "aud": {"essential": True, "value": self.settings.client_id},
                },
                {
                    "nonce": nonce,
                    "client_id": self.settings.client_id,
                    "access_token": token.get("access_token"),
                    "max_age": "0" if anew else None,
                },
            )
            now_s = self.clock.now_ms() // 1000
            claims.validate(now=now_s, leeway=LEEWAY_S)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise InputError("oidc-refused", reason=type(error).__name__) from None
        fresh = anew and float(claims["auth_time"]) >= begun_ms // 1000 - LEEWAY_S
        if anew and not fresh:
            raise InputError("oidc-refused", reason="auth_time")
        return Identity(str(claims["iss"])[:200], str(claims["sub"])[:200], fresh)

    def _token(self, endpoint: str, code: str, verifier: str) -> dict[str, Any]:
        import httpx

        settings = self.settings
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": settings.redirect_uri,
            "code_verifier": verifier,
            "client_id": settings.client_id,
        }
        secret = (settings.client_id, settings.client_secret) if settings.client_secret else None
        try:
            with self._client() as client:
                answer = client.post(endpoint, data=form, auth=secret)
                if answer.status_code >= 500:
                    raise LinkDown("oidc-down", reason=str(answer.status_code))
                token = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise LinkDown("oidc-down", reason=type(error).__name__) from None
        if answer.status_code != 200 or not isinstance(token, dict) or not isinstance(token.get("id_token"), str):
            raise InputError("oidc-refused", reason="code")
        return token

    def _metadata(self, *, again: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
        """What the provider says of itself (OpenID Connect Discovery), and its keys."""
        import httpx
        from authlib.oidc.discovery import get_well_known_url

        with self._lock:
            now_s = self.clock.monotonic_s()
            if self._kept is not None and not again and now_s - self._kept[0] < _KEEP_METADATA_S:
                return self._kept[1], self._kept[2]
            try:
                with self._client() as client:
                    found = (
                        client.get(get_well_known_url(self.settings.issuer, external=True)).raise_for_status().json()
                    )
                    ends = ("authorization_endpoint", "token_endpoint", "jwks_uri")
                    if found.get("issuer") != self.settings.issuer or not all(_safe(found.get(e)) for e in ends):
                        raise LinkDown("oidc-down", reason="metadata")
                    keys = client.get(found["jwks_uri"]).raise_for_status().json()
            except (httpx.HTTPError, ValueError, AttributeError) as error:
                raise LinkDown("oidc-down", reason=type(error).__name__) from None
            self._kept = now_s, found, keys
            return found, keys

    def _client(self) -> Any:
        import httpx

        if not self.settings.ca:
            return httpx.Client(timeout=WAIT_S, follow_redirects=False)
        import ssl

        return httpx.Client(
            timeout=WAIT_S, follow_redirects=False, verify=ssl.create_default_context(cafile=self.settings.ca)
        )


def _safe(url: object) -> bool:
    """Over HTTPS, or on this machine."""
    if not isinstance(url, str):
        return False
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
