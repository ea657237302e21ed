# -*- coding: utf-8 -*-
# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""The few requests of Kafka's protocol that the modules need, without Java and without a client library.

A Java tool costs two to three CPU seconds a call; a request here costs milliseconds, so that the second run of a
playbook stays short and a restart can be watched closely. Only flexible versions of a request are used that all
supported versions of Kafka share. Layouts: https://kafka.apache.org/protocol. Runs under the targets' Pythons (2.7 and
newer).

An address is C(HOST:PORT) of a listener without TLS, or C(SSL://HOST:PORT) of one with TLS; for such a one, functions take
the files of C(tls), see :func:`tls_context`.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import base64
import binascii
import hashlib
import hmac
import os
import socket
import ssl
import struct

METADATA = (3, 12)
SASL_HANDSHAKE = (17, 1)
CREATE_TOPICS = (19, 7)
DESCRIBE_CONFIGS = (32, 4)
DESCRIBE_ACLS = (29, 2)
CREATE_ACLS = (30, 2)
DELETE_ACLS = (31, 2)
SASL_AUTHENTICATE = (36, 2)
CREATE_PARTITIONS = (37, 3)
ELECT_LEADERS = (43, 2)
ALTER_CONFIGS = (44, 1)
DESCRIBE_QUOTAS = (48, 1)
ALTER_QUOTAS = (49, 1)
DESCRIBE_USERS = (50, 0)
ALTER_USERS = (51, 0)
DESCRIBE_QUORUM = (55, 1)

#: What stands before the address of a listener with TLS.
TLS = "SSL://"
SCRAM_SHA_512 = 2
SCRAM_NAME = "SCRAM-SHA-512"

RESOURCE_TOPIC = 2
#: ConfigSource of a value that was set for this very topic.
SOURCE_TOPIC = 1
TOPIC_EXISTS = 36
#: Of a partition: its preferred replica does not live, or leads already.
PREFERRED_NOT_AVAILABLE = 80
ELECTION_NOT_NEEDED = 84
NO_SUCH_USER = 91
#: Kafka's numbers of what its access rules speak of.
RESOURCES = {"topic": 2, "group": 3, "cluster": 4, "transactional_id": 5}
PATTERNS = {"literal": 3, "prefixed": 4}
OPERATIONS = {
    "All": 2,
    "Read": 3,
    "Write": 4,
    "Create": 5,
    "Delete": 6,
    "Alter": 7,
    "Describe": 8,
    "ClusterAction": 9,
    "DescribeConfigs": 10,
    "AlterConfigs": 11,
    "IdempotentWrite": 12,
}
DENY, ALLOW = 2, 3
#: In a filter: whatever stands there.
_ANY = 1
#: Of an entity that has quotas: whatever name is given, but not the default.
_ANY_NAME = 2

#: No answer to these requests is nearly as long; a larger length means that the answer is not Kafka's.
_MAX_ANSWER_BYTES = 64 * 1024 * 1024
#: The first bytes of a TLS alert, with which a TLS port answers a request without TLS.
_TLS_ALERT = b"\x15\x03"

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
    54: "the cluster has no authorizer",
    58: "the login is refused",
}


class KafkaError(Exception):
    """A broker did not answer, or refused."""


class LoginRefused(KafkaError):
    """A broker does not know the user, or the password is wrong."""


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
        return self.varint(0) if text is None else self.blob(text.encode("utf-8"))

    def blob(self, raw):
        """Compact bytes."""
        self.varint(len(raw) + 1)
        self.data += raw
        return self

    def short_string(self, text):
        """A string as requests that are not flexible have it."""
        raw = text.encode("utf-8")
        self.put("h", len(raw))
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

    def __init__(self, data, address=""):
        self.data = data
        self.at = 0
        #: Who has answered.
        self.address = address

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
        raw = self.blob()
        return None if raw is None else raw.decode("utf-8")

    def blob(self):
        length = self.varint()
        if length == 0:
            return None
        raw = bytes(self.data[self.at : self.at + length - 1])
        self.at += length - 1
        return raw

    def short_string(self):
        length = self.get("h")
        raw = bytes(self.data[self.at : self.at + length])
        self.at += length
        return raw.decode("utf-8")

    def array(self, read_item):
        return [read_item(self) for _unused in range(max(0, self.varint() - 1))]

    def tags(self):
        for _unused in range(self.varint()):
            self.varint()
            self.at += self.varint()


def split_address(address):
    """Return (host, port) of an address; an IPv6 address stands in brackets."""
    host, _unused, port = address[len(TLS) if address.startswith(TLS) else 0 :].rpartition(":")
    return host.strip("[]"), int(port)


