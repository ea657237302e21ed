"""Which findings follow from which. Pure: it runs over the findings after all checks have judged, and adds no finding.

The table ``RULES`` holds the knowledge. For each finding, the first row applies whose causes were found and explain
it; a finding without such a row has no cause. A cause gets at least the severity of what follows from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from obsctl.core.report import Cause, Finding, Severity
from obsctl.fleet.model import Fleet

#: With less than this share free, a file system counts as full.
_FULL = 0.01
#: Two measurements of the same file system, a moment apart, differ in its free share by at most this much.
_SAME_SPACE = 0.1
#: Kinds of objects that do not belong to a host, whatever their names are.
_OF_THE_FLEET = {"vip", "topic", "group", "partition", "table", "layer"}
#: How the consumer's page names the database as what it waits for.
_DATABASE_TROUBLES = ("database", "upkeep")
#: How the alerter's page says that it waits for Kafka.
_OF_KAFKA = re.compile(r"\bKafka does not answer\b|\bgroup \S+ is being joined\b")


#: How the alerter's page names a topic that it waits for.
_TOPIC = re.compile(r"\btopic ([\w.-]+)")


class _Found(NamedTuple):
    """What the link functions of the table may use."""

    fleet: Fleet
    effect: Finding
    causes: Sequence[Finding]

    def host(self, finding: Finding) -> str:
        return host_of(self.fleet, finding)


Link = Callable[[_Found], Sequence[Finding]]


class Rule(NamedTuple):
    """One row: which findings can follow from which, and when they do.

    Attributes:
        effects: codes; ``*`` stands for all.
        causes: codes.
        link: returns the causes from which the effect follows; empty if there are none.
    """

    effects: tuple[str, ...]
    causes: tuple[str, ...]
    link: Link


def host_of(fleet: Fleet, finding: Finding) -> str:
    """Return the inventory name of the host to which a finding's object belongs; empty for none.

    Objects are ``host/NAME``, ``backend/NAME``, ``UNIT/NAME``, ``broker/ID``, ``controller/ID`` and
    ``database/ADDRESS``.
    """
    kind, _, name = finding.object.partition("/")
    if kind in _OF_THE_FLEET:
        return ""
    for host in fleet.hosts:
        node_id = str(host.kafka.node_id) if host.kafka else ""
        if name == (node_id if kind in ("broker", "controller") else host.address if kind == "database" else host.name):
            return host.name
    return name if kind == "database" and fleet.host(name) else ""


# -- links: which causes an effect follows from --------------------------------------------------------------------


def _same_host(found: _Found) -> list[Finding]:
    place = found.host(found.effect)
    return [cause for cause in found.causes if place and found.host(cause) == place]


def _any(found: _Found) -> Sequence[Finding]:
    return found.causes


def _unit(unit: str) -> Link:
    """Link to a finding about this unit on the same host; ``database`` is the unit that the inventory names."""

    def link(found: _Found) -> list[Finding]:
        name = found.fleet.database.service if unit == "database" else unit
        return [cause for cause in _same_host(found) if _kind(cause) == name]

    return link


def _on_a_full_disk(found: _Found) -> list[Finding]:
    full = [cause for cause in found.causes if _is_full(cause)]
    return _same_host(found._replace(causes=full))


def _written_by(*units: str) -> Link:
    """Link to a full disk of the same host, if the effect is about a unit that needs free space."""

    def link(found: _Found) -> list[Finding]:
        return _on_a_full_disk(found) if _kind(found.effect) in units else []

    return link


def _is_full(disk: Finding) -> bool:
    return 0 <= _number(disk, "free_share") < _FULL


def _same_file_system(found: _Found) -> list[Finding]:
    return [cause for cause in _same_host(found) if _one_file_system(found.effect, cause)]


def _one_file_system(low: Finding, full: Finding) -> bool:
    path, mount = str(low.evidence.get("path", "")), str(full.evidence.get("mount", ""))
    beneath = mount in ("/", path) or path.startswith(f"{mount}/")
    one, other = _number(low, "usable_bytes"), _number(full, "free_bytes")
    return bool(path and mount) and beneath and abs(one - other) <= _SAME_SPACE * max(one, other)


def _all_brokers(key: str) -> Link:
    """Link to findings about brokers, if they cover all brokers that the effect's evidence names under a key."""

    def link(found: _Found) -> list[Finding]:
        nodes = {str(node) for node in found.effect.evidence.get(key, ())}
        return _covering(nodes, found.causes, lambda cause: cause.object.partition("/")[2])

    return link


