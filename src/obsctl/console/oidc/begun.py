"""A login that was begun and leads back from the provider: what the browser keeps until then, sealed.

It is a cookie, so two consoles that have the same client secret need no memory in common, and another browser that
learns of the address has nothing to go on with. Nobody can read it, change it, or use it after ten minutes.
"""

from __future__ import annotations

import base64
import hashlib
import secrets

import msgspec
from cryptography.fernet import Fernet, InvalidToken

#: For which a login may be under way, seconds.
LASTS_S = 600
#: Bytes of the address that a login leads back to. A cookie has at most 4096.
_LONGEST_PATH = 2000
_RANDOM_BYTES = 32


class Begun(msgspec.Struct, frozen=True):
    """A login under way.

    Attributes:
        state: which the provider repeats.
        nonce: which the ID token repeats.
        verifier: which proves that who ends the login has begun it (RFC 7636).
        path: of this console, where the login leads to; empty for its start.
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
    """Begin a login that leads to a path of this console; one that is too long to be kept is left out."""
    kept = path if len(path.encode(errors="replace")) <= _LONGEST_PATH else ""
    state, nonce, verifier = (secrets.token_urlsafe(_RANDOM_BYTES) for _ in range(3))
    return Begun(state, nonce, verifier, kept)


class Seal:
    """Seals what a browser keeps.

    Args:
        secret: the client's. The key follows from it by work that is worth an attack's time even where it is short.
    """

    def __init__(self, secret: str) -> None:
        key = hashlib.scrypt(secret.encode(), salt=b"obsctl console login", n=2**14, r=8, p=1, dklen=32)
        self._box = Fernet(base64.urlsafe_b64encode(key))

    def close(self, begun: Begun) -> str:
        """Return what the browser keeps."""
        return self._box.encrypt(msgspec.json.encode(begun)).decode()

    def open(self, sealed: str) -> Begun | None:
        """Return the login; None where it was not begun by a console with this secret, or too long ago."""
        try:
            return msgspec.json.decode(self._box.decrypt(sealed.encode(), ttl=LASTS_S), type=Begun)
        except (InvalidToken, msgspec.DecodeError, UnicodeError):
            return None