def tls_context(tls):
    """Return a context that trusts the certificates of a file, and shows the host's own where it has one.

    Args:
        tls: C({ca_file, certificate_file, key_file}), paths of PEM files; the latter two may be missing.

    Raises:
        KafkaError: a file is missing or holds something else.
    """
    # The first name is missing under Python 2.7. Which versions are spoken is the brokers' choice.
    context = ssl.SSLContext(getattr(ssl, "PROTOCOL_TLS_CLIENT", ssl.PROTOCOL_SSLv23))
    # Python 2.7 compares no addresses, so names are compared below, on all of them.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    path = tls["ca_file"]
    try:
        context.load_verify_locations(path)
        if tls.get("certificate_file"):
            path = tls["certificate_file"]
            context.load_cert_chain(path, tls.get("key_file") or None)
    except (IOError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None)
        if isinstance(error, (ssl.SSLError, ValueError)):
            reason = "it is not PEM, or the key does not belong to it"
        raise KafkaError("%s: %s" % (path, reason))
    return context


def names_in(certificate):
    """Return the names and addresses that a certificate is for, as C(getpeercert) gives it."""
    return [value.lower() for kind, value in certificate.get("subjectAltName", ()) if kind in ("DNS", "IP Address")]


def is_named(host, names):
    """Whether a host is among the names; C(*.) stands for one label."""
    host = host.lower()
    above = "*." + host.partition(".")[2]
    return host in names or ("." in host and not _is_address(host) and above in names)


def _is_address(host):
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
            return True
        except (socket.error, ValueError):
            continue
    return False


def connect(address, timeout, tls=None):
    """Return an open connection, with TLS on it where the address says so.

    Raises:
        KafkaError: nothing listens there, or it does not show a certificate that is trusted and names it.
    """
    host, port = split_address(address)
    try:
        link = socket.create_connection((host, port), timeout)
    except (socket.error, socket.timeout) as error:
        raise KafkaError("%s: %s" % (address, error))
    if not address.startswith(TLS):
        return link
    try:
        if not tls:
            raise KafkaError("%s: no certificates are given for TLS" % address)
        # An address is not sent as a name (RFC 6066, section 3).
        link = tls_context(tls).wrap_socket(link, server_hostname=None if _is_address(host) else host)
        names = names_in(link.getpeercert())
        if not is_named(host, names):
            said = ", ".join(names) or "nothing"
            raise KafkaError("%s: its certificate names %s, not %s" % (address, said, host))
        return link
    except (socket.error, socket.timeout) as error:
        link.close()
        raise KafkaError("%s: no TLS connection: %s" % (address, error))
    except KafkaError:
        link.close()
        raise


def call(address, api, body, timeout, tls=None):
    """Send one request on a connection of its own and return a Reader at the response's body.

    Args:
        address: of a broker's listener.
        api: (key, version), one of this module's constants.
        body: the request's bytes.
        timeout: seconds for each of connect, send and each receive.
        tls: for an address with TLS, see :func:`tls_context`.

    Raises:
        KafkaError: no connection, no answer in time, or something else than Kafka answers.
    """
    link = connect(address, timeout, tls)
    try:
        return exchange(link, address, api, body)
    finally:
        link.close()


def exchange(link, address, api, body):
    """Send one request on a connection and return a Reader at the response's body.

    Raises:
        KafkaError: no answer in time, or something else than Kafka answers.
    """
    key, version = api
    flexible = api != SASL_HANDSHAKE
    header = Writer().put("hhi", key, version, 1).short_string("obscraft")
    if flexible:
        header.tags()
    message = bytes(header.data) + bytes(body)
    try:
        link.sendall(struct.pack(">i", len(message)) + message)
        begin = _receive(link, 4, address)
        if begin.startswith(_TLS_ALERT) and not address.startswith(TLS):
            raise KafkaError("%s: it requires TLS, and was asked without it" % address)
        (length,) = struct.unpack(">i", begin)
        if not 5 <= length <= _MAX_ANSWER_BYTES:
            raise KafkaError("%s: what answers there is not Kafka" % address)
        answer = Reader(_receive(link, length, address), address)
    except (socket.error, socket.timeout) as error:
        raise KafkaError("%s: %s" % (address, error))
    answer.get("i")
    if flexible:
        answer.tags()
    return answer


def touch(address, timeout, tls=None):
    """Open and close a connection.

    Raises:
        KafkaError: nothing listens there.
    """
    connect(address, timeout, tls).close()


