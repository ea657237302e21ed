"""The alerter's process: ``obsctl-alerter --config /etc/obsctl/alerter.yml``."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from obsctl.alerter import config as settings
from obsctl.alerter.active import Alerter
from obsctl.alerter.config import AlerterConfig
from obsctl.alerter.delivery.self_notice import Notices, Watch
from obsctl.alerter.health import Health, metrics, page, standby
from obsctl.alerter.leadership import Membership
from obsctl.alerter.messages.templates_check import check_templates
from obsctl.alerter.silences.follower import SilenceFollower
from obsctl.alerter.state.changelog import Changelog, LeadershipLostError
from obsctl.alerter.state.state_file import State
from obsctl.core import daemon
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import resolve
from obsctl.core.serve import Server
from obsctl.kafka.access import open_access

LOG = logging.getLogger("obsctl.alerter")

#: How often a standby checks whether to stop, seconds.
_WAIT_S = 0.2
#: How long Kafka may take to record, at an alerter's end, what was sent before it, seconds.
_LAST_ANSWER_S = 10.0


class Service:
    """One of the alerters of a fleet: a standby until it is chosen, and the active one while it is chosen.

    Args:
        config: what alerter.yml says.

    Raises:
        ConfigError: the state file cannot be used.
        RefusedError: another process holds it.
    """

    def __init__(self, config: AlerterConfig) -> None:
        self._config = config
        self._state = State(config.state)
        self._membership = Membership(config.kafka)
        # A standby follows them too, so that its first decisions after a take-over need not wait for them.
        self._silences = SilenceFollower(config.kafka.brokers, config.kafka.topics.silences)
        self._stopping = threading.Event()
        self._alerter: Alerter | None = None
        notices = Notices(
            config.state.with_name("notice.json"),
            config.kafka.member,
            [channel.name for channel in config.channels],
            config.templates,
        )
        self._notices = Watch(notices, config.channels, resolve, self._why_failing)
        #: When this alerter was last the active one, monotonic seconds.
        self._active_at = 0.0

    def stop(self) -> None:
        """End after the batch that is under way."""
        self._stopping.set()
        if self._alerter is not None:
            self._alerter.stop()

    def run(self) -> None:
        """Work until stopped.

        Raises:
            ConfigError: the health address cannot be used; or the state in Kafka is of another release.
            sqlite3.Error: the state cannot be written; what is in memory must be discarded.
        """
        server = self._serve()
        self._membership.start()
        self._silences.start()
        self._notices.start()
        try:
            while not self._stopping.is_set():
                if self._membership.wait(_WAIT_S):
                    self._lead()
        finally:
            self._notices.stop()
            self._silences.stop()
            self._membership.stop()
            self._membership.join(timeout=10)
            server.stop()
            self._state.close()

    def health(self) -> Health:
        """Return what /health shows; called from the server's threads."""
        alerter = self._alerter
        return alerter.health() if alerter is not None else standby(self._membership.trouble())

    def _why_failing(self) -> str:
        health = self.health()
        return health.reason if health.status == "failing" else ""

    def _lead(self) -> None:
        """Be the active alerter until stopped or until another alerter is."""
        LOG.info("this alerter is now active")
        changelog = Changelog(self._config.kafka, self._beat)
        try:
            changelog.fence()
            self._state.follow(changelog, changelog.read())
            alerter = Alerter(self._config, self._state, changelog, self._membership, self._silences)
            self._alerter = alerter
            if self._stopping.is_set():
                return
            alerter.run()
        except LeadershipLostError as error:
            if not self._stopping.is_set():
                LOG.warning("this alerter is no longer active", extra={"reason": str(error)})
                self._membership.rejoin()
        finally:
            self._alerter = None
            self._state.unfollow()
            changelog.close()

    def _beat(self) -> None:
        """Keep waiting for Kafka, but not much longer than this alerter stays the active one."""
        self._membership.beat()
        now = time.monotonic()
        if not self._stopping.is_set() and self._membership.chosen:
            self._active_at = now
        elif now - self._active_at > _LAST_ANSWER_S:
            raise LeadershipLostError("Kafka did not answer before this alerter stopped")

    def _serve(self) -> Server:
        address, port = self._config.health.address, self._config.health.port
        try:
            return Server(
                address,
                port,
                health=lambda: page(self.health()),
                metrics=lambda: metrics(self.health(), time.time()),
            )
        except OSError as error:
            raise ConfigError(
                f"the health address {address}:{port} cannot be used: {error.strerror}",
                hint="another program uses the port; set health.port (the role's consumer_alert_metrics_port)",
            ) from None


def main(argv: Sequence[str] | None = None) -> None:
    """Run the alerter and exit with its code."""
    daemon.run(
        "alerter", "Turn access-log lines into alerts.", load=_load, check=_open_channels, serve=_serve, argv=argv
    )


def _load(path: Path) -> AlerterConfig:
    config = settings.load(path)
    check_templates(config.rules, config.templates)
    open_access(config.kafka.brokers.security)
    return config


def _open_channels(config: AlerterConfig) -> None:
    for channel in config.channels:
        channel.open(resolve)


def _serve(config: AlerterConfig) -> None:
    daemon.collect_rarely()
    for channel in config.channels:
        try:
            channel.open(resolve)
        except ConfigError as error:
            # Logged as an error, but not fatal: the other channels work, and the secret is read again for each
            # attempt.
            LOG.error(  # noqa: TRY400 - no traceback near secrets
                "a channel cannot be used", extra={"channel": channel.name, "error": str(error), "hint": error.hint}
            )
    for route in config.notifications.single if len(config.channels) > 1 else ():
        LOG.warning(
            "a route has only one channel: if it cannot deliver, no notification about that can be sent",
            extra={"route": route, "hint": "name another channel as the route's fail_over, or add one to its channels"},
        )
    service = Service(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: service.stop())
    service.run()


if __name__ == "__main__":
    main()