def _certificates_of_brokers(found: _Found) -> list[Finding]:
    """Link clients' refusals of brokers' certificates to findings about these, if each broker's host has one."""
    nodes = set(found.effect.evidence.get("brokers", ()))
    hosts = {host.name for host in found.fleet.hosts if host.kafka is not None and host.kafka.node_id in nodes}
    return _covering(hosts, [cause for cause in found.causes if _kind(cause) == "kafka"], found.host)


def _cert(use: str, *kinds: str) -> Link:
    """Link to the certificate for a use on the same host, if the effect is about one of these kinds of objects."""

    def link(found: _Found) -> list[Finding]:
        return [c for c in _same_host(found) if _kind(c) == use] if _kind(found.effect) in kinds else []

    return link


def _of_balancer(found: _Found) -> list[Finding]:
    """Link a refused balancer to its own certificate, and the VIP to those of all balancers, as any may hold it."""
    own = [cause for cause in found.causes if _kind(cause) == "nginx"]
    return _same_host(found._replace(causes=own)) if _kind(found.effect) == "host" else own


def _refused_alike(found: _Found) -> list[Finding]:
    """Link the VIP to balancers that are refused for the same reason: one of them holds it."""
    if _kind(found.effect) != "vip":
        return []
    wanted = (found.effect.code, found.effect.evidence.get("kind"))
    return [c for c in found.causes if _kind(c) == "host" and (c.code, c.evidence.get("kind")) == wanted]


def _same_partitions(found: _Found) -> list[Finding]:
    named = set(found.effect.evidence.get("partitions", ()))
    return [cause for cause in found.causes if named and named <= set(cause.evidence.get("partitions", ()))]


def _balancers(found: _Found) -> list[Finding]:
    names = {host.name for host in found.fleet.group("lb")}
    return [cause for cause in found.causes if found.host(cause) in names]


def _all_of(group: str, unit: str = "") -> Link:
    """Link to findings about a group's hosts, or about this unit of theirs, if they cover all hosts of the group."""

    def link(found: _Found) -> list[Finding]:
        causes = [cause for cause in found.causes if _kind(cause) in ("host", unit)]
        return _covering({host.name for host in found.fleet.group(group)}, causes, found.host)

    return link


def _left_behind(found: _Found) -> list[Finding]:
    names = found.effect.evidence.get("left_behind", ())
    return [cause for cause in found.causes if found.host(cause) in names]


def _frozen_holder(found: _Found) -> list[Finding]:
    """Link several holders of the VIP to a keepalived that hangs: it keeps the address, unheard by its peers."""
    names = found.effect.evidence.get("holders", ())
    return [cause for cause in found.causes if _kind(cause) == "keepalived" and found.host(cause) in names]


def _holding(found: _Found) -> list[Finding]:
    return [cause for cause in found.causes if cause.evidence.get("holds_vip")]


def _waiting_for_back_ends(found: _Found) -> list[Finding]:
    """Link an nginx that did not answer in time to a back end that hangs: nginx waited for it with our request."""
    return [cause for cause in found.causes if _kind(cause) == "obs-backend"]


def _no_other_errors(found: _Found) -> Sequence[Finding]:
    """Link failed requests to silent back ends, if no other back end failed any."""
    silent = {cause.object.partition("/")[2] for cause in found.causes}
    failed = set(found.effect.evidence.get("by_backend", ())) - {"nginx itself"}
    return found.causes if failed <= silent else ()


