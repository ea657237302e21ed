"""The console's process: ``obsctl-console --config /etc/obsctl/console.yml``."""

from __future__ import annotations

import argparse
import logging
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path

from obsctl import __version__
from obsctl.console import config as settings
from obsctl.console.config import ConsoleConfig
from obsctl.core import journal
from obsctl.core.errors import ConfigError, ExitCode
from obsctl.core.secrets import redact, resolve
from obsctl.kafka.access import open_access

LOG = logging.getLogger("obsctl.console")

#: Seconds that answers under way have at the end, live ones among them.
_LAST_ANSWERS_S = 3
#: Connections at the same time; a further one is answered with 503.
_CONNECTIONS = 500


def main(argv: Sequence[str] | None = None) -> None:
    """Serve the console and exit with its code, one of those that ``obsctl`` has."""
    parser = argparse.ArgumentParser(prog="obsctl-console", description="Serve the console.")
    parser.add_argument("--config", type=Path, default=Path("/etc/obsctl/console.yml"), help="configuration (YAML)")
    parser.add_argument("--check", action="store_true", help="only check the configuration and its secrets")
    parser.add_argument("--log-level", choices=["debug", "info", "warning", "error"], default="info")
    parser.add_argument("--version", action="version", version=__version__)
    arguments = parser.parse_args(argv)
    try:
        config = settings.load(arguments.config)
        resolve(config.database.password)
        if config.kafka is not None:
            open_access(config.kafka.brokers.security)
        _check_certificate(config)
    except ConfigError as error:
        hint = f"hint: {redact(error.hint)}\n" if error.hint else ""
        sys.stderr.write(f"obsctl-console: {redact(str(error))}\n{hint}")
        sys.exit(int(ExitCode.CONFIG))
    if arguments.check:
        sys.exit(int(ExitCode.OK))
    try:
        import uvicorn  # noqa: F401 - whether it is there
    except ModuleNotFoundError:
        sys.stderr.write("obsctl-console: the console's libraries are missing\nhint: pip install 'obscraft[console]'\n")
        sys.exit(int(ExitCode.MISSING_DEPENDENCY))
    level = logging.getLevelNamesMapping()[arguments.log_level.upper()]
    journal.start(level)
    sys.exit(int(_serve(config, level)))


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


def _serve(config: ConsoleConfig, level: int) -> ExitCode:
    import uvicorn

    from obsctl.console.web.app import build

    listen = config.listen
    server = uvicorn.Server(
        uvicorn.Config(
            build(config),
            host=listen.address,
            port=listen.port,
            ssl_certfile=listen.certificate or None,
            ssl_keyfile=listen.key or None,
            log_config=None,
            log_level=level,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=True,
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=_LAST_ANSWERS_S,
            timeout_keep_alive=30,
        )
    )
    LOG.info("the console is served", extra={"address": listen.address, "port": listen.port})
    server.run()
    return ExitCode.OK if server.started else ExitCode.CONFIG


if __name__ == "__main__":
    main()