def _receive(link, count, address):
    data = bytearray()
    while len(data) < count:
        piece = link.recv(count - len(data))
        if not piece:
            raise KafkaError(
                "%s: it closed the connection (it is stopping, does not support this version, or expects TLS where the "
                "address has none, or the reverse)" % address
            )
        data += piece
    return bytes(data)


def first_answer(addresses, api, body, timeout, tls=None):
    """Ask one broker after the other until one answers.

    Raises:
        KafkaError: none of them answered; the message names each.
    """
    faults = []
    for address in addresses:
        try:
            return call(address, api, body, timeout, tls)
        except KafkaError as error:
            faults.append(str(error))
    raise KafkaError("; ".join(faults) or "no broker to ask")


def metadata(addresses, timeout, tls=None):
    """Return C({cluster_id, brokers: {id: address}, topics: {name: [partition, ...]}}).

    Brokers answer with those others that have the listener on which they are asked, so all addresses are of one kind.
    A partition is C({partition, error, leader, replicas, isr, offline}).
    """
    body = Writer().varint(0).put("??", False, False).tags().data
    answer = first_answer(addresses, METADATA, body, timeout, tls)
    answer.get("i")
    scheme = TLS if answer.address.startswith(TLS) else ""
    brokers = dict((node, scheme + address) for node, address in answer.array(_read_broker))
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


def quorum(addresses, timeout, tls=None):
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
    answer = first_answer(addresses, DESCRIBE_QUORUM, body, timeout, tls)
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


def topic_configs(addresses, topics, keys, timeout, tls=None):
    """Return C({topic: {key: (value, is_set_on_the_topic)}}) for the given keys of the given topics."""
    def one_resource(body, name):
        body.put("b", RESOURCE_TOPIC).string(name)
        body.array(sorted(keys), lambda b, key: b.string(key)).tags()

    body = Writer().array(sorted(topics), one_resource).put("??", False, False).tags().data
    answer = first_answer(addresses, DESCRIBE_CONFIGS, body, timeout, tls)
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


def create_topics(addresses, topics, timeout, tls=None):
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
    answer = first_answer(addresses, CREATE_TOPICS, body, timeout + 2, tls)
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


def create_partitions(addresses, counts, timeout, tls=None):
    """Raise topics (name to new number of partitions)."""
    def one_topic(body, pair):
        body.string(pair[0]).put("i", pair[1]).array(None, None).tags()

    body = Writer().array(sorted(counts.items()), one_topic).put("i?", int(timeout * 1000), False).tags().data
    answer = first_answer(addresses, CREATE_PARTITIONS, body, timeout + 2, tls)
    answer.get("i")
    _raise_refused(answer.array(lambda a: (a.string(), a.get("h"), a.string(), a.tags())[:3]))


def elect_preferred_leaders(addresses, timeout, tls=None):
    """Make each partition's first replica its leader; return how many leaders have changed.

    Raises:
        KafkaError: no broker answered, or the cluster refused.
    """
    body = Writer().put("b", 0).array(None, None).put("i", int(timeout * 1000)).tags().data
    answer = first_answer(addresses, ELECT_LEADERS, body, timeout + 2, tls)
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


def set_topic_configs(addresses, changes, timeout, tls=None):
    """Set configs (topic to {key: value}); other keys stay as they are."""
    def one_config(body, pair):
        body.string(pair[0]).put("b", 0).string(pair[1]).tags()

    def one_resource(body, pair):
        body.put("b", RESOURCE_TOPIC).string(pair[0]).array(sorted(pair[1].items()), one_config).tags()

    body = Writer().array(sorted(changes.items()), one_resource).put("?", False).tags().data
    answer = first_answer(addresses, ALTER_CONFIGS, body, timeout, tls)
    answer.get("i")
    _raise_refused(answer.array(_read_altered))


def _read_altered(answer):
    code, message = answer.get("h"), answer.string()
    answer.get("b")
    name = answer.string()
    answer.tags()
    return name, code, message


def _raise_refused(results, allowed=(0,), what="topic"):
    refused = ["%s %s: %s" % (what, n, error_text(c, m)) for n, c, m in results if c not in allowed]
    if refused:
        raise KafkaError("; ".join(refused))


def users(addresses, names, timeout, tls=None):
    """Return those of the names that can log in by SCRAM-SHA-512.

    Raises:
        KafkaError: no broker answered, or the cluster refused.
    """
    body = Writer().array(sorted(names), lambda b, name: b.string(name).tags()).tags().data
    answer = first_answer(addresses, DESCRIBE_USERS, body, timeout, tls)
    answer.get("i")
    code, message = answer.get("h"), answer.string()
    if code:
        raise KafkaError(error_text(code, message))
    found = answer.array(_read_user)
    _raise_refused([user[:3] for user in found], allowed=(0, NO_SUCH_USER), what="user")
    return [name for name, _code, _message, mechanisms in found if SCRAM_SHA_512 in mechanisms]


