"""The state of a login between its start and the return from the provider, which the browser keeps in a sealed cookie.

As it is in a cookie, two consoles with the same client secret need no shared memory, and another browser that learns
the address cannot continue the login. Nobody can read or change the cookie, or use it after ten minutes.
"""

from __future__ import annotations

import base64
import hashlib
import secrets

import msgspec
from cryptography.fernet import Fernet, InvalidToken

#: How long a login may take, seconds.
LASTS_S = 600
#: Longest path that a login returns to, bytes. A cookie has at most 4096.
_LONGEST_PATH = 2000
_RANDOM_BYTES = 32


class Begun(msgspec.Struct, frozen=True):
    """A login in progress.

    Attributes:
        state: random value that the provider repeats in its answer.
        nonce: random value that the ID token repeats.
        verifier: proves that the one who ends the login also began it (RFC 7636).
        path: of this console, to open after the login; empty for the start page.
    """

    state: str
    nonce: str
    verifier: str
    path: str

    @property
    def challenge(self) -> str:
        """The code challenge of the authorization request: the SHA-256 of the verifier (RFC 7636, section 4.2)."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def begin(path: str) -> Begun:
    """Begin a login that leads to a path of this console; a path that is too long for the cookie is dropped."""
    kept = path if len(path.encode(errors="replace")) <= _LONGEST_PATH else ""
    state, nonce, verifier = (secrets.token_urlsafe(_RANDOM_BYTES) for _ in range(3))
    return Begun(state, nonce, verifier, kept)


class Seal:
    """Encrypts and authenticates what a browser keeps.

    Args:
        secret: the client's. The key is derived from it by a slow function, so that guessing even a short one takes
            long.
    """

    def __init__(self, secret: str) -> None:
        key = hashlib.scrypt(secret.encode(), salt=b"obsctl console login", n=2**14, r=8, p=1, dklen=32)
        self._box = Fernet(base64.urlsafe_b64encode(key))

    def close(self, begun: Begun) -> str:
        """Return the sealed login for the browser."""
        return self._box.encrypt(msgspec.json.encode(begun)).decode()

    def open(self, sealed: str) -> Begun | None:
        """Return the login; None if no console with this secret began it, or if it began too long ago."""
        try:
            return msgspec.json.decode(self._box.decrypt(sealed.encode(), ttl=LASTS_S), type=Begun)
        except (InvalidToken, msgspec.DecodeError, UnicodeError):
            return None
