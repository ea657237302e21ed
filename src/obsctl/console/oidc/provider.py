"""The provider: begins a login there and gets the person at its end (OpenID Connect Core 1.0, code flow, PKCE)."""

from __future__ import annotations

import base64
import contextlib
import hmac
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, quote_plus, urlencode

import msgspec

from obsctl.console.config import OidcConfig, is_safe_url
from obsctl.console.oidc import begun
from obsctl.console.oidc.begun import Begun, Seal
from obsctl.console.oidc.errors import ProviderAwayError, UnknownKeyError, UntrustedError
from obsctl.console.oidc.id_token import Key, Wanted, claims_of, keys_of
from obsctl.console.oidc.person import groups_of, name_of, role_of
from obsctl.console.oidc.web import Web
from obsctl.console.people.identities import Known
from obsctl.core.deadline import Deadline
from obsctl.core.decoding import UndecodableError, decode_json
from obsctl.core.http_exchange import Reply
from obsctl.core.secrets import resolve

T = TypeVar("T")

#: Time limit for all requests to the provider within one request of a browser, seconds.
_ANSWER_S = 4.0
#: How long the provider's metadata and keys are reused, seconds.
_FRESH_S = 3600.0


class _Described(msgspec.Struct, frozen=True, kw_only=True):
    """The part of the provider's metadata that is used (OpenID Connect Discovery 1.0, section 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class _Keys(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


class _Tokens(msgspec.Struct, frozen=True, kw_only=True):
    id_token: str
    access_token: str = ""


class _Fault(msgspec.Struct, frozen=True):
    error: str = ""


class Step(NamedTuple):
    """The redirect of a browser to the provider.

    Attributes:
        url: of the provider.
        sealed: what the browser keeps until it comes back.
    """

    url: str
    sealed: str


class Provider:
    """A provider of OpenID Connect; used by many threads.

    Args:
        config: the provider, and the console's client id and secret.

    Raises:
        ConfigError: the client's secret cannot be read.
        OSError: the file of trusted authorities cannot be read.
    """

    def __init__(self, config: OidcConfig) -> None:
        self._config = config
        self._secret = resolve(config.client_secret)
        self._seal = Seal(self._secret.reveal())
        self._web = Web(config.ca_file)
        self._lock = threading.Lock()
        self._described: _Described | None = None
        self._keys: tuple[Key, ...] | None = None
        self._described_at = self._keys_at = 0.0

    def begin(self, path: str) -> Step:
        """Begin a login.

        Args:
            path: of this console, to open after the login.

        Raises:
            ProviderAwayError: the provider does not answer.
        """
        config = self._config
        with _within(_ANSWER_S) as deadline:
            described = self._description(deadline)
        login = begun.begin(path)
        asked = {
            "response_type": "code",
            "client_id": config.client_id,
            "redirect_uri": config.redirect_uri,
            "scope": " ".join(config.scopes),
            "state": login.state,
            "nonce": login.nonce,
            "code_challenge": login.challenge,
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in described.authorization_endpoint else "?"
        url = f"{described.authorization_endpoint}{joint}{urlencode(asked, quote_via=quote)}"
        return Step(url, self._seal.close(login))

    def returned(self, sealed: str, state: str) -> Begun | None:
        """Return the login that a browser returns from; None if this browser did not begin it, or too long ago.

        Args:
            sealed: what the browser kept.
            state: what the provider repeated.
        """
        login = self._seal.open(sealed)
        return login if login is not None and hmac.compare_digest(login.state.encode(), state.encode()) else None

    def end(self, login: Begun, code: str, issuer: str) -> Known:
        """Return the person whom the provider names.

        Args:
            login: that the browser returns from.
            code: the authorization code in its request.
            issuer: the issuer in its request (RFC 9207); empty for none.

        Raises:
            ProviderAwayError: the provider does not answer.
            UntrustedError: the code is invalid, or the provider's answer failed the validation.
        """
        config = self._config
        if issuer not in ("", config.issuer):
            raise UntrustedError(f"the answer is of another issuer: {issuer[:200]!r}")
        with _within(_ANSWER_S) as deadline:
            described = self._description(deadline)
            tokens = self._tokens(deadline, described, login, code)
            wanted = Wanted(config.issuer, config.client_id, login.nonce)
            claims = self._claims(deadline, described, tokens.id_token, wanted)
            needed = {config.name_claim} | ({config.groups_claim} if config.roles or config.required_group else set())
            if not needed <= claims.keys() and described.userinfo_endpoint and tokens.access_token:
                claims = {**self._further(deadline, described, tokens.access_token, claims["sub"]), **claims}
        groups = groups_of(claims, config.groups_claim)
        return Known(
            issuer=config.issuer,
            subject=claims["sub"],
            name=name_of(claims, config.name_claim),
            role=role_of(groups, config.role_of_group),
            member=not config.required_group or config.required_group in groups,
        )

    def _description(self, deadline: Deadline) -> _Described:
        with self._lock:
            if self._described is not None and time.monotonic() - self._described_at < _FRESH_S:
                return self._described
        config = self._config
        # If the issuer ends with a slash, it is removed before the well-known path is added (section 4.1).
        url = f"{config.issuer.removesuffix('/')}/.well-known/openid-configuration"
        described = _document(url, self._web.ask(deadline, url), _Described)
        if described.issuer != config.issuer:
            raise ProviderAwayError(
                f"{url} describes the issuer {described.issuer[:200]!r}: set people.oidc.issuer to it"
            )
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"):
            if (address := getattr(described, name)) and not is_safe_url(address):
                raise ProviderAwayError(f"{url}: {name} is {address[:200]!r}, not an address of https")
        with self._lock:
            self._described, self._described_at = described, time.monotonic()
        return described

    def _tokens(self, deadline: Deadline, described: _Described, login: Begun, code: str) -> _Tokens:
        config, secret = self._config, self._secret.reveal()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": config.redirect_uri,
            "code_verifier": login.verifier,
        }
        headers = {}
        if "client_secret_basic" in described.token_endpoint_auth_methods_supported:
            # Both are encoded first (RFC 6749, section 2.3.1), so that a colon can be in them.
            pair = f"{quote_plus(config.client_id)}:{quote_plus(secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": config.client_id, "client_secret": secret}
        reply = self._web.ask(deadline, described.token_endpoint, form=form, headers=headers)
        if 400 <= reply.status < 500:
            raise UntrustedError(f"the provider refuses the code: {_fault(reply)}")
        return _document(described.token_endpoint, reply, _Tokens)

    def _claims(self, deadline: Deadline, described: _Described, token: str, wanted: Wanted) -> dict[str, Any]:
        try:
            return claims_of(token, self._known_keys(deadline, described), wanted)
        except UnknownKeyError:
            # The provider may use a new key by now.
            return claims_of(token, self._fetched_keys(deadline, described), wanted)

    def _known_keys(self, deadline: Deadline, described: _Described) -> tuple[Key, ...]:
        with self._lock:
            if self._keys is not None and time.monotonic() - self._keys_at < _FRESH_S:
                return self._keys
        return self._fetched_keys(deadline, described)

    def _fetched_keys(self, deadline: Deadline, described: _Described) -> tuple[Key, ...]:
        url = described.jwks_uri
        keys = keys_of(_document(url, self._web.ask(deadline, url), _Keys).keys)
        with self._lock:
            self._keys, self._keys_at = keys, time.monotonic()
        return keys

    def _further(self, deadline: Deadline, described: _Described, token: str, subject: str) -> Mapping[str, Any]:
        """Return the claims from the provider's UserInfo endpoint (section 5.3)."""
        url = described.userinfo_endpoint
        reply = self._web.ask(deadline, url, headers={"Authorization": f"Bearer {token}"})
        further = _document(url, reply, dict[str, Any])
        if further.get("sub") != subject:
            raise UntrustedError("the provider's userinfo is of another person (sub)")
        return further


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[Deadline]:
    """Yield a deadline for the provider's answers.

    Raises:
        ProviderAwayError: it has passed.
    """
    try:
        with Deadline(seconds) as deadline:
            yield deadline
    except TimeoutError:
        raise ProviderAwayError(f"no answer within {seconds:g} s") from None


def _document(url: str, reply: Reply, kind: type[T]) -> T:
    if reply.status != 200:
        raise ProviderAwayError(f"{url} answers with status {reply.status}")
    try:
        return decode_json(reply.body, kind)
    except UndecodableError as error:
        raise ProviderAwayError(f"{url}: {error}") from None


def _fault(reply: Reply) -> str:
    try:
        code = decode_json(reply.body, _Fault).error
    except UndecodableError:
        code = ""
    return f"status {reply.status} {code[:60]!r}" if code else f"status {reply.status}"
