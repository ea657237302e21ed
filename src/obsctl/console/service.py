"""The console's process: ``obsctl-console --config /etc/obsctl/console.yml``."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from obsctl.console import config as settings
from obsctl.console.config import ConsoleConfig, OidcConfig
from obsctl.console.live.redis_server import server_of
from obsctl.core import daemon
from obsctl.core.errors import ConfigError, MissingDependencyError
from obsctl.core.secrets import resolve
from obsctl.kafka.access import open_access

LOG = logging.getLogger("obsctl.console")

#: How long open answers, including live ones, may continue at the end, seconds.
_LAST_ANSWERS_S = 3
#: How long a connection may stay without a request, seconds.
_KEEP_ALIVE_S = 30


def main(argv: Sequence[str] | None = None) -> None:
    """Run the console and exit with its code."""
    daemon.run("console", "Serve the console.", load=_load, check=lambda _: None, serve=_serve, argv=argv)


def _load(path: Path) -> ConsoleConfig:
    config = settings.load(path)
    resolve(config.database.password)
    if config.kafka is not None:
        open_access(config.kafka.brokers.security)
    _check_certificate(config)
    if config.people.oidc is not None:
        _check_oidc(config.people.oidc)
    if find_spec("uvicorn") is None:
        raise MissingDependencyError("the console's libraries are missing", hint="pip install 'obscraft[console]'")
    if config.redis is not None:
        server_of(config.redis)
        if find_spec("redis") is None:
            raise MissingDependencyError(
                "the library of Redis is missing", hint="pip install 'obscraft[console,redis]'"
            )
    return config


def _check_certificate(config: ConsoleConfig) -> None:
    listen = config.listen
    if not listen.certificate:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(listen.certificate, listen.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"listen.certificate {listen.certificate} and listen.key {listen.key} cannot be used: "
            f"{error.strerror or error}",
            hint="both are PEM files that this user may read, and belong together",
        ) from None


def _check_oidc(oidc: OidcConfig) -> None:
    resolve(oidc.client_secret)
    try:
        ssl.create_default_context(cafile=oidc.ca_file or None)
    except OSError as error:
        # Includes ssl.SSLError: the file has no certificate.
        why = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror or str(error)
        raise ConfigError(
            f"people.oidc.ca_file {oidc.ca_file} cannot be used: {why}",
            hint="name a PEM file that this user may read, or leave it out for the authorities of this machine",
        ) from None
    if find_spec("jwt") is None:
        raise MissingDependencyError(
            "people.oidc takes the library PyJWT, which is missing", hint="pip install 'obscraft[console]'"
        )


def _serve(config: ConsoleConfig) -> None:
    import uvicorn

    from obsctl.console import connections
    from obsctl.console.web.app import build

    listen = config.listen
    try:
        listeners = connections.listen(listen.address, listen.port, config.people.proxies.trusts)
    except OSError as error:
        raise ConfigError(
            f"the console cannot listen on {listen.address}:{listen.port}: {error.strerror or error}",
            hint="set listen.address and listen.port",
        ) from None
    server = uvicorn.Server(
        uvicorn.Config(
            build(config),
            http=connections.Protocol,
            ssl_certfile=listen.certificate or None,
            ssl_keyfile=listen.key or None,
            log_config=None,
            log_level=logging.getLogger().level,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=True,
            limit_concurrency=connections.MOST,
            timeout_graceful_shutdown=_LAST_ANSWERS_S,
            timeout_keep_alive=_KEEP_ALIVE_S,
        )
    )
    LOG.info("the console is served", extra={"address": listen.address, "port": listen.port})
    with asyncio.Runner(loop_factory=connections.Loop) as runner:
        runner.run(server.serve(listeners))
    if not server.started:
        raise ConfigError("the console could not be started", hint="the line before says why")


if __name__ == "__main__":
    main()
