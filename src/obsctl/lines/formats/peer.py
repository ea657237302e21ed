"""Who a line says the connection came from: an address, or a host name where the server looks names up.

A line whose first word is neither has a prefix that its format does not know (of syslog, a container, a shipper), or
has lost its beginning. Stored as a client it would be counted as one, so such a line is refused.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import socket

from obsctl.lines.formats.line import SHORT, LineError

_CACHE_SIZE = 20_000
#: An address, and the port that some servers and proxies write behind it (``192.0.2.1:51234``, ``[2001:db8::1]:80``).
_PORT = "(?::[0-9]{1,5})?"
_V6 = "([0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9_.-]{1,32})?)"
_address = re.compile(rf"([0-9.]{{7,15}}){_PORT}|{_V6}|\[{_V6}\]{_PORT}").fullmatch
#: What nginx writes for a client on a socket of the host's own.
SOCKET = "unix:"
#: RFC 1123's labels, and the underscore that container networks use; the last label holds a letter, or it would be the
#: rest of an address. At most 253 characters (RFC 1035).
_name = re.compile(
    r"(?=.{1,253}\.?$)(?:[A-Za-z0-9_][A-Za-z0-9_-]{0,62}\.)*(?=[0-9_-]*[A-Za-z])[A-Za-z0-9_][A-Za-z0-9_-]{0,62}\.?"
).fullmatch
#: The first word of syslog's time stamp.
_MONTHS = frozenset(("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"))


class _Addresses(dict[str, str]):
    """A word of a line → the address that it is, without its port; '' for any other word, which is not kept."""

    def __missing__(self, word: str) -> str:
        found = self.find(word)
        if found:
            if len(self) >= _CACHE_SIZE:
                self.clear()
            self[word] = found
        return found

    def find(self, word: str) -> str:
        return address(word)


class _Peers(_Addresses):
    """A word of a line → the peer, an address without its port; LineError for any other word."""

    def find(self, word: str) -> str:
        found = address(word) or _socket_or_name(word)
        if not found:
            raise LineError("client", f"{word[:40]!r} is neither an address nor a host name")
        return found


#: Look-ups, because logs name each peer many times. They come after :data:`is_ipv4`: a table of many thousand peers is
#: not in the processor's cache, and to look in it takes longer than to read an address.
ADDRESSES: dict[str, str] = _Addresses()
PEERS: dict[str, str] = _Peers()


#: Raises OSError or ValueError for a word that is not an address of IPv4, in its usual form.
is_ipv4 = functools.partial(socket.inet_pton, socket.AF_INET)


def address(word: str) -> str:
    """Return the address that a word is, without its port and as it was written; '' if it is not one."""
    match = _address(word)
    if match is None:
        return ""
    found = match[1] or match[2] or match[3]
    try:
        ipaddress.ip_address(found)
    except ValueError:
        return ""
    return found


def _socket_or_name(word: str) -> str:
    if word.startswith(SOCKET):
        return word if word.isprintable() and " " not in word and len(word) <= SHORT else ""
    return word if _name(word) and word not in _MONTHS else ""
