"""One conversation with one broker: the only module that touches kafka-python's internals.

kafka-python's clients choose a broker at random and their connection set-up takes ten seconds whatever the request
time-out says, which is no way to ask a sick cluster. Only the library's codec is used here (``kafka.protocol``: no
input, no output), over a plain socket with one deadline for everything from the connection to the last answer.
tests/integration holds what is relied on against a real broker.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any

from kafka import errors
from kafka.protocol.admin import (
    DescribeConfigsRequest,
    DescribeLogDirsRequest,
    DescribeQuorumRequest,
    ListGroupsRequest,
)
from kafka.protocol.consumer import ListOffsetsRequest, OffsetFetchRequest
from kafka.protocol.metadata import ApiVersionsRequest, MetadataRequest
from kafka.protocol.parser import KafkaProtocol

from obsctl.checks.ask.failure import NO_ANSWER, in_words

#: "I am a debugging tool": the broker answers from its local replica, leader or not, with that replica's log end.
DEBUG_REPLICA = -2
#: An ordinary client, which only the leader answers.
CLIENT_REPLICA = -1
LATEST = -1
EARLIEST = -2
READ_UNCOMMITTED = 0
READ_COMMITTED = 1

_NO_ERROR = 0
_TOPIC_RESOURCE = 2
_METADATA_TOPIC = "__cluster_metadata"
_CLIENT_ID = "obsctl"
_CHUNK_BYTES = 1 << 18
#: Where answers hold parts with an error code of their own, and how those are called.
_PARTS = ("results", "groups", "topics", "partitions")
_NAMES = ("log_dir", "resource_name", "group_id", "name")
#: Newest version of each request whose fields are filled in here; the broker may lower it.
_NEWEST = {
    ApiVersionsRequest: 3,
    MetadataRequest: 12,
    DescribeConfigsRequest: 4,
    DescribeLogDirsRequest: 4,
    DescribeQuorumRequest: 1,
    ListGroupsRequest: 4,
    ListOffsetsRequest: 7,
    OffsetFetchRequest: 8,
}


class BrokerSilentError(Exception):
    """The broker gave no (further) answer; the message says in a few words why."""


class Conversation:
    """A connection to one broker, on which requests go out together and answers come back in order.

    Args:
        host: address or name.
        port: of the broker's listener.
        deadline: moment on :func:`time.monotonic` after which nothing is waited for.

    Raises:
        BrokerSilentError: from the constructor and from every method.
    """

    def __init__(self, host: str, port: int, deadline: float) -> None:
        self._deadline = deadline
        self._codec = KafkaProtocol(client_id=_CLIENT_ID)
        self._versions: dict[int, tuple[int, int]] = {}
        try:
            self._socket = socket.create_connection((host, port), timeout=self._left())
        except OSError as error:
            raise BrokerSilentError(in_words(error)) from None
        except UnicodeError:
            raise BrokerSilentError("its address is not valid") from None
        try:
            self._learn_versions()
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def ask(self, requests: Sequence[Any]) -> list[Any]:
        """Send all requests at once and return their answers in the same order."""
        for request in requests:
            self._prepare(request)
        return self._exchange(len(requests))

    def _prepare(self, request: Any) -> None:
        kind = type(request)
        lowest, highest = self._versions.get(kind.API_KEY, (0, -1))
        version = min(_NEWEST[kind], highest)
        if version < lowest:
            raise BrokerSilentError(f"the broker knows no {kind.name} that this program speaks")
        request.API_VERSION = version
        self._codec.send_request(request)

    def _learn_versions(self) -> None:
        request = ApiVersionsRequest(client_software_name=_CLIENT_ID, client_software_version="1")
        request.API_VERSION = _NEWEST[ApiVersionsRequest]
        self._codec.send_request(request)
        (answer,) = self._exchange(1)
        self._versions = {entry.api_key: (entry.min_version, entry.max_version) for entry in answer.api_keys}

    def _exchange(self, expected: int) -> list[Any]:
        answers: list[Any] = []
        try:
            self._socket.settimeout(self._left())
            self._socket.sendall(self._codec.send_bytes())
            while len(answers) < expected:
                self._socket.settimeout(self._left())
                data = self._socket.recv(_CHUNK_BYTES)
                if not data:
                    raise BrokerSilentError("closed the connection")
                answers += self._decode(data)
        except OSError as error:
            raise BrokerSilentError(in_words(error)) from None
        return answers

    def _decode(self, data: bytes) -> list[Any]:
        try:
            return [answer for _, answer in self._codec.receive_bytes(data)]
        except Exception as error:
            # The codec takes the bytes for what was asked for, and fails in any way on what is something else.
            raise BrokerSilentError(f"what answers there is not Kafka ({type(error).__name__})") from None

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise BrokerSilentError(NO_ANSWER)
        return left


def metadata() -> Any:
    """Return the request for all topics."""
    return MetadataRequest(topics=None, allow_auto_topic_creation=False)


def log_dirs() -> Any:
    """Return the request for the sizes of all log directories."""
    return DescribeLogDirsRequest(topics=None)


def groups() -> Any:
    """Return the request for the groups that this broker coordinates."""
    return ListGroupsRequest(states_filter=[])


def quorum() -> Any:
    """Return the request for the quorum's state, which the broker forwards to the active controller."""
    topic = DescribeQuorumRequest.TopicData
    partition = topic.PartitionData
    return DescribeQuorumRequest(topics=[topic(topic_name=_METADATA_TOPIC, partitions=[partition(partition_index=0)])])


