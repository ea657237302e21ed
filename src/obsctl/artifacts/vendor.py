"""The vendors' own archives: tried first, with a short timeout, because many networks cannot reach the vendors."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import urllib3

from obsctl.artifacts.errors import ChecksumError

Notify = Callable[[str], None]

#: Seconds until a vendor that does not answer counts as unreachable; name resolution is part of it.
CONNECT_TIMEOUT_S = 3.0
_READ_TIMEOUT_S = 30.0
_HEARTBEAT_S = 10.0
_CHUNK_BYTES = 1 << 20
_SHA512_HEX = 128


def fetch(urls: Sequence[str], target: Path, sha512: str | None, notify: Notify) -> bool:
    """Fetch an archive from the first of the addresses that has it; False where none does.

    Args:
        urls: tried in turn; each has its checksum beside it under the same address plus ``.sha512``.
        target: written only as a whole, with the right checksum.
        sha512: from the lock; None takes the one that the vendor publishes beside the archive.
        notify: receives the reason why an address is passed over, and progress.

    Raises:
        ChecksumError: something was fetched, and it is not what the checksum promises.
    """
    for url in urls:
        host = urlsplit(url).hostname or ""
        try:
            expected = sha512 or _published(url)
            if expected is None:
                notify(f"{target.name}: {host} publishes no checksum for it")
                continue
            got = _download(url, target, notify)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            target.unlink(missing_ok=True)
            notify(f"{target.name}: {host} cannot be reached ({_why(error)})")
            continue
        if got is None:
            notify(f"{target.name}: {host} does not have it")
            continue
        if got != expected:
            target.unlink()
            raise ChecksumError(f"{target.name} (from {host})", expected, got)
        return True
    return False


def parse_sum(text: str) -> str | None:
    """Return the SHA-512 of a checksum file, or None.

    Reads ``HEX  NAME`` (sha512sum) and ``NAME: HEX HEX ...`` in groups over several lines (gpg --print-md, as Apache
    publishes it).
    """
    joined = re.sub(r"\s+", "", text.rpartition(":")[2]).lower()
    found = re.match(f"[0-9a-f]{{{_SHA512_HEX}}}", joined)
    return found[0] if found else None


def _published(url: str) -> str | None:
    with _get(url + ".sha512") as response:
        return parse_sum(response.data.decode("ascii", "replace")) if response.status == 200 else None


def _download(url: str, target: Path, notify: Notify) -> str | None:
    digest = hashlib.sha512()
    size, spoke = 0, time.monotonic()
    with _get(url) as response, target.open("wb") as file:
        if response.status != 200:
            return None
        for chunk in response.stream(_CHUNK_BYTES):
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
            if time.monotonic() - spoke > _HEARTBEAT_S:
                spoke = time.monotonic()
                notify(f"  {target.name}: {size >> 20} MiB")
    return digest.hexdigest()


def _get(url: str) -> urllib3.BaseHTTPResponse:
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxy = None if urllib.request.proxy_bypass(host) else urllib.request.getproxies().get(parts.scheme)
    pool = urllib3.ProxyManager(proxy) if proxy else urllib3.PoolManager()
    if proxy is None:
        _probe(host, parts.port or {"http": 80, "https": 443}[parts.scheme])
    return pool.request(
        "GET",
        url,
        headers={"User-Agent": "obsctl"},
        retries=urllib3.Retry(connect=0, read=0, redirect=3, other=0),
        timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=_READ_TIMEOUT_S),
        preload_content=False,
    )


def _probe(host: str, port: int) -> None:
    # A resolver that does not answer takes 10 s and more, and no time-out of a socket covers it: hence the thread.
    outcome: list[OSError | None] = []

    def connect() -> None:
        try:
            socket.create_connection((host, port), CONNECT_TIMEOUT_S).close()
            outcome.append(None)
        except OSError as error:
            outcome.append(error)

    attempt = threading.Thread(target=connect, daemon=True)
    attempt.start()
    attempt.join(CONNECT_TIMEOUT_S)
    if not outcome:
        raise TimeoutError(f"no connection within {CONNECT_TIMEOUT_S:g} s")
    if outcome[0] is not None:
        raise outcome[0]


def _why(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "its name does not resolve"
    if isinstance(error, TimeoutError | urllib3.exceptions.TimeoutError):
        return (
            f"no connection within {CONNECT_TIMEOUT_S:g} s" if isinstance(error, TimeoutError) else "no answer in time"
        )
    if isinstance(error, urllib3.exceptions.MaxRetryError):
        return str(getattr(error.reason, "strerror", None) or type(error.reason).__name__)
    return str(getattr(error, "strerror", None) or type(error).__name__)