def _group_of(program: Literal["consumer", "alerter"]) -> Link:
    """Link findings about the consumer group of one of the fleet's programs."""

    def link(found: _Found) -> Sequence[Finding]:
        ours = found.fleet.consumer.group if program == "consumer" else found.fleet.alerter.group
        return found.causes if found.effect.object == f"group/{ours}" else ()

    return link


def _unacknowledged(found: _Found) -> Sequence[Finding]:
    """Link waiting lines to Kafka, if the shipper has read all of them and got no acknowledgement."""
    return found.causes if found.effect.evidence.get("read") else ()


def _all_troubles(found: _Found) -> list[Finding]:
    """Link a waiting consumer, if each of its troubles has a cause: otherwise it is a cause of its own.

    If a proved finding explains a trouble, unknown ones do not count as its causes.
    """
    causes: list[Finding] = []
    for subject in found.effect.evidence.get("troubles", ()):
        explains = [cause for cause in found.causes if _explains(found, subject, cause)]
        explains = [cause for cause in explains if cause.severity is not Severity.UNKNOWN] or explains
        if not explains:
            return []
        causes += [cause for cause in explains if cause not in causes]
    return causes


def _explains(found: _Found, subject: str, cause: Finding) -> bool:
    """Whether a finding explains the consumer's trouble with a subject, as named on its page."""
    name = subject.removesuffix(" end")
    if cause.code in _DATABASE:
        # The database says where reading of a partition resumes: without it, the start is unknown, too.
        return subject in _DATABASE_TROUBLES or ("/" in subject and name == subject)
    if cause.code == "HEALTH_DISK_FULL":
        host = found.fleet.host(found.host(cause))
        of_the_database = host is not None and found.fleet.database.host in (host.address, host.name)
        return of_the_database and subject in _DATABASE_TROUBLES and _is_full(cause)
    if cause.code == "CONSUMER_POSITION_BEYOND_END":
        return cause.object == f"partition/{name}"
    if cause.code == "KAFKA_TOPIC_MISSING":
        return cause.object == f"topic/{name.partition('/')[0]}"
    return subject in ("kafka", "group") or "/" in name


def _waits_for_kafka(found: _Found) -> Sequence[Finding]:
    """Link an alerter that reads nothing, or that says that it waits for the brokers: for its topics or its group.

    The group decides which alerter is active: if all are on standby, the brokers have not been able to decide.
    """
    evidence = found.effect.evidence
    waits = evidence.get("status") == "failing" or bool(_OF_KAFKA.search(str(evidence.get("reason"))))
    return found.causes if waits or "standby" in evidence else ()


def _waits_for_topic(found: _Found) -> list[Finding]:
    """Link an alerter to the topics that it says it waits for."""
    named = set(_TOPIC.findall(str(found.effect.evidence.get("reason"))))
    return [cause for cause in found.causes if cause.object.partition("/")[2] in named]


def _covering(wanted: set[str], causes: Iterable[Finding], name: Callable[[Finding], str]) -> list[Finding]:
    by_name: dict[str, Finding] = {}
    for cause in causes:
        by_name.setdefault(name(cause), cause)
    return [by_name[place] for place in sorted(wanted)] if wanted and wanted <= by_name.keys() else []


def _kind(finding: Finding) -> str:
    return finding.object.partition("/")[0]


def _number(finding: Finding, key: str) -> float:
    value: Any = finding.evidence.get(key)
    return value if isinstance(value, int | float) else -1


# -- the table -----------------------------------------------------------------------------------------------------

