# Copyright: The ObsCraft authors
# Apache License 2.0 (see LICENSE)
"""Read the certificate that the local MySQL or MariaDB server presents, without logging in.

Over its socket, where it speaks as on its port: there it refuses a host of which it has no account, before any TLS. A
client reads the server's greeting and asks for TLS before it names a user (MySQL client/server protocol,
"Protocol::SSLRequest"). Nothing is verified and nothing is sent: what is compared is the certificate itself.
Runs on every Python that a target may have (2.7 and newer).
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import contextlib
import socket
import ssl
import struct

_PROTOCOL_41, _SSL, _SECURE_CONNECTION = 0x0200, 0x0800, 0x8000
_PACKET_BYTES = 16777216
_UTF8MB4 = 45
#: A whole certificate in a PEM file.
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


class NotServed(Exception):
    """The server presents no certificate; the message says why."""


def served(path, timeout):
    """Return the certificate that the server presents, as DER.

    Args:
        path: its socket.
        timeout: seconds for each wait.

    Raises:
        NotServed: it does not answer, refuses, or offers no TLS.
    """
    try:
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as line:
            line.settimeout(timeout)
            line.connect(path)
            capabilities = _greeting(_packet(line))
            if not capabilities & _SSL:
                raise NotServed("the server at %s offers no TLS" % path)
            flags = _PROTOCOL_41 | _SSL | _SECURE_CONNECTION
            request = struct.pack("<IIB23x", flags, _PACKET_BYTES, _UTF8MB4)
            line.sendall(struct.pack("<I", len(request) | 1 << 24) + request)
            with contextlib.closing(_context().wrap_socket(line)) as encrypted:
                return encrypted.getpeercert(True)
    except (OSError, socket.error, ssl.SSLError) as error:
        raise NotServed("no TLS connection to the server at %s: %s" % (path, error))


def stored(text):
    """Return the first certificate of a PEM file's text as DER, None where there is none."""
    begin, end = text.find(_BEGIN), text.find(_END)
    if begin < 0 or end < begin:
        return None
    return ssl.PEM_cert_to_DER_cert(text[begin : end + len(_END)])


def _context():
    context = ssl.SSLContext(getattr(ssl, "PROTOCOL_TLS_CLIENT", ssl.PROTOCOL_SSLv23))
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _packet(line):
    """Return the payload of the next packet."""
    head = _exactly(line, 4)
    return _exactly(line, struct.unpack("<I", head)[0] & 0xFFFFFF)


def _exactly(line, length):
    data = b""
    while len(data) < length:
        more = line.recv(length - len(data))
        if not more:
            raise NotServed("the server closed the connection")
        data += more
    return data


def _greeting(payload):
    """Return the lower 16 bits of the server's capabilities."""
    if payload[:1] == b"\xff":
        raise NotServed("the server refuses: %s" % payload[3:].decode("utf-8", "replace"))
    # Protocol version, server version up to a zero byte, connection id (4), part of the scramble (8), a zero byte.
    at = payload.find(b"\0") + 1 + 4 + 8 + 1
    if payload[:1] != b"\x0a" or len(payload) < at + 2:
        raise NotServed("what answers does not speak MySQL's protocol")
    return struct.unpack("<H", payload[at : at + 2])[0]
