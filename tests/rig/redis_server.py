"""A real Redis, started by the tests on loopback."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from urllib.parse import quote

import redis

from rig.ports import free_port
from rig.server import START_SECONDS, Server, ServerProcess
from rig.waiting import wait_for

USER, PASSWORD, ADMIN_PASSWORD = "console", "redis/pass:word @1", "admin-of-redis"
#: What the console's user may do, as docs/reference/console.md has it.
RIGHTS = "~obsctl:* +watch +unwatch +get +set +multi +exec +del +hset +zadd +expire"


def missing_redis() -> str:
    """Return why no Redis can be started here, or an empty string."""
    return "" if shutil.which("redis-server") else "redis-server is not installed"


class RedisNode(Server):
    """A server with a user of the console's own.

    Args:
        folder: of its own.
        certificate: a file with key and chain; it then speaks TLS and nothing else.
    """

    def __init__(self, folder: Path, certificate: Path | None = None) -> None:
        self.port = free_port()
        self._tls = certificate is not None
        self._process = ServerProcess(folder, "redis")
        self._config = folder / "redis.conf"
        listener = [f"port {self.port}"]
        if certificate is not None:
            listener = [
                "port 0", f"tls-port {self.port}", f"tls-cert-file {certificate}", f"tls-key-file {certificate}",
                f"tls-ca-cert-file {certificate}", "tls-auth-clients no",
            ]  # fmt: skip
        lines = [
            "bind 127.0.0.1", *listener, f"dir {folder}", 'save ""', "appendonly no",
            f"user default on >{ADMIN_PASSWORD} ~* &* +@all", f'user {USER} on ">{PASSWORD}" {RIGHTS}',
        ]  # fmt: skip
        self._config.write_text("\n".join(lines) + "\n")

    def url(self, password: str = PASSWORD) -> str:
        """Return the console's URL."""
        return f"redis{'s' if self._tls else ''}://{USER}:{quote(password, safe='')}@127.0.0.1:{self.port}"

    def admin(self) -> redis.Redis:
        """Return a client that may do everything, whose answers are texts."""
        return redis.Redis(
            port=self.port, password=ADMIN_PASSWORD, decode_responses=True, ssl=self._tls, ssl_cert_reqs="none",
            ssl_check_hostname=False,
        )  # fmt: skip

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process.launch(["redis-server", str(self._config)])
        wait_for(self._process.output, self._answers, seconds=START_SECONDS)

    def _answers(self) -> bool:
        assert self.running, self._process.output()
        with contextlib.suppress(redis.RedisError):
            return bool(self.admin().ping())
        return False
