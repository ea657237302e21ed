"""A provider of OpenID Connect on loopback: logs in whom a test names, and lies as the test says."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from rig.http_server import answering

CLIENT_ID, CLIENT_SECRET = "obsctl-console", "a secret of the:client & its 夜班"


class SigningKey:
    """A key by which ID tokens are signed.

    Args:
        name: by which tokens name it.
        algorithm: ``RS256`` or ``ES256``.
        bits: of an RSA key.
    """

    def __init__(self, name: str, algorithm: str = "ES256", bits: int = 2048) -> None:
        self.name, self.algorithm = name, algorithm
        self.private: Any = (
            rsa.generate_private_key(public_exponent=65537, key_size=bits)
            if algorithm == "RS256"
            else ec.generate_private_key(ec.SECP256R1())
        )

    @property
    def public(self) -> dict[str, Any]:
        """What the set of keys says of it."""
        kind = RSAAlgorithm if self.algorithm == "RS256" else ECAlgorithm
        said: dict[str, Any] = kind.to_jwk(self.private.public_key(), as_dict=True)
        return {**said, "kid": self.name, "use": "sig", "alg": self.algorithm}

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a token."""
        return jwt.encode(claims, self.private, self.algorithm, headers={"kid": self.name})


@dataclass
class Provider:
    """The provider, and what it does next.

    Attributes:
        url: its issuer.
        person: whom it logs in: claims of the ID token.
        further: claims that userinfo has beside.
        lies: claims of the next ID tokens that replace the true ones; None removes one.
        sign: makes the ID token; None for the key that it publishes.
        keys: that it publishes; the last one signs.
        refuses: what it leads back with instead of a code.
        described: replaces members of its description.
        hangs: while set, it does not answer.
        asked: the paths that were asked for.
    """

    url: str = ""
    person: dict[str, Any] = field(default_factory=dict)
    further: dict[str, Any] = field(default_factory=dict)
    lies: dict[str, Any] = field(default_factory=dict)
    sign: Callable[[dict[str, Any]], str] | None = None
    keys: list[SigningKey] = field(default_factory=lambda: [SigningKey("first")])
    refuses: dict[str, str] = field(default_factory=dict)
    described: dict[str, Any] = field(default_factory=dict)
    hangs: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)
    _tokens: dict[str, str] = field(default_factory=dict)

    def is_as_at_first(self) -> None:
        """Forget what a test has changed; the keys stay."""
        self.person, self.further, self.lies, self.refuses, self.described = {}, {}, {}, {}, {}
        self.sign = None
        self.hangs.clear()
        self.asked.clear()

    def description(self) -> dict[str, Any]:
        """Return what it says of itself."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize?tenant=t",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "code_challenge_methods_supported": ["S256"],
            **self.described,
        }

    def authorize(self, asked: dict[str, str]) -> str:
        """Return where a browser is led to that asks for a login."""
        assert asked["tenant"] == "t"
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT_ID)
        assert "openid" in asked["scope"].split()
        assert asked["code_challenge_method"] == "S256"
        answer = self.refuses
        if not answer:
            code = secrets.token_urlsafe(16)
            self._codes[code] = asked
            answer = {"code": code, "iss": self.url}
        return f"{asked['redirect_uri']}?{urlencode({**answer, 'state': asked['state'], 'session_state': 'x'})}"

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """Return status and answer for a code."""
        given = (form.pop("client_id", ""), form.pop("client_secret", ""))
        if authorization:
            name, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
            given = unquote_plus(name), unquote_plus(secret)
        if given != (CLIENT_ID, CLIENT_SECRET):
            return 401, {"error": "invalid_client"}
        asked = self._codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or (asked["code_challenge"], asked["redirect_uri"]) != (challenge, form["redirect_uri"]):
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {
            "iss": self.url, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": asked["nonce"],
            **self.person, **self.lies,
        }  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        access = secrets.token_urlsafe(16)
        self._tokens[access] = self.person["sub"]
        id_token = (self.sign or self.keys[-1].sign)(claims)
        return 200, {"access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": id_token}

    def userinfo(self, authorization: str) -> tuple[int, dict[str, Any]]:
        """Return status and answer for an access token."""
        subject = self._tokens.get(authorization.removeprefix("Bearer "))
        return (401, {"error": "invalid_token"}) if subject is None else (200, {"sub": subject, **self.further})


@contextmanager
def serving() -> Iterator[Provider]:
    """Run a provider on a free port of loopback."""
    state = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._arrived()
            parts = urlsplit(self.path)
            if parts.path == "/authorize":
                asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
                self.send_response(302)
                self.send_header("Location", state.authorize(asked))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            answer = {
                "/.well-known/openid-configuration": lambda: (200, state.description()),
                "/keys": lambda: (200, {"keys": [key.public for key in state.keys]}),
                "/userinfo": lambda: state.userinfo(self.headers.get("Authorization", "")),
            }[parts.path]
            self._says(*answer())

        def do_POST(self) -> None:
            self._arrived()
            assert self.path == "/token"
            sent = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            form = {name: values[0] for name, values in sent.items()}
            self._says(*state.token(form, self.headers.get("Authorization", "")))

        def _arrived(self) -> None:
            state.asked.append(urlsplit(self.path).path)
            ends = time.monotonic() + 30
            while state.hangs.is_set() and time.monotonic() < ends:
                time.sleep(0.05)

        def _says(self, status: int, answer: dict[str, Any]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with answering(Handler) as state.url:
        try:
            yield state
        finally:
            state.hangs.clear()