def _read_user(answer):
    name, code, message = answer.string(), answer.get("h"), answer.string()
    mechanisms = answer.array(lambda a: (a.get("b"), a.get("i"), a.tags())[0])
    answer.tags()
    return name, code, message, mechanisms


def set_passwords(addresses, passwords, iterations, timeout, tls=None):
    """Set users' passwords; the brokers get only hashes of them.

    Args:
        passwords: user to password.
        iterations: how often the hash is applied; Kafka takes 4096 to 16384.

    Raises:
        KafkaError: the cluster refused; the message names each refused user.
    """
    def one_user(body, pair):
        salt = os.urandom(32)
        salted = salted_password(pair[1].encode("utf-8"), salt, iterations)
        body.string(pair[0]).put("bi", SCRAM_SHA_512, iterations).blob(salt).blob(salted).tags()

    body = Writer().array([], None).array(sorted(passwords.items()), one_user).tags().data
    answer = first_answer(addresses, ALTER_USERS, body, timeout, tls)
    answer.get("i")
    results = answer.array(lambda a: (a.string(), a.get("h"), a.string(), a.tags())[:3])
    _raise_refused(results, what="user")


def salted_password(password, salt, iterations):
    """Return PBKDF2 with HMAC-SHA-512, 64 bytes; hashlib has it from Python 2.7.8 on, and EL 7 has 2.7.5."""
    state = hmac.new(password, digestmod=hashlib.sha512)
    total, block = 0, salt + b"\0\0\0\1"
    for _unused in range(iterations):
        step = state.copy()
        step.update(block)
        block = step.digest()
        total ^= int(binascii.hexlify(block), 16)
    return binascii.unhexlify("%0128x" % total)


def log_in(address, user, password, timeout, tls=None):
    """Log in by SCRAM-SHA-512 and close the connection.

    Args:
        address: of a listener that takes logins.

    Raises:
        LoginRefused: the broker does not know the user, or the password is wrong.
        KafkaError: no connection, or the listener takes no such login.
    """
    link = connect(address, timeout, tls)
    try:
        answer = exchange(link, address, SASL_HANDSHAKE, Writer().short_string(SCRAM_NAME).data)
        code = answer.get("h")
        if code:
            known = ", ".join(answer.short_string() for _unused in range(answer.get("i")))
            raise KafkaError("%s: it supports logins by %s, not by %s" % (address, known or "nothing", SCRAM_NAME))
        nonce = base64.b64encode(os.urandom(24)).decode("ascii")
        name = user.replace("=", "=3D").replace(",", "=2C")
        first = "n=%s,r=%s" % (name, nonce)
        said = _authenticate(link, address, "n,," + first)
        challenge = dict(part.split("=", 1) for part in said.split(","))
        if not challenge.get("r", "").startswith(nonce):
            raise KafkaError("%s: its answer belongs to another login" % address)
        salt, iterations = base64.b64decode(challenge["s"]), int(challenge["i"])
        salted = salted_password(password.encode("utf-8"), salt, iterations)
        last = "c=biws,r=%s" % challenge["r"]
        signed = ",".join((first, said, last)).encode("utf-8")
        client_key = _hmac(salted, b"Client Key")
        signature = _hmac(hashlib.sha512(client_key).digest(), signed)
        proof = bytes(bytearray(x ^ y for x, y in zip(bytearray(client_key), bytearray(signature))))
        said = _authenticate(link, address, "%s,p=%s" % (last, base64.b64encode(proof).decode("ascii")))
        own = base64.b64encode(_hmac(_hmac(salted, b"Server Key"), signed)).decode("ascii")
        if said != "v=" + own:
            raise KafkaError("%s: it accepts the login without knowing the password" % address)
    except (KeyError, ValueError):
        raise KafkaError("%s: its answer to the login cannot be read" % address)
    finally:
        link.close()


def _authenticate(link, address, text):
    answer = exchange(link, address, SASL_AUTHENTICATE, Writer().blob(text.encode("utf-8")).tags().data)
    code, message, said = answer.get("h"), answer.string(), answer.blob()
    if code:
        raise LoginRefused("%s: %s" % (address, error_text(code, message)))
    return said.decode("utf-8")


def _hmac(key, text):
    return hmac.new(key, text, hashlib.sha512).digest()


