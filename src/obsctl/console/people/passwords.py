"""Passwords: the rules for new ones, and hashing with argon2id (RFC 9106)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import argon2

#: Shortest and longest password, characters. The minimum, and having no rules about kinds of characters, follow NIST
#: SP 800-63B.
LEAST, MOST = 12, 256
#: Each check takes 64 MiB and a core for some ten milliseconds: this limits how many run at the same time, so that
#: logins cannot exhaust the host.
_AT_ONCE = threading.BoundedSemaphore(2)
_HASHER = argon2.PasswordHasher()
#: Used if there is no hash, so that the answer takes the same time.
_NOBODYS = _HASHER.hash("")


class BusyError(Exception):
    """Too many logins at once."""


class UnfitPasswordError(ValueError):
    """A password that is refused; the message says why."""


def hashed(password: str, name: str) -> str:
    """Return a password's hash for storing.

    Args:
        password: of the user.
        name: of the user.

    Raises:
        UnfitPasswordError: the password is too short, too long, or equal to the name.
        BusyError: no turn came within a second.
    """
    if len(password) < LEAST:
        raise UnfitPasswordError(f"a password has at least {LEAST} characters")
    if len(password) > MOST:
        raise UnfitPasswordError(f"a password has at most {MOST} characters")
    if name.lower() in password.lower() and len(password) < len(name) + LEAST:
        raise UnfitPasswordError("the password is the user's name with a few characters more")
    if len(set(password)) < 5:
        raise UnfitPasswordError("the password repeats fewer than five characters")
    with _turn():
        return _HASHER.hash(password)


def fits(kept: str | None, password: str) -> bool:
    """Whether a password matches a stored hash.

    Args:
        kept: the hash; None if there is no such user or it has no password; the check then takes the same time.
        password: the one to check.

    Raises:
        BusyError: no turn came within a second.
    """
    with _turn():
        try:
            return _HASHER.verify(kept or _NOBODYS, password[: MOST + 1]) and bool(kept)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    if not _AT_ONCE.acquire(timeout=1.0):
        raise BusyError("too many logins at once")
    try:
        yield
    finally:
        _AT_ONCE.release()
