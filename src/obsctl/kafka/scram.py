"""The client side of SCRAM (RFC 5802; SHA-256: RFC 7677): a login that never sends the password.

The client proves that it knows the password, and the broker proves that it has the stored verifier: otherwise it is
not a broker of the user's cluster.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

#: Kafka's mechanisms and the names of their hash functions.
HASHES = {"SCRAM-SHA-512": "sha512", "SCRAM-SHA-256": "sha256"}
#: No channel binding: ``n``, no authorization identity (RFC 5802, section 7).
_GS2_HEADER = "n,,"
_NONCE_BYTES = 24
#: Limits of the iteration count. Kafka uses 4,096 by default and never fewer; a server with a huge count would keep
#: the client busy.
_LEAST_ITERATIONS = 4096
_MOST_ITERATIONS = 1_000_000


class ScramError(Exception):
    """The server's answer violates the protocol, or does not prove that the server knows the user."""


class ScramClient:
    """One login: :meth:`first`, then :meth:`final` with the server's answer, then :meth:`verify` with the next.

    Args:
        hash_name: of the hash function, as :mod:`hashlib` knows it.
        user: its name.
        password: in plain text; ASCII, or already normalised (SASLprep is not applied).
        nonce: of the client; random by default.
    """

    def __init__(self, hash_name: str, user: str, password: str, nonce: str = "") -> None:
        self._hash = hash_name
        self._password = password.encode()
        self._nonce = nonce or base64.b64encode(secrets.token_bytes(_NONCE_BYTES)).decode()
        self._first_bare = f"n={_escaped(user)},r={self._nonce}"
        self._server_signature = b""

    def first(self) -> bytes:
        """Return the client-first-message."""
        return (_GS2_HEADER + self._first_bare).encode()

    def final(self, server_first: bytes) -> bytes:
        """Return the client-final-message.

        Args:
            server_first: the server-first-message.

        Raises:
            ScramError: it is not such a message, or not an answer to the first one.
        """
        said = _attributes(server_first)
        nonce, salt, iterations = said.get("r", ""), _decoded(said.get("s", "")), said.get("i", "")
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise ScramError("the broker's nonce does not continue the client's")
        if not iterations.isdecimal() or not _LEAST_ITERATIONS <= int(iterations) <= _MOST_ITERATIONS:
            raise ScramError(f"the broker asks for {iterations or 'no'} iterations")
        without_proof = f"c={_encoded(_GS2_HEADER.encode())},r={nonce}"
        signed = b",".join((self._first_bare.encode(), server_first, without_proof.encode()))
        salted = hashlib.pbkdf2_hmac(self._hash, self._password, salt, int(iterations))
        client_key = self._hmac(salted, b"Client Key")
        signature = self._hmac(hashlib.new(self._hash, client_key).digest(), signed)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._server_signature = self._hmac(self._hmac(salted, b"Server Key"), signed)
        return f"{without_proof},p={_encoded(proof)}".encode()

    def verify(self, server_final: bytes) -> None:
        """Check the server-final-message.

        Raises:
            ScramError: the server refuses the login, or does not know the password.
        """
        said = _attributes(server_final)
        if "e" in said:
            raise ScramError(f"the broker refuses: {said['e']}")
        signature = _decoded(said.get("v", ""))
        if not self._server_signature or not hmac.compare_digest(signature, self._server_signature):
            raise ScramError("the broker does not prove that it knows the user")

    def _hmac(self, key: bytes, message: bytes) -> bytes:
        return hmac.new(key, message, self._hash).digest()


def plain(user: str, password: str) -> bytes:
    """Return the only message of the mechanism PLAIN (RFC 4616), with the password in plain text."""
    return f"\0{user}\0{password}".encode()


def _escaped(user: str) -> str:
    return user.replace("=", "=3D").replace(",", "=2C")


def _attributes(message: bytes) -> dict[str, str]:
    try:
        text = message.decode()
    except UnicodeDecodeError:
        raise ScramError("the broker's message is not text") from None
    return {part[:1]: part[2:] for part in text.split(",") if part[1:2] == "="}


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise ScramError("the broker's message is not what the protocol asks for") from None