_UNIT = ("HEALTH_SERVICE_DOWN", "HEALTH_SERVICE_FROZEN")
_BROKER = ("KAFKA_BROKER_DOWN", "KAFKA_BROKER_FENCED", "KAFKA_LOG_DIR_OFFLINE")
_CLUSTER = (
    "KAFKA_UNREACHABLE", "KAFKA_NO_CONTROLLER", "KAFKA_OFFLINE_PARTITIONS", "KAFKA_UNDER_MIN_ISR", "KAFKA_CERT_EXPIRED",
)  # fmt: skip
#: Codes of certificates that clients refuse.
_CERTIFICATE = ("CERT_EXPIRED", "CERT_NAME_MISMATCH", "CERT_UNTRUSTED")
#: Codes with which a broker refuses to start.
_UNUSABLE = ("CERT_EXPIRED", "CERT_UNTRUSTED", "CERT_MISSING")
#: Codes of a balancer that answers but gets no request.
_REFUSED = ("VIP_CERTIFICATE_REFUSED", "VIP_WRONG_PROTOCOL")
_DATABASE = ("HEALTH_DATABASE_DOWN", "HEALTH_DATABASE_TLS")
#: Where findings about partitions name the brokers that lack a replica.
_MISSING = "missing_replicas_on"
_SHORT = ("KAFKA_OFFLINE_PARTITIONS", "KAFKA_UNDER_MIN_ISR", "KAFKA_AT_MIN_ISR", "KAFKA_UNDER_REPLICATED")
_CONSUMER = ("HEALTH_CONSUMER_DOWN", "HEALTH_CONSUMER_WAITING")
_ALERTER = ("HEALTH_ALERTER_DOWN", "HEALTH_ALERTER_WAITING")
_UNREAD = ("KAFKA_LAG", "KAFKA_GROUP_UNREAD")
_SHIPPING = ("LOGS_SHIPPER_SILENT", "LOGS_NOT_OPENED", "LOGS_ROTATION_UNREAD", "LOGS_LATE", "LOGS_ROW_MISSING")
#: Codes of why a shipper does not read.
_UNSHIPPED = (
    "LOGS_SHIPPER_SILENT", "LOGS_NO_INPUT", "LOGS_UNREADABLE", "LOGS_LINK_IGNORED", "LOGS_NOT_OPENED",
    "HEALTH_SERVICE_DOWN",
)  # fmt: skip
_BALANCER = ("HEALTH_HOST_DOWN", "LB_NODE_UNREACHABLE", "VIP_NGINX_DOWN", "VIP_KEEPALIVED_DOWN")

