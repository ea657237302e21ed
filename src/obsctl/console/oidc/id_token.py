"""Validates an ID token (OpenID Connect Core 1.0, section 3.1.3.7): no claim is used before all checks have passed.

Only signatures by a key of the provider count. The algorithm follows from the key and is not taken from the token, so
a token that is unsigned, or signed with the client's secret, is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jwt
import msgspec
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from obsctl.console.oidc.errors import UnknownKeyError, UntrustedError

#: How much two clocks may differ, seconds.
_LEEWAY_S = 60
#: Longest subject, in ASCII characters (OpenID Connect Core 1.0, section 2).
_SUBJECT = 255
_REQUIRED = ["iss", "sub", "aud", "exp", "iat"]
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
#: Algorithms by the key's curve (RFC 7518 and RFC 8037).
_BY_CURVE = {"P-256": ("ES256",), "P-384": ("ES384",), "P-521": ("ES512",), "Ed25519": ("EdDSA",)}
_READERS: dict[str, Callable[[str], Any]] = {
    "RSA": RSAAlgorithm.from_jwk,
    "EC": ECAlgorithm.from_jwk,
    "OKP": OKPAlgorithm.from_jwk,
}


class Key(NamedTuple):
    """A key of the provider.

    Attributes:
        id: by which tokens name it; empty if it has none.
        algorithms: those that may be used with it.
        public: the key.
    """

    id: str
    algorithms: tuple[str, ...]
    public: Any


class Wanted(NamedTuple):
    """The expected claims of an ID token.

    Attributes:
        issuer: who has made it.
        client_id: for whom.
        nonce: of the login that it answers.
    """

    issuer: str
    client_id: str
    nonce: str


def keys_of(document: Sequence[dict[str, Any]]) -> tuple[Key, ...]:
    """Return the keys of a set (RFC 7517) that can verify signatures; others are left out."""
    return tuple(key for one in document if (key := _key(one)) is not None)


def _key(one: dict[str, Any]) -> Key | None:
    kind, only = one.get("kty"), one.get("alg")
    if one.get("use", "sig") != "sig" or "d" in one:
        return None
    read = _READERS.get(str(kind))
    fit = _RSA if kind == "RSA" else _BY_CURVE.get(str(one.get("crv")), ())
    algorithms = tuple(name for name in fit if only in (None, name))
    if read is None or not algorithms:
        return None
    try:
        public = read(msgspec.json.encode(one).decode())
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    return Key(str(one.get("kid", "")), algorithms, public)


def claims_of(token: str, keys: Sequence[Key], wanted: Wanted) -> dict[str, Any]:
    """Return the claims of a valid ID token.

    Args:
        token: as the provider sent it.
        keys: of the provider.
        wanted: what it must claim.

    Raises:
        UnknownKeyError: no key matches; the provider may have a new one.
        UntrustedError: the signature or a claim is not as required.
    """
    claims = _signed(token, keys, wanted)
    # The client id is known to be in the token's audience; if there are other audiences, ``azp`` must name the client.
    party = claims.get("azp")
    if party != wanted.client_id and (party is not None or _count(claims["aud"]) > 1):
        raise UntrustedError("the ID token was made for another client (azp)")
    if claims.get("nonce") != wanted.nonce:
        raise UntrustedError("the ID token is not of this login (nonce)")
    subject = claims["sub"]
    if not subject or len(subject) > _SUBJECT or not subject.isascii() or not subject.isprintable():
        raise UntrustedError(f"the ID token names no person (sub is not 1 to {_SUBJECT} characters of ASCII)")
    return claims


def _signed(token: str, keys: Sequence[Key], wanted: Wanted) -> dict[str, Any]:
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise UntrustedError(f"the ID token cannot be read: {error}") from None
    name, algorithm = str(header.get("kid", "")), str(header.get("alg", ""))
    if algorithm not in (*_RSA, *(one for curve in _BY_CURVE.values() for one in curve)):
        raise UntrustedError(f"the ID token is not signed by a key of the provider (alg {algorithm[:20]!r})")
    fit = [key for key in keys if algorithm in key.algorithms and (not name or key.id == name)]
    if not fit:
        raise UnknownKeyError(f"the provider has no key {name[:80]!r} for {algorithm}")
    fault = ""
    for key in fit:
        try:
            return jwt.decode(
                token,
                key.public,
                algorithms=[algorithm],
                audience=wanted.client_id,
                issuer=wanted.issuer,
                leeway=_LEEWAY_S,
                options={"require": _REQUIRED, "enforce_minimum_key_length": True},
            )
        except jwt.InvalidSignatureError:
            fault = "its signature is wrong"
        except jwt.PyJWTError as error:
            fault = str(error)
    raise UntrustedError(f"the ID token is refused: {fault}")


def _count(audience: object) -> int:
    return len(audience) if isinstance(audience, list) else 1