def acls(addresses, timeout, tls=None):
    """Return all access rules, each C((resource, name, pattern, principal, host, operation, permission)).

    C(resource), C(pattern), C(operation) and C(permission) are Kafka's numbers.

    Raises:
        KafkaError: no broker answered, or the cluster refused.
    """
    body = _any_acl(Writer()).tags().data
    answer = first_answer(addresses, DESCRIBE_ACLS, body, timeout, tls)
    answer.get("i")
    code, message = answer.get("h"), answer.string()
    if code:
        raise KafkaError(error_text(code, message))
    return [acl for found in answer.array(_read_acls) for acl in found]


def _any_acl(body):
    return body.put("b", _ANY).string(None).put("b", _ANY).string(None).string(None).put("bb", _ANY, _ANY)


def _read_acls(answer):
    resource, name, pattern = answer.get("b"), answer.string(), answer.get("b")
    rules = answer.array(lambda a: (a.string(), a.string(), a.get("b"), a.get("b"), a.tags())[:4])
    answer.tags()
    return [(resource, name, pattern) + rule for rule in rules]


def _write_acl(body, acl):
    resource, name, pattern, principal, host, operation, permission = acl
    body.put("b", resource).string(name).put("b", pattern).string(principal).string(host)
    body.put("bb", operation, permission).tags()


def create_acls(addresses, wanted, timeout, tls=None):
    """Add access rules, as :func:`acls` returns them.

    Raises:
        KafkaError: the cluster refused; the message names each refused rule.
    """
    body = Writer().array(wanted, _write_acl).tags().data
    answer = first_answer(addresses, CREATE_ACLS, body, timeout, tls)
    answer.get("i")
    results = answer.array(lambda a: (a.get("h"), a.string(), a.tags())[:2])
    _raise_refused([(acl[1], code, text) for acl, (code, text) in zip(wanted, results)], what="access rule for")


def delete_acls(addresses, unwanted, timeout, tls=None):
    """Remove access rules, each as :func:`acls` returns it; one that is gone already is fine.

    Raises:
        KafkaError: the cluster refused; the message names each refused rule.
    """
    body = Writer().array(unwanted, _write_acl).tags().data
    answer = first_answer(addresses, DELETE_ACLS, body, timeout, tls)
    answer.get("i")
    results = answer.array(_read_deleted)
    _raise_refused([(acl[1], code, text) for acl, (code, text) in zip(unwanted, results)], what="access rule for")


def _read_deleted(answer):
    code, message = answer.get("h"), answer.string()
    answer.array(lambda a: (a.get("h"), a.string(), _read_matched(a)))
    answer.tags()
    return code, message


def _read_matched(answer):
    answer.get("b")
    answer.string()
    answer.get("b")
    answer.string()
    answer.string()
    answer.get("bb")
    answer.tags()


def quotas(addresses, timeout, tls=None):
    """Return the quotas that are set on users alone, whatever their client id: user to C({key: number}).

    Raises:
        KafkaError: no broker answered, or the cluster refused.
    """
    def users_with_any_name(body, kind):
        body.string(kind).put("b", _ANY_NAME).string(None).tags()

    body = Writer().array(["user"], users_with_any_name).put("?", True).tags().data
    answer = first_answer(addresses, DESCRIBE_QUOTAS, body, timeout, tls)
    answer.get("i")
    code, message = answer.get("h"), answer.string()
    if code:
        raise KafkaError(error_text(code, message))
    return dict((entity[0][1], values) for entity, values in answer.array(_read_quotas) if entity[0][1] is not None)


def _read_quotas(answer):
    entity = _read_entity(answer)
    values = dict(answer.array(lambda a: (a.string(), a.get("d"), a.tags())[:2]))
    answer.tags()
    return entity, values


def _read_entity(answer):
    return answer.array(lambda a: (a.string(), a.string(), a.tags())[:2])


def set_quotas(addresses, changes, timeout, tls=None):
    """Change the quotas of users: user to C({key: number}), where None removes the key; other keys stay as they are.

    Raises:
        KafkaError: the cluster refused; the message names each refused user.
    """
    def one_key(body, pair):
        key, value = pair
        body.string(key).put("d?", value or 0.0, value is None).tags()

    def one_user(body, pair):
        body.array([pair[0]], lambda b, name: b.string("user").string(name).tags())
        body.array(sorted(pair[1].items()), one_key).tags()

    body = Writer().array(sorted(changes.items()), one_user).put("?", False).tags().data
    answer = first_answer(addresses, ALTER_QUOTAS, body, timeout, tls)
    answer.get("i")
    results = answer.array(lambda a: (a.get("h"), a.string(), _read_entity(a), a.tags())[:3])
    _raise_refused([(entity[0][1], code, text) for code, text, entity in results], what="quotas of")
