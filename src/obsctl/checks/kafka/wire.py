"""One conversation with one broker: the only module that touches kafka-python's internals.

kafka-python's clients choose a broker at random and their connection set-up takes ten seconds whatever the request
timeout says, which is useless for a failing cluster. Only the library's codec is used here (``kafka.protocol``, which
does no I/O), over our own socket, with TLS and a login if configured, and one deadline from connecting to the last
answer. tests/integration verifies these internals against a real broker.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any

from kafka import errors
from kafka.protocol.admin import (
    DescribeConfigsRequest,
    DescribeLogDirsRequest,
    DescribeQuorumRequest,
    ElectLeadersRequest,
    ListGroupsRequest,
    ListPartitionReassignmentsRequest,
)
from kafka.protocol.consumer import ListOffsetsRequest, OffsetFetchRequest
from kafka.protocol.metadata import ApiVersionsRequest, MetadataRequest
from kafka.protocol.parser import KafkaProtocol
from kafka.protocol.sasl import SaslAuthenticateRequest, SaslHandshakeRequest

from obsctl.checks.ask.failure import in_words
from obsctl.checks.kafka.snapshot import (
    CLEAR,
    LOGIN,
    MECHANISM,
    MUTE,
    NO_SASL,
    REFUSED,
    SASL,
    TLS,
    UNNAMED,
    UNREACHABLE,
)
from obsctl.checks.silence import NO_ANSWER
from obsctl.kafka.access import UNPROTECTED, Access
from obsctl.kafka.scram import HASHES, ScramClient, ScramError, plain

#: Replica id of a debugging consumer: the broker answers from its local replica, leader or not, with its log end.
DEBUG_REPLICA = -2
#: Replica id of an ordinary client, which only the leader answers.
CLIENT_REPLICA = -1
LATEST = -1
EARLIEST = -2
READ_UNCOMMITTED = 0
READ_COMMITTED = 1

_NO_ERROR = 0
#: Kafka's codes for a topic and a group that our user may not describe.
TOPIC_HIDDEN, GROUP_HIDDEN = 29, 30
#: Kafka's codes for a login: mechanism not supported, no login supported, refused.
_UNSUPPORTED_MECHANISM, _ILLEGAL_SASL_STATE, _LOGIN_FAILED = 33, 34, 58
#: Error codes of a broker that is not, or not yet, the right one to ask: the next look finds the right one.
MOVED = frozenset({5, 6, 14, 15, 16, 78})
_TOPIC_RESOURCE = 2
#: The settings of a topic that are requested.
_SETTINGS = (
    "min.insync.replicas", "retention.ms", "retention.bytes", "cleanup.policy", "unclean.leader.election.enable",
)  # fmt: skip
_PREFERRED = 0
#: How a TLS record begins: an alert or a handshake, of version 3.
_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")
#: Time limit of a second connection that only checks whether the port expects TLS, seconds.
_PROBE_S = 0.5
_SPEAKS_TLS = "the port expects TLS, but obsctl connects without it"
_METADATA_TOPIC = "__cluster_metadata"
_CLIENT_ID = "obsctl"
#: Protocol types of groups of readers: members that share partitions, programs that only commit, and those of Kafka 4.
_READERS = ("consumer", "", "share", "streams")
#: The kind of a group whose members share each partition's records (KIP-932).
SHARE = "share"
_CHUNK_BYTES = 1 << 18
#: The fields of answers that hold parts with their own error codes, and the fields with the parts' names.
_PARTS = ("results", "groups", "topics", "partitions")
_NAMES = ("log_dir", "resource_name", "group_id", "name")
#: Newest version of each request that this module supports; with an older broker a lower one is used.
_NEWEST = {
    ApiVersionsRequest: 3,
    MetadataRequest: 12,
    DescribeConfigsRequest: 4,
    DescribeLogDirsRequest: 4,
    DescribeQuorumRequest: 1,
    ElectLeadersRequest: 2,
    ListGroupsRequest: 5,
    ListPartitionReassignmentsRequest: 0,
    ListOffsetsRequest: 7,
    OffsetFetchRequest: 8,
    SaslHandshakeRequest: 1,
    SaslAuthenticateRequest: 1,
}


class BrokerSilentError(Exception):
    """The broker gave no (further) answer; the message says why, in a few words.

    Attributes:
        kind: one of ``snapshot.SILENCES``, empty for another.
    """

    def __init__(self, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind


class BrokerClosedError(BrokerSilentError):
    """The broker closed the connection, perhaps because the port expects something else first."""


class Conversation:
    """A connection to one broker, on which requests go out together and answers come back in order.

    Args:
        host: address or name.
        port: of the broker's listener.
        deadline: end of all waiting, on :func:`time.monotonic`.
        access: TLS and login for the port.

    Raises:
        BrokerSilentError: from the constructor and from every method.
    """

    def __init__(self, host: str, port: int, deadline: float, access: Access = UNPROTECTED) -> None:
        self._at = (host, port)
        self._deadline = deadline
        self._access = access
        self._codec = KafkaProtocol(client_id=_CLIENT_ID)
        self._versions: dict[int, tuple[int, int]] = {}
        self._heard = False
        self._admitted = False
        try:
            self._socket = socket.create_connection((host, port), timeout=self._left())
        except OSError as error:
            raise BrokerSilentError(in_words(error), _kind(error)) from None
        except UnicodeError:
            raise BrokerSilentError("its address is not valid", UNNAMED) from None
        try:
            self._begin()
        except Exception:
            self.close()
            raise

    def _begin(self) -> None:
        if self._access.context is not None:
            self._encrypt()
            self._learn_versions()
        else:
            self._begin_in_clear()
        if self._access.security.sasl:
            self._log_in()

    def _begin_in_clear(self) -> None:
        try:
            self._learn_versions()
        except BrokerSilentError as silence:
            # Imported here, because a healthy cluster without TLS does not need it.
            from obsctl.checks.kafka.handshake import speaks_tls

            if silence.kind == MUTE or self._heard or not speaks_tls(*self._at, self._deadline):
                raise
            raise BrokerSilentError(_SPEAKS_TLS, TLS) from None

    def _encrypt(self) -> None:
        from obsctl.checks.kafka import handshake

        assert self._access.context is not None  # noqa: S101 - only called with one
        try:
            self._socket = handshake.encrypt(self._socket, self._access.context, self._at[0])
        except TimeoutError:
            raise self._mute() from None
        except OSError as error:
            if handshake.is_end(error) and _answers_in_clear(*self._at, self._deadline):
                raise BrokerSilentError(handshake.SPEAKS_CLEAR, CLEAR) from None
            raise self._broken(error) from None

    def _log_in(self) -> None:
        security, password = self._access.security, self._access.password
        (answer,) = self._asked([SaslHandshakeRequest(mechanism=security.mechanism)])
        if answer.error_code == _ILLEGAL_SASL_STATE:
            raise BrokerSilentError(f"the port takes no login, and user {security.user} tried to log in", NO_SASL)
        if answer.error_code == _UNSUPPORTED_MECHANISM:
            known = ", ".join(answer.mechanisms) or "none"
            raise BrokerSilentError(f"takes no login by {security.mechanism}; it knows {known}", MECHANISM)
        secret = password.reveal() if password else ""
        if security.mechanism not in HASHES:
            self._authenticate(plain(security.user, secret))
            return
        client = ScramClient(HASHES[security.mechanism], security.user, secret)
        try:
            client.verify(self._authenticate(client.final(self._authenticate(client.first()))))
        except ScramError as error:
            raise BrokerSilentError(f"the login of user {security.user} failed: {error}", LOGIN) from None

    def _authenticate(self, message: bytes) -> bytes:
        (answer,) = self._asked([SaslAuthenticateRequest(auth_bytes=message)])
        if answer.error_code == _LOGIN_FAILED:
            security = self._access.security
            raise BrokerSilentError(f"refuses the login of user {security.user} by {security.mechanism}", LOGIN)
        if answer.error_code != _NO_ERROR:
            raise BrokerSilentError(f"breaks the login off: {error_name(answer.error_code)}", LOGIN)
        return bytes(answer.auth_bytes)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def ask(self, requests: Sequence[Any]) -> list[Any]:
        """Send all requests at once and return their answers in the same order."""
        try:
            answers = self._asked(requests)
        except BrokerClosedError:
            if self._admitted or not (known := self._login_wanted()):
                raise
            raise BrokerSilentError(f"the port wants a login ({known}), and none was given", SASL) from None
        self._admitted = True
        return answers

    def _asked(self, requests: Sequence[Any]) -> list[Any]:
        for request in requests:
            self._prepare(request)
        return self._exchange(len(requests))

    def _login_wanted(self) -> str:
        """Return the login mechanisms that the port requires; empty if it requires none.

        Without a login such a broker still answers which versions it supports, and closes the connection at the next
        request.
        """
        if self._access.security.sasl:
            return ""
        try:
            with contextlib.closing(Conversation(*self._at, self._deadline, self._access)) as again:
                (answer,) = again._asked([SaslHandshakeRequest(mechanism="SCRAM-SHA-512")])
        except BrokerSilentError:
            return ""
        return ", ".join(answer.mechanisms)

    def _prepare(self, request: Any) -> None:
        kind = type(request)
        lowest, highest = self._versions.get(kind.API_KEY, (0, -1))
        version = min(_NEWEST[kind], highest)
        if version < lowest:
            raise BrokerSilentError(f"the broker and obsctl have no version of {kind.name} in common")
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
                    raise BrokerClosedError("closed the connection")
                if not self._heard and data.startswith(_TLS_RECORDS):
                    raise BrokerSilentError(_SPEAKS_TLS, TLS)
                answers += self._decode(data)
                self._heard = self._heard or bool(answers)
        except TimeoutError:
            raise self._mute() from None
        except OSError as error:
            raise self._broken(error) from None
        return answers

    def _broken(self, error: OSError) -> BrokerSilentError:
        """Return the reason why the connection ended: over TLS, an alert may give it."""
        if self._access.context is not None:
            from obsctl.checks.kafka.handshake import failure, is_end

            found = failure(error, self._at[0])
            if found is not None and not is_end(error):
                return BrokerSilentError(*found)
        return (BrokerClosedError if isinstance(error, ConnectionError) else BrokerSilentError)(in_words(error))

    def _mute(self) -> BrokerSilentError:
        """Return the error for a peer that accepted the connection: if it has sent nothing, its process hangs."""
        return BrokerSilentError(NO_ANSWER if self._heard else f"accepts the connection, but {NO_ANSWER}", MUTE)

    def _decode(self, data: bytes) -> list[Any]:
        try:
            return [answer for _, answer in self._codec.receive_bytes(data)]
        except Exception as error:
            # The codec assumes that the bytes are the expected answer, and may raise any error if they are not.
            raise BrokerSilentError(f"what answers there is not Kafka ({type(error).__name__})") from None

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise BrokerSilentError(NO_ANSWER)
        return left


def _kind(error: OSError) -> str:
    """Return the kind of silence of a failed connection."""
    if isinstance(error, socket.gaierror):
        return UNNAMED
    if isinstance(error, ConnectionRefusedError):
        return REFUSED
    if isinstance(error, TimeoutError) or error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN):
        return UNREACHABLE
    return ""


def _answers_in_clear(host: str, port: int, deadline: float) -> bool:
    """Return whether a broker answers there without TLS."""
    try:
        Conversation(host, port, min(deadline, time.monotonic() + _PROBE_S)).close()
    except BrokerSilentError:
        return False
    return True


def metadata() -> Any:
    """Return the request for all topics."""
    return MetadataRequest(topics=None, allow_auto_topic_creation=False)


def log_dirs() -> Any:
    """Return the request for the sizes of all log directories."""
    return DescribeLogDirsRequest(topics=None)


def groups() -> Any:
    """Return the request for the groups that this broker coordinates."""
    return ListGroupsRequest(states_filter=[], types_filter=[])


def quorum() -> Any:
    """Return the request for the quorum's state, which the broker forwards to the active controller."""
    topic = DescribeQuorumRequest.TopicData
    partition = topic.PartitionData
    return DescribeQuorumRequest(topics=[topic(topic_name=_METADATA_TOPIC, partitions=[partition(partition_index=0)])])


