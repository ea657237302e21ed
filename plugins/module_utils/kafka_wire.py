# -*- coding: utf-8 -*-
# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""The few requests of Kafka's protocol that the modules need, without Java and without a client library.

A Java tool costs two to three CPU seconds a call; a request here costs milliseconds, so that the second run of a
playbook stays short and a restart can be watched closely. Only flexible versions of a request are used that all
supported versions of Kafka share. Layouts: https://kafka.apache.org/protocol. Runs under the targets' Pythons (2.7 and newer); plain TCP only.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import socket
import struct

METADATA = (3, 12)
CREATE_TOPICS = (19, 7)
DESCRIBE_CONFIGS = (32, 4)
CREATE_PARTITIONS = (37, 3)
ELECT_LEADERS = (43, 2)
ALTER_CONFIGS = (44, 1)
DESCRIBE_QUORUM = (55, 1)

RESOURCE_TOPIC = 2
#: ConfigSource of a value that was set for this very topic.
SOURCE_TOPIC = 1
TOPIC_EXISTS = 36
#: Of a partition: its preferred replica does not live, or leads already.
PREFERRED_NOT_AVAILABLE = 80
ELECTION_NOT_NEEDED = 84

#: No answer of these requests comes near; a larger length means that something else than Kafka answers.
_MAX_ANSWER_BYTES = 64 * 1024 * 1024

ERRORS = {
    3: "unknown topic or partition",
    5: "leader not available",
    6: "not the leader",
    7: "request timed out",
    17: "invalid topic",
    19: "not enough replicas",
    29: "topic authorization failed",
    31: "cluster authorization failed",
    35: "unsupported version",
    36: "topic already exists",
    37: "invalid number of partitions",
    38: "invalid replication factor",
    40: "invalid configuration",
    41: "not the controller",
    42: "invalid request",
    44: "policy violation",
}


class KafkaError(Exception):
    """A broker did not answer, or refused."""


def error_text(code, message=None):
    """Return what an error code means, with the broker's own words where it sent some."""
    return "%s (error %d)" % (message or ERRORS.get(code, "refused"), code)


class Writer:
    """Builds one request body."""

    def __init__(self):
        self.data = bytearray()

    def put(self, layout, *values):
        self.data += struct.pack(">" + layout, *values)
        return self

    def varint(self, value):
        while value > 0x7F:
            self.data.append((value & 0x7F) | 0x80)
            value >>= 7
        self.data.append(value)
        return self

    def string(self, text):
        """A compact string; None is null."""
        if text is None:
            return self.varint(0)
        raw = text.encode("utf-8")
        self.varint(len(raw) + 1)
        self.data += raw
        return self

    def array(self, items, write_item):
        """A compact array; None is null. Each item is followed by its (empty) tags."""
        if items is None:
            return self.varint(0)
        self.varint(len(items) + 1)
        for item in items:
            write_item(self, item)
        return self

    def tags(self):
        return self.varint(0)


