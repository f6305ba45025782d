"""A small identity provider on this machine, written with Authlib's server: one client, one person,
every mistake by name.
"""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import uvicorn
from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Payload, OAuth2Request
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core.grants import OpenIDCode
from fastapi import FastAPI, Request, Response
from joserfc.jwk import KeySet, RSAKey

CLIENT_ID, SECRET = "zhenbao-hub", "kept between the two"


@dataclass
class Client(ClientMixin):
    redirect_uri: str

    def get_client_id(self) -> str:
        return CLIENT_ID

    def get_default_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_allowed_scope(self, scope: str) -> str:
        return "openid" if "openid" in scope else ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == self.redirect_uri

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


@dataclass
class Code:
    """What the provider remembers between sending a browser back and giving out the token."""

    code: str
    redirect_uri: str
    scope: str
    nonce: str
    user: str
    auth_time: int
    code_challenge: str
    code_challenge_method: str
    acr: str | None = None
    amr: list[str] | None = None

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str:
        return self.nonce

    def get_auth_time(self) -> int:
        return self.auth_time

    def get_acr(self) -> str | None:
        return self.acr

    def get_amr(self) -> list[str] | None:
        return self.amr


class Payload(OAuth2Payload):
    def __init__(self, values: dict[str, str]) -> None:
        self._values = values

    @property
    def data(self) -> dict[str, str]:
        return self._values

    @property
    def datalist(self) -> defaultdict[str, list[str]]:
        return defaultdict(list, {key: [value] for key, value in self._values.items()})


class Asked(OAuth2Request):
    def __init__(self, method: str, uri: str, headers: Any, query: dict[str, str], form: dict[str, str]) -> None:
        super().__init__(method, uri, headers=headers)
        self._query, self._form = query, form
        self.payload = Payload(query | form)

    @property
    def args(self) -> dict[str, str]:
        return self._query

    @property
    def form(self) -> dict[str, str]:
        return self._form


@dataclass
class Mistakes:
    """How the provider can be wrong, or somebody between."""

    claims: dict[str, Any] = field(default_factory=dict)
    """Instead of the right ones."""
    other_key: bool = False
    """Signs with a key that it does not publish."""
    without_token: bool = False


class IdentityProvider:
    """Runs on a free port of this machine until ``close``."""

    def __init__(self, redirect_uri: str, now_s: Any) -> None:
        self.now_s = now_s
        self.user = "person-1"
        self.auth_time: int | None = None
        """When the person last showed themselves; None: just now."""
        self.mistakes = Mistakes()
        self.asked: list[dict[str, str]] = []
        self._codes: dict[str, Code] = {}
        self._keys = {"one": RSAKey.generate_key(2048, {"kid": "one"})}
        self._stranger = RSAKey.generate_key(2048, {"kid": "one"})
        self._signing = "one"
        self._client = Client(redirect_uri)
        self._server = self._authlib()
        listening = socket.create_server(("127.0.0.1", 0))
        self.issuer = f"http://127.0.0.1:{listening.getsockname()[1]}"
        config = uvicorn.Config(self._app(), log_config=None, lifespan="off")
        self._web = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: self._web.run(sockets=[listening]), daemon=True)
        self._thread.start()
        while not self._web.started:
            time.sleep(0.01)

    def close(self) -> None:
        self._web.should_exit = True
        self._thread.join(10)

    def change_keys(self) -> None:
        """As providers do every few months."""
        self._keys = {"two": RSAKey.generate_key(2048, {"kid": "two"})}
        self._signing = "two"

    def log_in(self, url: str) -> str:
        """What a browser does at the provider: the address to which it is sent back."""
        query = dict(parse_qsl(urlsplit(url).query))
        self.asked.append(query)
        request = Asked("GET", url, {}, query, {})
        grant = self._server.get_consent_grant(request, self.user)
        status, _, headers = self._server.create_authorization_response(request, self.user, grant)
        assert status == 302
        return str(dict(headers)["Location"])

    def _authlib(self) -> AuthorizationServer:
        provider = self

        class Server(AuthorizationServer):
            def query_client(self, client_id: str) -> Client | None:
                return provider._client if client_id == CLIENT_ID else None

            def save_token(self, token: dict[str, Any], request: OAuth2Request) -> None:
                if provider.mistakes.without_token:
                    token.pop("id_token", None)

            def create_oauth2_request(self, request: OAuth2Request) -> OAuth2Request:
                return request

            def handle_response(self, status: int, body: Any, headers: Any) -> tuple[int, Any, Any]:
                return status, body, headers

            def send_signal(self, *_: object, **__: object) -> None:
                pass

        class Grant(AuthorizationCodeGrant):
            TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic",)

            def save_authorization_code(self, code: str, request: OAuth2Request) -> Code:
                data = request.payload.data
                shown = provider.auth_time if provider.auth_time is not None else provider.now_s()
                made = Code(
                    code,
                    data["redirect_uri"],
                    data["scope"],
                    data.get("nonce", ""),
                    request.user,
                    shown,
                    data["code_challenge"],
                    data["code_challenge_method"],
                )
                provider._codes[code] = made
                return made

            def query_authorization_code(self, code: str, client: Client) -> Code | None:
                return provider._codes.get(code)

            def delete_authorization_code(self, authorization_code: Code) -> None:
                provider._codes.pop(authorization_code.code, None)

            def authenticate_user(self, authorization_code: Code) -> str:
                return authorization_code.user

        class OpenId(OpenIDCode):
            def exists_nonce(self, nonce: str, request: OAuth2Request) -> bool:
                return False

            def resolve_client_private_key(self, client: Client) -> RSAKey:
                return provider._stranger if provider.mistakes.other_key else provider._keys[provider._signing]

            def get_encode_header(self, client: Client) -> dict[str, str]:
                return {"alg": "RS256", "kid": provider._signing}

            def get_client_algorithm(self, client: Client) -> str:
                return "RS256"

            def get_compatible_claims(self, request: OAuth2Request) -> dict[str, Any]:
                now_s = provider.now_s()
                return {"iss": provider.issuer, "aud": [CLIENT_ID], "iat": now_s, "exp": now_s + 300}

            def get_authorization_code_claims(self, authorization_code: Code) -> dict[str, Any]:
                return {**super().get_authorization_code_claims(authorization_code)}

            def generate_user_info(self, user: str, scope: str) -> dict[str, Any]:
                return {"sub": user, **provider.mistakes.claims}

            def process_token(self, grant: Any, response: Any) -> dict[str, Any]:
                token: dict[str, Any] = super().process_token(grant, response)
                if provider.mistakes.without_token:
                    token.pop("id_token")
                return token

        server = Server()
        server.register_token_generator("default", BearerTokenGenerator(lambda *_, **__: secrets.token_urlsafe(32)))
        server.register_grant(Grant, [OpenId(require_nonce=True), CodeChallenge(required=True)])
        return server

    def _app(self) -> FastAPI:
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

        @app.get("/.well-known/openid-configuration")
        def metadata() -> dict[str, Any]:
            return {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
            }

        @app.get("/keys")
        def keys() -> dict[str, Any]:
            return KeySet(list(self._keys.values())).as_dict(private=False)

        @app.post("/token")
        async def token(request: Request) -> Response:
            import json

            form = dict(parse_qsl((await request.body()).decode()))
            headers = {key.title(): value for key, value in request.headers.items()}
            asked = Asked("POST", str(request.url), headers, {}, form)
            status, body, extra = self._server.create_token_response(asked)
            return Response(
                json.dumps(body), status, {k: v for k, v in extra if k != "Content-Type"}, "application/json"
            )

        return app