def min_isr(topics: Sequence[str]) -> Any:
    """Return the request for ``min.insync.replicas`` of the topics."""
    resource = DescribeConfigsRequest.DescribeConfigsResource
    return DescribeConfigsRequest(
        resources=[
            resource(resource_type=_TOPIC_RESOURCE, resource_name=topic, configuration_keys=["min.insync.replicas"])
            for topic in topics
        ]
    )


def offsets(partitions: Sequence[tuple[str, int]], *, replica: int, timestamp: int, isolation: int) -> Any:
    """Return the request for one offset of each partition (topic, number)."""
    topic_type = ListOffsetsRequest.ListOffsetsTopic
    partition_type = topic_type.ListOffsetsPartition
    by_topic: dict[str, list[Any]] = {}
    for topic, number in partitions:
        entry = partition_type(partition_index=number, current_leader_epoch=-1, timestamp=timestamp)
        by_topic.setdefault(topic, []).append(entry)
    return ListOffsetsRequest(
        replica_id=replica,
        isolation_level=isolation,
        topics=[topic_type(name=topic, partitions=entries) for topic, entries in by_topic.items()],
    )


def committed(names: Sequence[str]) -> Any:
    """Return the request for all committed offsets of the groups (brokers 3.0 and newer)."""
    group = OffsetFetchRequest.OffsetFetchRequestGroup
    return OffsetFetchRequest(groups=[group(group_id=name, topics=None) for name in names], require_stable=False)


def refusals(answer: Any, about: str = "") -> Iterator[tuple[str, int]]:
    """Yield (what, error code) for each part of an answer that the broker refuses; ``what`` is empty for all of it."""
    if code := getattr(answer, "error_code", None):
        yield about, code
    for part in _PARTS:
        for entry in getattr(answer, part, None) or ():
            yield from refusals(entry, _name(entry, about))


def _name(entry: Any, about: str) -> str:
    if (number := getattr(entry, "partition_index", None)) is not None:
        return f"{about}-{number}"
    return next((name for field in _NAMES if (name := getattr(entry, field, None))), about)


def error_name(code: int) -> str:
    """Return Kafka's own name of an error code, such as ``CLUSTER_AUTHORIZATION_FAILED``."""
    return str(getattr(errors.for_code(code), "message", None) or "UNKNOWN_ERROR")


def read_offsets(answer: Any) -> dict[tuple[str, int], int]:
    """Return the offsets of an answer to :func:`offsets`; partitions answered with an error are left out."""
    return {
        (topic.name, entry.partition_index): entry.offset
        for topic in answer.topics
        for entry in topic.partitions
        if entry.error_code == _NO_ERROR and entry.offset >= 0
    }


def read_min_isr(answer: Any) -> dict[str, int]:
    """Return topic to ``min.insync.replicas``."""
    return {
        result.resource_name: int(entry.value)
        for result in answer.results
        if result.error_code == _NO_ERROR
        for entry in result.configs
        if entry.value is not None
    }


def read_committed(answer: Any) -> dict[str, list[tuple[str, int, int]]]:
    """Return group to its committed offsets as (topic, partition, offset)."""
    return {
        group.group_id: [
            (topic.name, entry.partition_index, entry.committed_offset)
            for topic in group.topics
            for entry in topic.partitions
            if entry.error_code == _NO_ERROR and entry.committed_offset >= 0
        ]
        for group in answer.groups
        if group.error_code == _NO_ERROR
    }
