"""A Kafka topic: the message as a JSON record, delivered when all in-sync replicas have it."""

from __future__ import annotations

import enum
from typing import Annotated, Any, ClassVar

import msgspec
from confluent_kafka import KafkaError, KafkaException, Producer
from msgspec import Meta

from obsctl.alerter.channels.channel import SECRET, ChannelOptions, Resolve, document
from obsctl.alerter.channels.outcome import Delivery, Verdict
from obsctl.alerter.messages.message import Message
from obsctl.core.brokers import Brokers, Security
from obsctl.core.errors import ConfigError
from obsctl.core.settings import Name
from obsctl.kafka import clients

#: Time limits in seconds: for asking where the topic is, and for the whole attempt.
_METADATA_S = 3.0
_TOTAL_S = 8.0
_MISSING = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC)
_TOO_LARGE = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE)
_FORBIDDEN = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED)
_TOO_FEW = (KafkaError.NOT_ENOUGH_REPLICAS,)
#: The partition has just moved, or has no leader.
_ELSEWHERE = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)


class Protocol(enum.StrEnum):
    """Security protocol of the connection, as Kafka names it."""

    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"


class Mechanism(enum.StrEnum):
    """SASL mechanism of the login, as Kafka names it."""

    SCRAM_SHA_512 = "SCRAM-SHA-512"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    PLAIN = "PLAIN"


class KafkaTopicOptions(ChannelOptions, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="kafka"):
    """A topic of a Kafka cluster, this fleet's or another one."""

    bootstrap: Annotated[tuple[Name, ...], Meta(min_length=1, description="Brokers, HOST:PORT each.")]
    topic: Annotated[Name, Meta(description="The topic; it must exist.")]
    protocol: Annotated[Protocol, Meta(description="How they are reached, as Kafka names it.")] = Protocol.PLAINTEXT
    ca_file: Annotated[
        str,
        Meta(description="CA certificates (PEM) to trust instead of this machine's, a path on the host that sends."),
    ] = ""
    mechanism: Annotated[Mechanism, Meta(description="Mechanism of the login.")] = Mechanism.SCRAM_SHA_512
    username: Annotated[str, Meta(description="Account of the login, with a protocol that has one.")] = ""
    password: Annotated[str, Meta(description="Its password, as a reference.", extra=SECRET)] = ""

    delivered: ClassVar[str] = "all in-sync replicas have the record (acks=all)"

    def open(self, resolve: Resolve) -> KafkaTopic:
        """Check the settings of the login, and return the channel."""
        if self.security.sasl and not (self.username and self.password):
            raise ConfigError(f"alert channel {self.name}: {self.protocol} needs username and password")
        if not self.security.sasl and (self.username or self.password):
            raise ConfigError(
                f"alert channel {self.name}: with the protocol {self.protocol} there is no login",
                hint="set protocol: SASL_SSL, or leave username and password out",
            )
        if self.password:
            resolve(self.password)
        return KafkaTopic(self)

    @property
    def security(self) -> Security:
        """The client settings that secure the connection to the brokers."""
        return Security(
            protocol=self.protocol.value,
            mechanism=self.mechanism.value,
            user=self.username,
            password=self.password,
            ca_file=self.ca_file,
        )


class KafkaTopic:
    """A topic of a Kafka cluster.

    Args:
        options: the channel's.
    """

    def __init__(self, options: KafkaTopicOptions) -> None:
        self._options = options
        self._where = f"topic {options.topic} at {','.join(options.bootstrap)}"

    def preview(self, message: Message) -> dict[str, Any]:
        """Return what :meth:`send` would do."""
        return {
            "bootstrap": list(self._options.bootstrap),
            "topic": self._options.topic,
            "key": message.thread or message.id,
            "value": document(message, self._options.keyword),
        }

    def send(self, message: Message) -> Delivery:
        """Produce the record once and wait for its acknowledgement."""
        # A new producer for each attempt: alerts are rare, and so nothing left from an earlier attempt can be sent
        # with this one.
        brokers = Brokers(self._options.bootstrap, self._options.security)
        try:
            settings = clients.settings(brokers, "obsctl-alerter")
        except ConfigError as unread:
            return Delivery(Verdict.REFUSED, "", f"{self._where}: {unread}", unread.hint or "")
        producer = Producer(
            settings
            | {
                "acks": "all",
                # The client makes one attempt only, so its error is this attempt's outcome; the outbox does the
                # retries.
                "retries": 0,
                "allow.auto.create.topics": False,
                "message.timeout.ms": int((_TOTAL_S - _METADATA_S) * 1000),
                "linger.ms": 0,
                # Failures are reported as errors of the record.
                "log_level": 0,
            }
        )
        absent = self._absent(producer)
        if absent is not None:
            return absent
        outcomes: list[KafkaError | None] = []
        producer.produce(
            self._options.topic,
            key=(message.thread or message.id).encode(),
            value=msgspec.json.encode(document(message, self._options.keyword)),
            on_delivery=lambda error, _record: outcomes.append(error),
        )
        producer.flush(_TOTAL_S - _METADATA_S + 1)
        if not outcomes:
            return self._unsure("no answer in time")
        error = outcomes[0]
        if error is None:
            return Delivery(Verdict.DELIVERED, "0", f"{self._where}: acknowledged by all in-sync replicas")
        return self._judge(error)

    def _absent(self, producer: Producer) -> Delivery | None:
        """Return the outcome where the cluster or the topic was not found: then nothing was sent."""
        try:
            topic = producer.list_topics(self._options.topic, timeout=_METADATA_S).topics[self._options.topic]
        except KafkaException as error:
            return Delivery(
                Verdict.UNREACHABLE,
                "",
                f"{self._where}: no broker answers: {error.args[0].str()}",
                "check bootstrap, protocol and login, DNS, routes and firewalls from the host that sends, and check "
                "that the brokers are running",
            )
        return self._judge(topic.error) if topic.error is not None else None

    def _judge(self, error: KafkaError) -> Delivery:
        code, said = error.name(), f"{self._where}: {error.str()}"
        if error.code() in _MISSING:
            hint = f"create the topic, or check the channel's topic: {self._options.topic}"
            return Delivery(Verdict.REFUSED, code, said, hint)
        if error.code() in _FORBIDDEN:
            return Delivery(Verdict.REFUSED, code, said, "let the alerter's host write to the topic (ACLs)")
        if error.code() in _TOO_LARGE:
            return Delivery(Verdict.REFUSED, code, said, "raise the topic's max.message.bytes")
        if error.code() in _TOO_FEW:
            return Delivery(Verdict.DEFERRED, code, said, "too few replicas are in sync: see obsctl kafka status")
        if error.code() in _ELSEWHERE:
            return Delivery(
                Verdict.UNREACHABLE,
                code,
                said,
                "if it persists, a partition has no leader: see obsctl kafka status",
            )
        if error.code() == KafkaError._MSG_TIMED_OUT:
            return self._unsure("not acknowledged in time")
        return self._unsure(error.str())

    def _unsure(self, why: str) -> Delivery:
        return Delivery(
            Verdict.UNKNOWN,
            "",
            f"{self._where}: {why}; the record may or may not have been written",
            "check the topic before sending again; the alerter itself resends it and marks it as a possible duplicate",
        )
