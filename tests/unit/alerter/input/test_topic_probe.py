"""What a probe remembers of brokers that answer it with a refusal."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from obsctl.alerter.config import KafkaConfig
from obsctl.alerter.input import topic_probe
from obsctl.alerter.input.topic_probe import Probe
from obsctl.core.kafka_section import Topics
from rig.waiting import wait_for

CONFIG = KafkaConfig(
    bootstrap=("b:1",), group="g", member="m",
    topics=Topics(access="nginxlog", error="e", state="s", silences="s", history="h"),
)  # fmt: skip


class Brokers:
    """In place of :class:`~obsctl.kafka.any_broker.AnyBroker`: fails as the test wants."""

    def __init__(self, *_: Any) -> None:
        self.failure: KafkaError | None = None

    def ask(self, _question: Any) -> str:
        if self.failure is not None:
            raise KafkaException(self.failure)
        return "an answer"


def test_a_refusal_is_kept_until_the_next_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic_probe, "AnyBroker", Brokers)
    monkeypatch.setattr(topic_probe, "_EVERY_S", 0.005)
    probe = Probe(CONFIG, "nginxlog")
    brokers: Any = probe._brokers
    probe.start()
    try:
        for code, words in (
            (KafkaError.TOPIC_AUTHORIZATION_FAILED, "Kafka does not let this user read it"),
            (KafkaError._AUTHENTICATION, "the brokers refuse the login"),
            (KafkaError._SSL, "no TLS connection can be established"),
        ):
            brokers.failure = KafkaError(code)
            wait_for(words, lambda words=words: probe.refused.startswith(words), seconds=5)
        # Silence is none.
        brokers.failure = KafkaError(KafkaError._TRANSPORT)
        wait_for("silence", lambda: not probe.refused, seconds=5)
        brokers.failure = KafkaError(KafkaError._AUTHENTICATION)
        wait_for("a refusal", lambda: bool(probe.refused), seconds=5)
        brokers.failure = None
        wait_for("an answer", lambda: not probe.refused, seconds=5)
    finally:
        probe.stop()
        probe.join(5)