#: In order from the machine up to what people notice. The first row that explains a finding counts.
RULES = (
    # this follows                        from this                                   if
    Rule(("*",),                          ("HEALTH_HOST_DOWN",),                      _same_host),
    Rule(("LB_NODE_NOT_ASKED", "LB_NODE_UNREACHABLE", "LOGS_NOT_ASKED"),
                                          ("HEALTH_HOST_NOT_ASKED",),                 _same_host),
    Rule(("VIP_HOLDER_UNKNOWN",),         ("HEALTH_HOST_NOT_ASKED",),                 _all_of("lb")),
    Rule(("VIP_HOLDER_UNKNOWN",),         ("LB_NODE_NOT_ASKED",),                     _any),
    Rule(("VIP_HOLDER_UNKNOWN",),         ("HEALTH_HOST_DOWN", "LB_NODE_UNREACHABLE"), _balancers),
    # A disk.
    Rule(("KAFKA_DISK_LOW",),             ("HEALTH_DISK_FULL",),                      _same_file_system),
    Rule(("KAFKA_LOG_DIR_OFFLINE", "KAFKA_BROKER_DOWN", "HEALTH_DATABASE_DOWN", "HEALTH_ALERTER_DOWN"),
                                          ("HEALTH_DISK_FULL",),                      _on_a_full_disk),
    Rule(_UNIT,                           ("HEALTH_DISK_FULL",),                      _written_by("kafka", "filebeat")),
    # A unit, and what fails without it.
    Rule(("KAFKA_BROKER_DOWN", "KAFKA_BROKER_FENCED", "KAFKA_QUORUM_VOTER_LAGGING"),
                                          _UNIT,                                      _unit("kafka")),
    Rule(("VIP_NGINX_DOWN",),             _UNIT,                                      _unit("nginx")),
    Rule(("VIP_KEEPALIVED_DOWN",),        _UNIT,                                      _unit("keepalived")),
    Rule(("HEALTH_BACKEND_DOWN",),        _UNIT,                                      _unit("obs-backend")),
    Rule(("HEALTH_DATABASE_DOWN",),       ("HEALTH_DATABASE_DOWN", "HEALTH_SERVICE_FROZEN"),
                                                                                      _unit("database")),
    Rule(_SHIPPING,                       _UNIT,                                      _unit("filebeat")),
    Rule(("LOGS_NOT_READ",),              _UNSHIPPED,                                 _unit("filebeat")),
    # A certificate, and the clients' refusals.
    Rule(("CERT_CLOCK",),                 ("HEALTH_CLOCK_SKEW",),                     _same_host),
    Rule(("KAFKA_CERT_EXPIRED", "KAFKA_CERT_NAME", "KAFKA_CERT_UNTRUSTED"),
                                          _CERTIFICATE,
                                                                                      _certificates_of_brokers),
    Rule(("HEALTH_SERVICE_DOWN",),        _UNUSABLE,                                  _cert("kafka", "kafka")),
    Rule(("KAFKA_BROKER_DOWN",),          _UNUSABLE,                                  _cert("kafka", "broker")),
    Rule(("HEALTH_DATABASE_TLS",),        _CERTIFICATE,                               _cert("mysql", "database")),
    Rule(("HEALTH_BACKEND_DOWN",),        _CERTIFICATE,                               _cert("backend", "backend")),
    Rule(("VIP_CERTIFICATE_REFUSED",),    _CERTIFICATE,                               _of_balancer),
    Rule(_REFUSED,                        _REFUSED,                                   _refused_alike),
    # A broker.
    Rule(("KAFKA_QUORUM_VOTER_LAGGING",), ("KAFKA_BROKER_DOWN",),                     _same_host),
    Rule(_SHORT,                          _BROKER,                                    _all_brokers(_MISSING)),
    # Kafka itself reports a stuck follower half a minute later.
    Rule(_SHORT,                          ("KAFKA_FOLLOWER_STUCK",),                  _all_brokers(_MISSING)),
    Rule(("KAFKA_LEADER_SILENT",),        _BROKER,                                    _all_brokers("leaders")),
    Rule(("KAFKA_WATERMARK_STUCK",),      ("KAFKA_FOLLOWER_STUCK", *_BROKER),         _all_brokers("held_back_by")),
    Rule(("KAFKA_METADATA_STALE",),       ("KAFKA_NO_CONTROLLER",),                   _any),
    Rule(("KAFKA_AT_MIN_ISR", "KAFKA_UNDER_MIN_ISR"),
                                          ("KAFKA_UNDER_REPLICATED",),                _same_partitions),
    Rule(("KAFKA_NO_CONTROLLER", "KAFKA_LEADER_SKEW"),
                                          ("KAFKA_BROKER_DOWN",),                     _any),
    Rule(("KAFKA_UNREACHABLE",),          ("HEALTH_HOST_DOWN", *_UNIT),               _all_of("kafka", unit="kafka")),
    # The virtual address.
    Rule(("VIP_SPLIT_BRAIN",),            ("HEALTH_SERVICE_FROZEN",),                 _frozen_holder),
    Rule(("VIP_SPLIT_BRAIN",),            ("VIP_KEEPALIVED_DOWN",),                   _left_behind),
    Rule(("VIP_UNREACHABLE",),            ("VIP_NGINX_DOWN",),                        _holding),
    Rule(("VIP_UNREACHABLE", "VIP_NGINX_DOWN"),
                                          ("HEALTH_SERVICE_FROZEN",),                 _waiting_for_back_ends),
    Rule(("VIP_UNREACHABLE", "VIP_NO_HOLDER"),
                                          _BALANCER,                                  _all_of("lb")),
    Rule(("LB_TOO_FEW_ANSWERS", "LB_ERRORS"),
                                          ("VIP_UNREACHABLE", *_REFUSED),             _any),
    Rule(("LB_ERRORS",),                  ("LB_BACKEND_SILENT",),                     _no_other_errors),
    Rule(("LB_TOO_FEW_ANSWERS",),         ("LB_ERRORS",),                             _any),
    # The programs that read and store.
    Rule(("HEALTH_CONSUMER_WAITING",),    (*_DATABASE, "HEALTH_DISK_FULL", "KAFKA_TOPIC_MISSING",
                                           "CONSUMER_POSITION_BEYOND_END", *_CLUSTER), _all_troubles),
    Rule(("HEALTH_CONSUMER_WAITING",),    (*_DATABASE, *_BROKER),                     _all_troubles),
    Rule(("HEALTH_ALERTER_WAITING",),     ("KAFKA_TOPIC_MISSING",),                   _waits_for_topic),
    Rule(("HEALTH_ALERTER_WAITING",),     (*_CLUSTER, "KAFKA_WATERMARK_STUCK"),       _waits_for_kafka),
    Rule(("HEALTH_ALERTER_WAITING",),     (*_BROKER, "KAFKA_FOLLOWER_STUCK"),         _waits_for_kafka),
    Rule(_UNREAD,                         _CONSUMER,                                  _group_of("consumer")),
    Rule(_UNREAD,                         _ALERTER,                                   _group_of("alerter")),
    Rule(("LOGS_LATE", "LOGS_ROW_MISSING"), (*_CLUSTER, "KAFKA_WATERMARK_STUCK"),     _any),
    Rule(("LOGS_LATE",),                  ("KAFKA_LEADER_SILENT", *_BROKER),          _unacknowledged),
    Rule(("LOGS_ROW_MISSING",),           (*_DATABASE, *_CONSUMER),                   _any),
    Rule(("CONSUMER_BEHIND",),            _CONSUMER,                                  _any),
)  # fmt: skip