def named(topics: Sequence[str]) -> Any:
    """Return the request for only these topics: unlike that for all topics, its answer shows hidden ones."""
    topic = MetadataRequest.MetadataRequestTopic
    return MetadataRequest(topics=[topic(name=name) for name in topics], allow_auto_topic_creation=False)


def reassignments(timeout_s: float) -> Any:
    """Return the request for the partitions that are being moved, which the broker forwards to the controller."""
    return ListPartitionReassignmentsRequest(timeout_ms=int(timeout_s * 1000), topics=None)


def elect_preferred(partitions: Sequence[tuple[str, int]], timeout_s: float) -> Any:
    """Return the request to make the first replica of each partition its leader, if it is in the ISR."""
    by_topic: dict[str, list[int]] = {}
    for topic, number in partitions:
        by_topic.setdefault(topic, []).append(number)
    entry = ElectLeadersRequest.TopicPartitions
    return ElectLeadersRequest(
        election_type=_PREFERRED,
        topic_partitions=[entry(topic=topic, partitions=numbers) for topic, numbers in by_topic.items()],
        timeout_ms=int(timeout_s * 1000),
    )


def settings(topics: Sequence[str]) -> Any:
    """Return the request for the topics' settings."""
    resource = DescribeConfigsRequest.DescribeConfigsResource
    return DescribeConfigsRequest(
        resources=[
            resource(resource_type=_TOPIC_RESOURCE, resource_name=topic, configuration_keys=list(_SETTINGS))
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


def hidden_topics(answer: Any) -> Iterator[str]:
    """Yield the topics of an answer to :func:`named` that our user may not describe."""
    for topic in answer.topics:
        if topic.error_code == TOPIC_HIDDEN:
            yield topic.name


def hidden_groups(answer: Any) -> Iterator[str]:
    """Yield the groups of an answer to :func:`committed` that our user may not describe."""
    for group in answer.groups:
        if group.error_code == GROUP_HIDDEN:
            yield group.group_id


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


def read_settings(answer: Any) -> dict[str, dict[str, str]]:
    """Return topic to its settings, name to value; settings that the broker does not report are left out."""
    return {
        result.resource_name: {entry.name: entry.value for entry in result.configs if entry.value is not None}
        for result in answer.results
        if result.error_code == _NO_ERROR
    }


def read_reassignments(answer: Any) -> dict[tuple[str, int], tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return partition to the replicas that are being added, and those that are being removed."""
    return {
        (topic.name, entry.partition_index): (tuple(entry.adding_replicas), tuple(entry.removing_replicas))
        for topic in answer.topics
        for entry in topic.partitions
    }


def read_elections(answer: Any) -> dict[tuple[str, int], int]:
    """Return partition to the error code of its election."""
    return {
        (topic.topic, entry.partition_id): entry.error_code
        for topic in answer.replica_election_results
        for entry in topic.partition_result
    }


def read_groups(answer: Any) -> dict[str, tuple[str, str]]:
    """Return group to its kind and its state, of the groups that read.

    The kind is ``classic``, ``consumer``, ``share`` or ``streams``; empty where the broker does not say (before 3.8).
    """
    return {
        group.group_id: ((getattr(group, "group_type", None) or "").lower(), group.group_state)
        for group in answer.groups
        if group.protocol_type in _READERS
    }


def topic_id(topic: Any) -> str:
    """Return a topic's id in the form of librdkafka, and so of the database; empty if there is none.

    Kafka's own tools write ``-`` and ``_`` where this has ``+`` and ``/``.
    """
    found = getattr(topic, "topic_id", None)
    return base64.b64encode(found.bytes).decode().rstrip("=") if found is not None and found.int else ""


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
