"""The URL that a channel posts to: whether it can be used, and which part of it may be shown."""

from __future__ import annotations

from urllib.parse import urlsplit

import requests

from obsctl.core.errors import ConfigError
from obsctl.core.secrets import redact


def check_url(url: str, what: str) -> None:
    """Refuse a URL that cannot be posted to.

    Raises:
        ConfigError: not http or https, no host, an impossible port, or a blank or control character in it.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError:
        # The parser's own error text may contain a piece of the URL.
        raise ConfigError(f"{what} has an invalid host or port", hint="write https://HOST[:PORT]/PATH") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(f"{what} must begin with https:// or http:// and name a host")
    if " " in url or not url.isprintable():
        raise ConfigError(f"{what} contains a space or a control character")
    try:
        requests.Request("POST", url).prepare()
    except requests.RequestException:
        raise ConfigError(f"{what} has an invalid host or port", hint="write https://HOST[:PORT]/PATH") from None


def check_proxy(proxy: str, what: str) -> None:
    """Refuse the URL of a proxy that cannot be used.

    Raises:
        ConfigError: as :func:`check_url`, or the URL contains a login.
    """
    check_url(proxy, f"{what}: the proxy")
    if "@" in urlsplit(proxy).netloc:
        raise ConfigError(
            f"{what}: the proxy URL contains a login, and alerter.yml must not contain secrets",
            hint="leave proxy out and set HTTPS_PROXY in the environment of obsctl-alerter instead: "
            "systemctl edit obsctl-alerter",
        )


def origin(url: str) -> str:
    """Return scheme, host and port of a URL, empty where it has none.

    The rest is never shown: robots and login portals carry tokens in the path, the query, the fragment and before the
    host.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if not host:
        return ""
    shown = f"[{host}]" if ":" in host else host
    return redact(f"{parts.scheme}://{shown}" + (f":{port}" if port else ""))


def masked(url: str) -> str:
    """Return the URL with ``***`` for its path and its query."""
    parts = urlsplit(url)
    return origin(url) + ("/***" if parts.path.strip("/") else "/") + ("?***" if parts.query else "")
