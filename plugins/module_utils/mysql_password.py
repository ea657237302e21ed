# Copyright: The ObsCraft authors
# Apache License 2.0 (see LICENSE)
"""Compare a password with what the server stores, without logging in and without setting it again.

An account is bound to the address that it comes from, so the host that provisions it cannot log in with it; and
setting the password on every run would report a change on every run.

Formats: mysql_native_password is ``*`` + SHA1(SHA1(password)) in hex. caching_sha2_password is ``$A$`` + rounds in
thousands (3 hex digits) + ``$`` + 20 bytes of salt + the digest of SHA-crypt (U. Drepper, "Unix crypt using SHA-256
and SHA-512", 2016), which is 43 characters.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import hashlib
import re

_CACHING = re.compile(b"^\\$A\\$([0-9A-Fa-f]{3})\\$(.{20})(.{43})$", re.S)
_ALPHABET = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def matches(plugin, stored, password):
    """Say whether an account's stored string belongs to the password; None where the plugin is not known.

    Args:
        plugin: the authentication plugin's name.
        stored: the account's authentication string, bytes.
        password: bytes.
    """
    if plugin == "mysql_native_password":
        return stored.upper() == native(password)
    if plugin == "caching_sha2_password":
        parts = _CACHING.match(stored)
        if not parts:
            return False
        rounds, salt, digest = parts.groups()
        return sha256_crypt(password, salt, int(rounds, 16) * 1000) == digest
    return None


def native(password):
    """Return the stored form of mysql_native_password, bytes."""
    inner = hashlib.sha1(password).digest()
    return b"*" + hashlib.sha1(inner).hexdigest().upper().encode("ascii")


def sha256_crypt(password, salt, rounds):
    """Return SHA-crypt's 43 characters for SHA-256. The steps' numbers are those of the specification."""
    length = len(password)
    # 4-8
    other = hashlib.sha256(password + salt + password).digest()
    # 1-3, 9-12
    outer = hashlib.sha256(password + salt + _stretch(other, length))
    bits = length
    while bits:
        outer.update(other if bits & 1 else password)
        bits >>= 1
    digest = outer.digest()
    # 13-16
    p_bytes = _stretch(hashlib.sha256(password * length).digest(), length)
    # 17-20
    s_bytes = _stretch(hashlib.sha256(salt * (16 + bytearray(digest)[0])).digest(), len(salt))
    # 21
    for number in range(rounds):
        data = p_bytes if number & 1 else digest
        if number % 3:
            data += s_bytes
        if number % 7:
            data += p_bytes
        data += digest if number & 1 else p_bytes
        digest = hashlib.sha256(data).digest()
    return _encode(bytearray(digest))


def _stretch(block, length):
    """Return the block repeated and cut to the length."""
    return (block * (length // len(block) + 1))[:length]


def _encode(digest):
    """Step 22: three bytes become four characters, in the order that the specification lists."""
    text = bytearray()
    first, second, third = 0, 10, 20
    for _turn in range(10):
        _put(text, digest[first], digest[second], digest[third], 4)
        first, second, third = third + 1, first + 1, second + 1
    _put(text, 0, digest[31], digest[30], 3)
    return bytes(text)


def _put(text, high, middle, low, count):
    value = (high << 16) | (middle << 8) | low
    for _character in range(count):
        text.append(bytearray(_ALPHABET)[value & 0x3F])
        value >>= 6