class Reader:
    """Takes one response body apart."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def get(self, layout):
        values = struct.unpack_from(">" + layout, self.data, self.at)
        self.at += struct.calcsize(">" + layout)
        return values[0] if len(values) == 1 else values

    def varint(self):
        value, shift = 0, 0
        while True:
            byte = self.get("B")
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
            shift += 7

    def string(self):
        length = self.varint()
        if length == 0:
            return None
        raw = bytes(self.data[self.at : self.at + length - 1])
        self.at += length - 1
        return raw.decode("utf-8")

    def array(self, read_item):
        return [read_item(self) for _unused in range(max(0, self.varint() - 1))]

    def tags(self):
        for _unused in range(self.varint()):
            self.varint()
            self.at += self.varint()


def split_address(address):
    """Return (host, port) of C(host:port); an IPv6 address stands in brackets."""
    host, _unused, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def call(address, api, body, timeout):
    """Send one request on a connection of its own and return a Reader at the response's body.

    Args:
        address: C(host:port) of a broker.
        api: (key, version), one of this module's constants.
        body: the request's bytes.
        timeout: seconds for each of connect, send and each receive.

    Raises:
        KafkaError: no connection, no answer in time, or something else than Kafka answers.
    """
    key, version = api
    header = Writer().put("hhi", key, version, 1)
    client = b"obscraft"
    header.put("h", len(client))
    header.data += client
    header.tags()
    message = bytes(header.data) + bytes(body)
    try:
        link = socket.create_connection(split_address(address), timeout)
        try:
            link.settimeout(timeout)
            link.sendall(struct.pack(">i", len(message)) + message)
            (length,) = struct.unpack(">i", _receive(link, 4))
            if not 5 <= length <= _MAX_ANSWER_BYTES:
                raise KafkaError("%s: what answers there is not Kafka" % address)
            answer = Reader(_receive(link, length))
        finally:
            link.close()
    except (socket.error, socket.timeout) as error:
        raise KafkaError("%s: %s" % (address, error))
    answer.get("i")
    answer.tags()
    return answer


def touch(address, timeout):
    """Open and close a connection.

    Raises:
        KafkaError: nothing listens there.
    """
    try:
        socket.create_connection(split_address(address), timeout).close()
    except (socket.error, socket.timeout) as error:
        raise KafkaError("%s: %s" % (address, error))


def _receive(link, count):
    data = bytearray()
    while len(data) < count:
        piece = link.recv(count - len(data))
        if not piece:
            raise KafkaError("the broker closed the connection (an unsupported version, or it is going down)")
        data += piece
    return bytes(data)


def first_answer(addresses, api, body, timeout):
    """Ask one broker after the other until one answers.

    Raises:
        KafkaError: none of them answered; the message names each.
    """
    faults = []
    for address in addresses:
        try:
            return call(address, api, body, timeout)
        except KafkaError as error:
            faults.append(str(error))
    raise KafkaError("; ".join(faults) or "no broker to ask")


def metadata(addresses, timeout):
    """Return C({cluster_id, brokers: {id: "host:port"}, topics: {name: [partition, ...]}}).

    A partition is C({partition, error, leader, replicas, isr, offline}).
    """
    body = Writer().varint(0).put("??", False, False).tags().data
    answer = first_answer(addresses, METADATA, body, timeout)
    answer.get("i")
    brokers = dict(answer.array(_read_broker))
    cluster_id = answer.string()
    answer.get("i")
    topics = dict(answer.array(_read_topic))
    return {"cluster_id": cluster_id, "brokers": brokers, "topics": topics}


def _read_broker(answer):
    node, host, port = answer.get("i"), answer.string(), answer.get("i")
    answer.string()
    answer.tags()
    return node, "%s:%d" % (host, port)


def _read_topic(answer):
    answer.get("h")
    name = answer.string()
    answer.at += 16 + 1  # topic id, is_internal
    partitions = answer.array(_read_partition)
    answer.get("i")
    answer.tags()
    return name, sorted(partitions, key=lambda p: p["partition"])


def _read_partition(answer):
    error, index, leader, _epoch = answer.get("hiii")
    replicas, isr, offline = [answer.array(lambda a: a.get("i")) for _unused in range(3)]
    answer.tags()
    return {
        "partition": index,
        "error": error,
        "leader": leader,
        "replicas": replicas,
        "isr": isr,
        "offline": offline,
    }


def quorum(addresses, timeout):
    """Return C({leader, epoch, high_watermark, voters, observers}) of the metadata quorum; leader -1 is none.

    A voter is C({id, log_end_offset, behind_ms}): milliseconds since it was last caught up, by the leader's clock.

    Raises:
        KafkaError: no broker answered, or no leader is known.
    """
    def one_partition(body, index):
        body.put("i", index).tags()

    def one_topic(body, name):
        body.string(name).array([0], one_partition).tags()

    body = Writer().array(["__cluster_metadata"], one_topic).tags().data
    answer = first_answer(addresses, DESCRIBE_QUORUM, body, timeout)
    code = answer.get("h")
    if code:
        raise KafkaError(error_text(code))
    (topic,) = answer.array(lambda a: (a.string(), a.array(_read_quorum), a.tags()))
    (found,) = topic[1]
    if found["error"]:
        raise KafkaError(error_text(found["error"]))
    now = max([v["caught_up"] for v in found["voters"]] or [0])
    for node in found["voters"] + found["observers"]:
        node["behind_ms"] = now - node.pop("caught_up")
    return found


def _read_quorum(answer):
    _index, error, leader, epoch, mark = answer.get("ihiiq")
    voters, observers = answer.array(_read_quorum_node), answer.array(_read_quorum_node)
    answer.tags()
    return {
        "error": error,
        "leader": leader,
        "epoch": epoch,
        "high_watermark": mark,
        "voters": voters,
        "observers": observers,
    }


def _read_quorum_node(answer):
    node, end, _fetched, caught_up = answer.get("iqqq")
    answer.tags()
    return {"id": node, "log_end_offset": end, "caught_up": caught_up}


def topic_configs(addresses, topics, keys, timeout):
    """Return C({topic: {key: (value, is_set_on_the_topic)}}) for the given keys of the given topics."""
    def one_resource(body, name):
        body.put("b", RESOURCE_TOPIC).string(name)
        body.array(sorted(keys), lambda b, key: b.string(key)).tags()

    body = Writer().array(sorted(topics), one_resource).put("??", False, False).tags().data
    answer = first_answer(addresses, DESCRIBE_CONFIGS, body, timeout)
    answer.get("i")
    found = {}
    for code, message, name, configs in answer.array(_read_resource):
        if code:
            raise KafkaError("topic %s: %s" % (name, error_text(code, message)))
        found[name] = configs
    return found


def _read_resource(answer):
    code, message = answer.get("h"), answer.string()
    answer.get("b")
    name = answer.string()
    configs = dict(answer.array(_read_config))
    answer.tags()
    return code, message, name, configs


def _read_config(answer):
    name, value = answer.string(), answer.string()
    _read_only, source, _sensitive = answer.get("?b?")
    answer.array(lambda a: (a.string(), a.string(), a.get("b"), a.tags()))
    answer.get("b")
    answer.string()
    answer.tags()
    return name, (value, source == SOURCE_TOPIC)


def create_topics(addresses, topics, timeout):
    """Create topics (each C({name, partitions, replication_factor, configs})); one that appeared meanwhile is fine.

    Raises:
        KafkaError: the cluster refused; the message names each refused topic.
    """
    def one_config(body, pair):
        body.string(pair[0]).string(pair[1]).tags()

    def one_topic(body, topic):
        body.string(topic["name"]).put("ih", topic["partitions"], topic["replication_factor"])
        body.array([], None).array(sorted(topic["configs"].items()), one_config).tags()

    body = Writer().array(topics, one_topic).put("i?", int(timeout * 1000), False).tags().data
    answer = first_answer(addresses, CREATE_TOPICS, body, timeout + 2)
    answer.get("i")
    _raise_refused(answer.array(_read_created), allowed=(0, TOPIC_EXISTS))


def _read_created(answer):
    name = answer.string()
    answer.at += 16
    code, message = answer.get("h"), answer.string()
    answer.get("ih")
    answer.array(lambda a: (a.string(), a.string(), a.get("?b?"), a.tags()))
    answer.tags()
    return name, code, message


def create_partitions(addresses, counts, timeout):
    """Raise topics (name to new number of partitions)."""
    def one_topic(body, pair):
        body.string(pair[0]).put("i", pair[1]).array(None, None).tags()

    body = Writer().array(sorted(counts.items()), one_topic).put("i?", int(timeout * 1000), False).tags().data
    answer = first_answer(addresses, CREATE_PARTITIONS, body, timeout + 2)
    answer.get("i")
    _raise_refused(answer.array(lambda a: (a.string(), a.get("h"), a.string(), a.tags())[:3]))


def elect_preferred_leaders(addresses, timeout):
    """Give each partition's lead back to its first replica; return how many leads have moved.

    Raises:
        KafkaError: no broker answered, or the cluster refused.
    """
    body = Writer().put("b", 0).array(None, None).put("i", int(timeout * 1000)).tags().data
    answer = first_answer(addresses, ELECT_LEADERS, body, timeout + 2)
    answer.get("i")
    code = answer.get("h")
    if code:
        raise KafkaError(error_text(code))
    results = [pair for pairs in answer.array(_read_elected) for pair in pairs]
    _raise_refused(results, allowed=(0, PREFERRED_NOT_AVAILABLE, ELECTION_NOT_NEEDED))
    return len([code for _name, code, _message in results if code == 0])


def _read_elected(answer):
    topic = answer.string()
    results = answer.array(lambda a: (a.get("i"), a.get("h"), a.string(), a.tags())[:3])
    answer.tags()
    return [("%s-%d" % (topic, index), code, message) for index, code, message in results]


def set_topic_configs(addresses, changes, timeout):
    """Set configs (topic to {key: value}); other keys stay as they are."""
    def one_config(body, pair):
        body.string(pair[0]).put("b", 0).string(pair[1]).tags()

    def one_resource(body, pair):
        body.put("b", RESOURCE_TOPIC).string(pair[0]).array(sorted(pair[1].items()), one_config).tags()

    body = Writer().array(sorted(changes.items()), one_resource).put("?", False).tags().data
    answer = first_answer(addresses, ALTER_CONFIGS, body, timeout)
    answer.get("i")
    _raise_refused(answer.array(_read_altered))


def _read_altered(answer):
    code, message = answer.get("h"), answer.string()
    answer.get("b")
    name = answer.string()
    answer.tags()
    return name, code, message


def _raise_refused(results, allowed=(0,)):
    refused = ["topic %s: %s" % (n, error_text(c, m)) for n, c, m in results if c not in allowed]
    if refused:
        raise KafkaError("; ".join(refused))
