"""A consumer's configuration as the role writes it, for tests that change a part of it."""

from __future__ import annotations

from typing import Any

from obsctl.consumer.config import BatchLimits, Config, Health, Kafka, Topics
from obsctl.store.settings import Database


def kafka(**changes: Any) -> Kafka:
    topics = Topics(access="nginxlog", error="nginxlog-error", dlq="nginxlog-dlq")
    return Kafka(**{"bootstrap": ("127.0.0.1:1",), "group": "obsctl-consumer", "topics": topics} | changes)


def database(**changes: Any) -> Database:
    return Database(**{"host": "h", "port": 3306, "name": "obs", "user": "u", "password": "env:X"} | changes)


def config(**changes: Any) -> Config:
    return Config(
        **{
            "kafka": kafka(),
            "database": database(),
            "batch": BatchLimits(lines=10_000, interval_ms=200),
            "retention_days": 30,
            "trusted_proxies": (),
            "error_log_timezone": "UTC",
            "processes": 0,
            "native": True,
            "health": Health(address="127.0.0.1", port=0),
        }
        | changes
    )
