"""The live views of a console with access to Kafka."""

from __future__ import annotations

from obsctl.console.config import ConsoleConfig, KafkaConfig
from obsctl.console.live.feed import Feed, open_at_end
from obsctl.console.live.redis_keys import RedisKeys
from obsctl.console.live.statistics import Statistics
from obsctl.console.live.tails import Tails
from obsctl.core.settings import networks_of
from obsctl.lines.client_address import TrustedProxies
from obsctl.lines.formats.line import AccessLine, ErrorLine
from obsctl.lines.line_reader import LineReader
from obsctl.query.fields import ACCESS, ERROR


class Live:
    """Tails and statistics; nothing is read until somebody watches, unless statistics are written to Redis.

    Args:
        config: what console.yml says.
        kafka: its section ``kafka``.

    Attributes:
        tails: by log, ``access`` and ``error``.
        statistics: of the access log.
        redis: writes the statistics to Redis; None if that is not configured.
    """

    def __init__(self, config: ConsoleConfig, kafka: KafkaConfig) -> None:
        proxies = TrustedProxies(networks_of(config.trusted_proxies, "trusted_proxies"))
        opened = open_at_end(kafka.brokers)
        access, error = (
            Feed(topic, LineReader(proxies, config.error_log_timezone), kind, opened)
            for topic, kind in ((kafka.topics.access, AccessLine), (kafka.topics.error, ErrorLine))
        )
        self._feeds = (access, error)
        self.tails = {"access": Tails(access, ACCESS), "error": Tails(error, ERROR)}
        self.statistics = Statistics(access)
        self.redis = RedisKeys(config.redis, self.statistics) if config.redis is not None else None

    def start(self) -> None:
        """Start the parts that need no watcher."""
        if self.redis is not None:
            self.redis.start()

    def stop(self) -> None:
        """End the readers; takes some seconds."""
        if self.redis is not None:
            self.redis.stop()
        for feed in self._feeds:
            feed.stop()