def with_causes(fleet: Fleet, findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings with their causes; each cause is at least as severe as what follows from it.

    Only a critical consequence raises its causes: an unknown one proves nothing about them.
    """
    by_code: dict[str, list[Finding]] = {}
    for finding in findings:
        by_code.setdefault(finding.code, []).append(finding)
    place_of = {id(finding): index for index, finding in enumerate(findings)}
    causes: dict[int, list[int]] = {}
    for index, finding in enumerate(findings):
        places = [place_of[id(cause)] for cause in _causes_of(fleet, finding, by_code)]
        # If two findings could explain each other, the one that was explained first keeps its cause.
        causes[index] = [place for place in places if index not in _up_from(place, causes)]
    critical = {
        place
        for index, finding in enumerate(findings)
        if finding.severity is Severity.CRITICAL
        for place in _up_from(index, causes)
    }
    return [
        msgspec.structs.replace(
            finding,
            severity=Severity.CRITICAL if index in critical else finding.severity,
            caused_by=tuple(Cause(findings[place].code, findings[place].object) for place in causes[index]),
        )
        for index, finding in enumerate(findings)
    ]


def _causes_of(fleet: Fleet, effect: Finding, by_code: Mapping[str, Sequence[Finding]]) -> Sequence[Finding]:
    for rule in RULES:
        if effect.code in rule.effects or "*" in rule.effects:
            causes = [cause for code in rule.causes for cause in by_code.get(code, ()) if cause is not effect]
            found = rule.link(_Found(fleet, effect, causes)) if causes else ()
            if found:
                return found
    return ()


def _up_from(index: int, causes: dict[int, list[int]]) -> set[int]:
    """Return the index of a finding and those of all its direct and indirect causes."""
    reached, ahead = set(), [index]
    while ahead:
        place = ahead.pop()
        if place not in reached:
            reached.add(place)
            ahead += causes.get(place, [])
    return reached
