"""The address of a Redis, read from a URL that is a secret: only its host and port are ever shown."""

from __future__ import annotations

import re
import ssl
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from obsctl.console.config import RedisConfig
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import Secret, resolve

_PORT = 6379
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%[A-Za-z0-9._-]+)?")
_FORM = "write redis://HOST:PORT, rediss://HOST:PORT for TLS, or with a login redis://USER:PASSWORD@HOST:PORT/DATABASE"


class RedisServer(NamedTuple):
    """A database on a Redis server, and the login for it.

    Attributes:
        user: empty for the server's default user.
        password: None for none.
        tls: whether the connection uses TLS.
        ca_file: of authorities to trust besides the system's; empty for none.
    """

    host: str
    port: int
    database: int
    user: str
    password: Secret | None
    tls: bool
    ca_file: str

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def server_of(config: RedisConfig) -> RedisServer:
    """Return the server that a configuration names, without connecting to it.

    Raises:
        ConfigError: the secret cannot be read or is not a Redis URL, or the authorities' file cannot be read.
    """
    text = resolve(config.url).reveal()

    def wrong(what: str) -> ConfigError:
        return ConfigError(f"the URL of Redis in {config.url} {what}", hint=_FORM)

    try:
        parts = urlsplit(text)
        port = _PORT if parts.port is None else parts.port
        (parts.hostname or "").encode("idna")
    except ValueError:
        raise wrong("is not one") from None
    if parts.scheme not in ("redis", "rediss"):
        raise wrong("does not begin with redis:// or rediss://")
    if not _HOST.fullmatch(parts.hostname or "") or not 0 < port < 65536:
        raise wrong("names no host and port")
    if parts.query or parts.fragment:
        raise wrong(
            "has options after ? or #, which are not taken (a character of a password is written as %3F or %23)"
        )
    database = parts.path.strip("/") or "0"
    if not (database.isascii() and database.isdecimal() and len(database) <= 5):
        raise wrong("has a path that is not the number of a database")
    password = unquote(parts.password or "")
    return RedisServer(
        parts.hostname or "",
        port,
        int(database),
        unquote(parts.username or ""),
        # Registered as a secret of its own: an error text of a server or library may contain it without the rest of
        # the URL.
        Secret(password, config.url) if password else None,
        parts.scheme == "rediss",
        _readable(config.ca_file),
    )


def _readable(ca_file: str) -> str:
    try:
        ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"redis.ca_file {ca_file} cannot be used: {error.strerror or error}",
            hint="it is a PEM file of certificates that this user may read",
        ) from None
    return ca_file
