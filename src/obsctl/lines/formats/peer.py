"""The peer of a connection in a line: an address, or a host name if the server looks names up.

If a line's first word is neither, the line has an unknown prefix (of syslog, a container, a shipper), or has lost its
beginning. The word would be stored and counted as a client, so such a line is refused.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import socket

from obsctl.lines.formats.line import SHORT, LineError

_CACHE_SIZE = 20_000
#: An address, with the port that some servers and proxies append (``192.0.2.1:51234``, ``[2001:db8::1]:80``).
_PORT = "(?::[0-9]{1,5})?"
_V6 = "([0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9_.-]{1,32})?)"
_address = re.compile(rf"([0-9.]{{7,15}}){_PORT}|{_V6}|\[{_V6}\]{_PORT}").fullmatch
#: nginx's text for a client on a local socket.
SOCKET = "unix:"
#: RFC 1123's labels, and the underscore that container networks use; the last label contains a letter, otherwise it
#: would be the rest of an address. At most 253 characters (RFC 1035).
_name = re.compile(
    r"(?=.{1,253}\.?$)(?:[A-Za-z0-9_][A-Za-z0-9_-]{0,62}\.)*(?=[0-9_-]*[A-Za-z])[A-Za-z0-9_][A-Za-z0-9_-]{0,62}\.?"
).fullmatch
#: The first word of syslog's timestamp.
_MONTHS = frozenset(("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"))


class _Addresses(dict[str, str]):
    """Maps a word of a line to its address without the port; '' for any other word, which is not cached."""

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
    """Maps a word of a line to the peer, an address without the port, or a name; LineError for any other word."""

    def find(self, word: str) -> str:
        found = address(word) or _socket_or_name(word)
        if not found:
            raise LineError("client", f"{word[:40]!r} is neither an address nor a host name")
        return found


#: Tables, because many lines have the same peer. They are used after :data:`is_ipv4`: a table of many thousand peers
#: is not in the processor's cache, and a look-up takes longer than parsing an address.
ADDRESSES: dict[str, str] = _Addresses()
PEERS: dict[str, str] = _Peers()


#: Raises OSError or ValueError for a word that is not an IPv4 address in its usual form.
is_ipv4 = functools.partial(socket.inet_pton, socket.AF_INET)


def address(word: str) -> str:
    """Return a word's address without the port, as written; '' if the word is not an address."""
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
