# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""What makes an inventory unable to work: one small rule for each fault, all pure.

A rule takes the :class:`Fleet` and yields :class:`Problem`; it never stops at the first one and never asks a host.
What hosts say about themselves was read before and stands in ``Fleet.looks``; a host that was not read (``--limit``)
gives no problem of that kind.
"""

from __future__ import annotations

import collections.abc
import difflib
import fnmatch
import ipaddress
import re
import zoneinfo
from collections import defaultdict
from datetime import datetime
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

GIB = 1024**3
#: A VRRP password is cut here without a word.
AUTH_PASS_MAX = 8
# Blanks, quotes, # and ! end the word or begin a comment in keepalived.conf.
AUTH_PASS_PLAIN = re.compile(r"[A-Za-z0-9._-]+\Z")
#: What inventories/prod/group_vars/all/vault.yml.example holds.
PLACEHOLDER = re.compile(r"change-?me(-\d+)?\Z")
#: Pattern of a variable's name, least and greatest value.
RANGES = (
    ("keepalived_vrid", 1, 255),
    ("keepalived_priority", 1, 254),
    ("kafka_node_id", 0, 2**31 - 1),
    ("kafka_replication_factor", 1, 2**15 - 1),
    ("kafka_min_insync_replicas", 1, 2**15 - 1),
    ("*_port", 1, 65535),
)
#: The oldest versions that the roles' configuration is for.
OLDEST = (("filebeat_version", (7, 17)), ("kafka_version", (3, 6)))
#: Type of an alert channel to the options that it cannot do without.
CHANNEL_NEEDS = {"dingtalk": ("url", "token"), "webhook": ("url",), "smtp": ("host", "sender", "recipients")}
#: Share of a filesystem that records may fill; the rest is for the active segments and for compaction.
DISK_SHARE = 0.85
#: The oldest Python that modules of an ansible-core still run under on the managed host; 2.16 also serves 2.7.
TARGET_PYTHON = {
    (2, 16): (3, 6),
    (2, 17): (3, 7),
    (2, 18): (3, 8),
    (2, 19): (3, 8),
    (2, 20): (3, 9),
    (2, 21): (3, 9),
}
#: Kafka's own message.max.bytes.
BROKER_MESSAGE_BYTES = 1048588
#: The form of an IANA name: a path below the database that cannot leave it.
ZONE_NAME = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*\Z")
#: A day in January and one in July, in seconds since the epoch: two zones that agree on both are taken for the same.
ZONE_MOMENTS = ("1767225600", "1782864000")
EL_IDS = ("centos", "rhel", "rocky", "almalinux", "ol", "fedora")
#: Which groups' hosts run which roles; a role's required variables are looked for there only.
ROLES_OF_GROUP = {
    "lb": ("nginx", "keepalived"),
    "backend": ("backend",),
    "kafka": ("java", "kafka"),
    "filebeat": ("filebeat",),
    "mysql": ("mysql",),
    "consumer": ("consumer",),
}
#: Every role may read them, but only `common` has defaults for them.
SHARED = ("fleet_vip", "fleet_admin_sources", "fleet_artifacts_dir")
#: Two names for one thing, because roles stand alone: (group, variable, group, variable); a dot goes into a dictionary.
MUST_AGREE = (
    ("filebeat", "filebeat_topic_access", "consumer", "consumer_topics.access"),
    ("filebeat", "filebeat_topic_error", "consumer", "consumer_topics.error"),
    ("filebeat", "filebeat_nginx_log_format", "lb", "nginx_log_format"),
    ("filebeat", "filebeat_nginx_log_dir", "lb", "nginx_log_dir"),
    ("lb", "nginx_backend_port", "backend", "backend_port"),
    ("lb", "keepalived_check_port", "lb", "nginx_check_port"),
)


class Problem(NamedTuple):
    """What cannot work, on which host (``fleet`` for all of them), and what to do about it."""

    host: str
    problem: str
    fix: str


class Fleet(NamedTuple):
    """All that the rules may know.

    Attributes:
        hosts: host to its variables, the roles' defaults included; a variable whose template fails is absent.
        groups: group to its hosts.
        inventory_names: host to the names of the variables that the inventory or the command line sets.
        broken: host to {variable: reason} for templates that cannot be resolved.
        specs: role to its options, from argument_specs.
        looks: host to what it says about itself, see ``parse_look``; ``{"unreachable": reason}`` if it did not answer.
        core: ansible-core's (major, minor) on the control node.
        missing_files: variable to path, for files that the control node lacks.
        unusable_secrets: host to {secret: reason} for those that the control node cannot read.
    """

    hosts: dict
    groups: dict
    inventory_names: dict
    broken: dict
    specs: dict
    looks: dict
    core: tuple
    missing_files: dict
    unusable_secrets: dict

    def group(self, name):
        """Return (host, variables) of a group's hosts."""
        return [(host, self.hosts[host]) for host in self.groups.get(name, ()) if host in self.hosts]


def find_problems(fleet):
    """Return all problems, those that several hosts share as one, in the rules' order."""
    misfits = list(wrong_types(fleet))
    fleet = _without(fleet, misfits)
    shared = defaultdict(list)
    for found in [problem for _name, problem in misfits] + [found for rule in RULES for found in _judge(rule, fleet)]:
        hosts = shared[found.problem, found.fix]
        if found.host not in hosts:
            hosts.append(found.host)
    return [Problem(", ".join(hosts), problem, fix) for (problem, fix), hosts in shared.items()]


def _judge(rule, fleet):
    """Return what a rule finds; one that fails is a problem itself and hides none of the others."""
    try:
        return list(rule(fleet))
    except Exception as error:  # the text may hold a value, and a value may be a secret
        what = f"the check {rule.__name__} cannot judge this inventory ({type(error).__name__})"
        return [Problem("fleet", what, "look for a value of the wrong kind in what the check is about")]


def _without(fleet, misfits):
    """Return the fleet without the values of the wrong kind, so that no other rule stumbles over them."""
    hidden = defaultdict(set)
    for name, problem in misfits:
        hidden[problem.host].add(name)
    hosts = {h: _Without(view, hidden[h]) if h in hidden else view for h, view in fleet.hosts.items()}
    broken = {h: {**fleet.broken.get(h, {}), **dict.fromkeys(hidden.get(h, ()))} for h in {**fleet.broken, **hidden}}
    return fleet._replace(hosts=hosts, broken=broken)


class _Without(collections.abc.Mapping):
    """A host's variables but some."""

    def __init__(self, variables, hidden):
        self._variables = variables
        self._hidden = hidden

    def __getitem__(self, name):
        if name in self._hidden:
            raise KeyError(name)
        return self._variables[name]

    def __contains__(self, name):
        return name not in self._hidden and name in self._variables

    def __iter__(self):
        return (name for name in self._variables if name not in self._hidden)

    def __len__(self):
        return sum(1 for _name in self)


def parse_look(text):
    """Return what the look's ``key=value`` lines say; a key that repeats becomes a list (``name``, ``disk``, ...)."""
    look = {"name": [], "disk": [], "clock": [], "zone": []}
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if not equals:
            continue
        if isinstance(look.get(key), list):
            look[key].append(value.split())
        else:
            look[key] = value
    return look


def unreachable(fleet):
    for host, look in fleet.looks.items():
        if "unreachable" in look:
            yield Problem(
                host,
                f"does not answer: {look['unreachable']}",
                "check ansible_host, the ssh user and its key: ansible -m ansible.builtin.raw -a true HOST",
            )


def groups_are_there(fleet):
    for name in ROLES_OF_GROUP:
        if not fleet.groups.get(name):
            yield Problem("fleet", f"group {name} has no host", f"put at least one host into the group {name}")


def shared_variables(fleet):
    for host, names in fleet.inventory_names.items():
        for name in SHARED:
            if name not in names:
                yield Problem(host, f"{name} is not set in the inventory", f"set {name} in group_vars/all")


def required_variables(fleet):
    for name, roles in ROLES_OF_GROUP.items():
        for host, variables in fleet.group(name):
            for role in roles:
                for option, spec in fleet.specs.get(role, {}).items():
                    if spec.get("required") and option not in variables and option not in fleet.broken.get(host, {}):
                        yield Problem(host, f"{option} is not set", f"set it: {_sentence(spec.get('description'))}")


def wrong_types(fleet):
    """Yield (variable, problem) for what the inventory sets to a value that is not of the declared kind."""
    declared = {option: spec for options in fleet.specs.values() for option, spec in options.items()}
    declared["ansible_host"] = {"type": "str"}
    for host, names in fleet.inventory_names.items():
        for name in sorted(names & declared.keys()):
            spec, value = declared[name], fleet.hosts[host].get(name)
            if value is None:
                # A required one is reported by required_variables.
                if name not in fleet.broken.get(host, {}) and spec.get("default") is not None:
                    yield name, Problem(host, f"{name} is empty", "give it a value, or leave it out for the default")
                continue
            for place, wrong, kind in _misfits(name, value, spec):
                fix = f"set it to {_KINDS[kind]}: {_sentence(spec.get('description'))}"
                yield name, Problem(host, f"{place} is {_shown(wrong, kind)}, not {_KINDS[kind]}", fix)
                break


#: What a url's query calls a secret.
SECRET_KEY = re.compile(r"(?i)token|secret|passw|sign")

#: What argument_specs call a type, in words.
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "dict": "a mapping",
    "str": "a text",
    "path": "a path",
}


def _misfits(place, value, spec):
    """Yield (place, value, wanted type) for a value and what is in it."""
    kind = spec.get("type", "str")
    if kind not in _KINDS:
        return
    if not _is_of(kind, value):
        yield place, value, kind
    elif kind == "list" and spec.get("elements"):
        entry = {**spec, "type": spec["elements"], "elements": None}
        for number, item in enumerate(value):
            yield from _misfits(f"{place}[{number}]", item, entry)
    elif kind == "dict":
        for name, option in (spec.get("options") or {}).items():
            if value.get(name) is not None:
                yield from _misfits(f"{place}.{name}", value[name], option)


def _is_of(kind, value):
    is_list = isinstance(value, collections.abc.Sequence) and not isinstance(value, (str, bytes))
    is_mapping = isinstance(value, collections.abc.Mapping)
    if kind == "list":
        return is_list
    if kind == "dict":
        return is_mapping
    if kind == "bool":
        return isinstance(value, bool) or str(value).lower() in _BOOLEANS
    if kind == "int":
        return not isinstance(value, bool) and re.fullmatch(r"\s*-?\d+\s*", str(value)) is not None
    if kind == "float":
        return not isinstance(value, bool) and re.fullmatch(r"\s*-?\d+(\.\d*)?\s*", str(value)) is not None
    return not (is_list or is_mapping or value is None)


_BOOLEANS = ("yes", "no", "on", "off", "true", "false", "y", "n", "t", "f", "1", "0")


def _shown(value, kind):
    """Return a value in words; only where a number belongs its own text, for a text may be a secret."""
    if kind in ("int", "float", "bool") and isinstance(value, (str, int, float)):
        return repr(value)[:40]
    if value is None:
        return "empty"
    if isinstance(value, collections.abc.Mapping):
        return "a mapping"
    return "a list" if _is_of("list", value) else "a single value"


def specifications(fleet):
    """What Ansible's own validation of the roles' arguments says, before a host is touched."""
    for group, roles in ROLES_OF_GROUP.items():
        for host, variables in fleet.group(group):
            for role in roles:
                # What is absent, and why, is reported by others.
                spec = {
                    name: {**option, "required": False}
                    for name, option in fleet.specs.get(role, {}).items()
                    if name in variables
                }
                values = {name: _plain(variables[name]) for name in spec}
                for message in ArgumentSpecValidator(spec).validate(values).error_messages:
                    yield Problem(host, f"role {role}: {message}", f"see roles/{role}/meta/argument_specs.yml")


def _plain(value):
    """Return a value in the plain containers that the validation can copy."""
    if isinstance(value, collections.abc.Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if _is_of("list", value) else value


def ranges(fleet):
    for _group, host, name, value in _options(fleet):
        bounds = next(((low, high) for pattern, low, high in RANGES if fnmatch.fnmatchcase(name, pattern)), None)
        if bounds and not bounds[0] <= int(value) <= bounds[1]:
            yield Problem(
                host, f"{name} is {value}, not within {bounds[0]} and {bounds[1]}", "set it to a number in that range"
            )


def versions(fleet):
    oldest = dict(OLDEST)
    for group, host, name, value in _options(fleet):
        found = re.match(r"(\d+)\.(\d+)", str(value)) if name in oldest else None
        if found and tuple(int(part) for part in found.groups()) < oldest[name]:
            least = ".".join(str(part) for part in oldest[name])
            yield Problem(host, f"{name} is {value}: the role {group} is for {least} and newer", f"set {name} anew")


def _options(fleet):
    """Yield (group, host, name, value) of the options of the roles that run on each host."""
    for group, roles in ROLES_OF_GROUP.items():
        names = [name for role in roles for name in fleet.specs.get(role, {})]
        for host, variables in fleet.group(group):
            yield from ((group, host, name, variables[name]) for name in names if variables.get(name) is not None)


def alert_channels(fleet):
    for host, variables in fleet.group("consumer"):
        for channel in variables.get("consumer_alert_channels") or []:
            name, needed = channel.get("name"), CHANNEL_NEEDS.get(channel.get("type"), ())
            missing = [option for option in needed if not channel.get(option)]
            if missing:
                yield Problem(
                    host,
                    f"alert channel {name} has no {' and no '.join(missing)}",
                    f"a channel of the type {channel['type']} needs {', '.join(needed)}",
                )
            url = urlsplit(str(channel.get("url") or ""))
            telling = [key for key, _value in parse_qsl(url.query, keep_blank_values=True) if SECRET_KEY.search(key)]
            if telling or url.password:
                what = ", ".join(telling) or "password"
                yield Problem(
                    host,
                    f"the url of alert channel {name} carries its {what}: it would stand in a file that all may read",
                    "take it out of the url; the option token or secret takes it, as a reference",
                )


def unresolvable_variables(fleet):
    known = {option for options in fleet.specs.values() for option in options}
    for host, broken in fleet.broken.items():
        for variable, reason in sorted(broken.items()):
            if reason is not None and variable in known and variable in fleet.inventory_names.get(host, ()):
                yield Problem(
                    host,
                    f"{variable} has no value: {reason}",
                    "define what the value refers to: is the vault file there?",
                )


def secret_fault(value):
    """Return why a secret is none, or None; the secret itself is not in the text."""
    return "still the example's placeholder" if PLACEHOLDER.match(value) else None


def secrets(fleet):
    defaults = {option: spec.get("default") for options in fleet.specs.values() for option, spec in options.items()}
    faults = [
        (host, name, reason, "{{" in str(defaults.get(name)) and name not in fleet.inventory_names.get(host, ()))
        for host, found in fleet.unusable_secrets.items()
        for name, reason in found.items()
    ]
    named = {reason for _host, _name, reason, derived in faults if not derived}
    for host, name, reason, derived in faults:
        # One that follows from another one is at fault itself only where the other is not.
        if not (derived and reason in named):
            yield Problem(
                host,
                f"{name} cannot be used: {reason}",
                "put it into the vault (group_vars/all/vault.yml.example) and name it as vault:VARIABLE, or as env:NAME "
                "or file:/path of the control node",
            )


def mistyped_variables(fleet):
    known = {option for options in fleet.specs.values() for option in options}
    prefixes = tuple(f"{role}_" for role in (*fleet.specs, "fleet"))
    for host, names in fleet.inventory_names.items():
        foreign = fleet.hosts[host].get("fleet_foreign_variables") or []
        for name in sorted(names):
            if name in known or not name.startswith(prefixes):
                continue
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in foreign):
                continue
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
            yield Problem(
                host,
                f"no role knows the variable {name}",
                f"did you mean {near[0]}?" if near else "remove it, or name it in fleet_foreign_variables",
            )


def node_ids(fleet):
    by_id = defaultdict(list)
    for host, variables in fleet.group("kafka"):
        if variables.get("kafka_node_id") is not None:
            by_id[int(variables["kafka_node_id"])].append(host)
    for node_id, hosts in by_id.items():
        if len(hosts) > 1:
            yield Problem(
                ", ".join(hosts),
                f"share kafka_node_id {node_id}",
                "give each Kafka host its own kafka_node_id, as a host variable",
            )


def replication(fleet):
    nodes = fleet.group("kafka")
    brokers = [host for host, variables in nodes if "broker" in variables.get("kafka_process_roles", ["broker"])]
    controllers = [v for _host, v in nodes if "controller" in v.get("kafka_process_roles", ["controller"])]
    if nodes and not controllers:
        yield Problem("fleet", "no Kafka host is a controller", "add controller to a host's kafka_process_roles")
    for host, variables in nodes:
        factor = int(variables.get("kafka_replication_factor", 3))
        minimum = int(variables.get("kafka_min_insync_replicas", 2))
        if factor > len(brokers):
            yield Problem(
                host,
                f"kafka_replication_factor is {factor}, but there are {len(brokers)} brokers",
                f"add brokers, or set kafka_replication_factor to at most {len(brokers)}",
            )
        tight = [("kafka_min_insync_replicas", minimum)]
        for topic in variables.get("kafka_topics") or []:
            own = (topic.get("configs") or {}).get("min.insync.replicas")
            if own is not None:
                tight.append((f"min.insync.replicas of topic {topic.get('name')}", int(own)))
        for name, value in tight:
            # One broker with one copy has nothing to lose by a restart that it would not lose anyway.
            if value >= factor and not value == factor == 1:
                yield Problem(
                    host,
                    f"{name} is {value} with replication factor {factor}: one stopped broker stops all writers",
                    f"set it below {factor}, or raise kafka_replication_factor",
                )


def java_for_kafka(fleet):
    for host, variables in fleet.group("kafka"):
        version = str(variables.get("kafka_version", ""))
        if not version[:1].isdigit():
            continue
        needed = 17 if int(version.split(".")[0]) >= 4 else 11
        own_java = variables.get("kafka_java", "/usr/bin/java") != "/usr/bin/java"
        seen = fleet.looks.get(host, {}).get("java", "")
        java = int(seen) if own_java and seen.isdigit() else int(variables.get("java_version", 17))
        if java < needed:
            name = "kafka_java" if own_java and seen.isdigit() else "java_version"
            yield Problem(
                host,
                f"Kafka {version} needs Java {needed} or newer, {name} gives {java}",
                f"set java_version to {needed} or newer, or kafka_version to an older line",
            )


def disks(fleet):
    nodes = [(h, v) for h, v in fleet.group("kafka") if "broker" in v.get("kafka_process_roles", ["broker"])]
    brokers = len(nodes)
    for host, variables in nodes:
        sizes = {path: int(kib) * 1024 for path, kib in fleet.looks.get(host, {}).get("disk", ())}
        path = variables.get("kafka_data_dir", "")
        per_day = float(variables.get("kafka_expected_gib_per_day", 0))
        if path not in sizes:
            continue
        days = float(variables.get("kafka_retention_hours", 168)) / 24
        copies = min(int(variables.get("kafka_replication_factor", 3)), brokers)
        needed = days * per_day * copies / brokers * GIB
        if needed > sizes[path] * DISK_SHARE:
            yield Problem(
                host,
                f"{path} has room for {sizes[path] / GIB:.0f} GiB, but {days:.0f} days of {per_day:g} GiB with {copies} copies "
                f"over {brokers} brokers need {needed / GIB / DISK_SHARE:.0f}",
                "give it a larger disk, or lower kafka_retention_hours",
            )


def vrrp(fleet):
    hosts = fleet.group("lb")
    by_priority, by_vip = defaultdict(list), defaultdict(set)
    for host, variables in hosts:
        secret = str(variables.get("keepalived_auth_pass", "") or "")
        if len(secret) > AUTH_PASS_MAX:
            yield Problem(
                host,
                f"keepalived_auth_pass has {len(secret)} characters; Keepalived cuts it after {AUTH_PASS_MAX}, silently",
                f"use at most {AUTH_PASS_MAX} characters",
            )
        if secret and not AUTH_PASS_PLAIN.match(secret):
            yield Problem(
                host,
                "keepalived_auth_pass has a character that Keepalived reads as the end of a word or as a comment",
                "use letters, digits, dots, dashes and underscores only",
            )
        if variables.get("keepalived_priority") is not None:
            by_priority[int(variables["keepalived_priority"])].append(host)
        by_vip[variables.get("keepalived_vip") or variables.get("fleet_vip")].add(variables.get("keepalived_vrid"))
    for priority, names in by_priority.items():
        if len(names) > 1:
            yield Problem(
                ", ".join(names),
                f"share keepalived_priority {priority}",
                "give each balancer its own keepalived_priority, as a host variable",
            )
    yield from _vrids(by_vip)
    yield from _weights(hosts, sorted(by_priority))


def _vrids(by_vip):
    seen = {}
    for vip, vrids in by_vip.items():
        if len(vrids) > 1:
            listed = ", ".join(str(vrid) for vrid in sorted(vrids, key=str))
            yield Problem(
                "fleet",
                f"the balancers of {vip} have different keepalived_vrid ({listed}): each would hold the address",
                "set one keepalived_vrid for the group",
            )
        for vrid in vrids:
            if vrid in seen:
                yield Problem(
                    "fleet",
                    f"{seen[vrid]} and {vip} share keepalived_vrid {vrid}",
                    "give each virtual address of a network segment its own keepalived_vrid",
                )
            seen[vrid] = vip


def _weights(hosts, priorities):
    gap = priorities[-1] - priorities[0] if priorities else 0
    for host, variables in hosts:
        weight = int(variables.get("keepalived_check_weight", 0) or 0)
        if weight and variables.get("keepalived_nopreempt", True):
            yield Problem(
                host,
                f"keepalived_check_weight is {weight} with nopreempt: the address never moves when nginx fails",
                "set keepalived_check_weight to 0",
            )
        elif weight and abs(weight) <= gap:
            yield Problem(
                host,
                f"keepalived_check_weight {weight} does not bridge the priorities' gap of {gap}: the address never moves",
                f"set keepalived_check_weight to 0, or to more than {gap} in size",
            )


def mysql_on_debian(fleet):
    for host, variables in fleet.group("mysql"):
        own = variables.get("mysql_flavor", "mysql") == "mysql" and not variables.get("mysql_packages")
        if own and fleet.looks.get(host, {}).get("os.id") == "debian":
            yield Problem(
                host,
                "runs Debian, which has no MySQL of its own",
                "set mysql_flavor to mariadb, or name the vendor's packages in mysql_packages and their unit in "
                "mysql_service",
            )


def virtual_address(fleet):
    addresses = {variables.get("ansible_host"): host for host, variables in fleet.hosts.items()}
    for host, variables in fleet.group("lb"):
        vip = str(variables.get("fleet_vip") or "")
        if not _is_address(vip):
            yield Problem(
                host,
                f"fleet_vip is {vip!r}, not an address",
                "set fleet_vip to a free address of the balancers' network",
            )
            continue
        if vip in addresses:
            yield Problem(
                "fleet", f"fleet_vip {vip} is the address of {addresses[vip]}", "choose an address that no host has"
            )
        own, prefix = variables.get("ansible_host"), variables.get("fleet_vip_prefix", 24)
        try:
            network = ipaddress.ip_network(f"{vip}/{prefix}", strict=False)
        except ValueError:
            yield Problem(
                host,
                f"fleet_vip_prefix is {prefix}, no prefix length of {vip}",
                "set fleet_vip_prefix to the network's prefix length, such as 24",
            )
            continue
        if _is_address(own):
            if ipaddress.ip_address(own) not in network:
                yield Problem(
                    host,
                    f"its address is outside of the virtual address's network {network}",
                    "put fleet_vip and fleet_vip_prefix right: VRRP works within one network",
                )


def agreeing_variables(fleet):
    for left_group, left, right_group, right in MUST_AGREE:
        rights = {str(_value(v, right)): host for host, v in fleet.group(right_group) if _value(v, right) is not None}
        for host, variables in fleet.group(left_group):
            own = _value(variables, left)
            if own is not None and rights and str(own) not in rights:
                value, other = next(iter(rights.items()))
                yield Problem(
                    host,
                    f"{left} is {own}, but {right} is {value} on {other}",
                    f"set both to the same value: what the one sends the other would not see ({left}, {right})",
                )


def topics_exist(fleet):
    made = {topic.get("name") for _host, v in fleet.group("kafka") for topic in v.get("kafka_topics") or []}
    used = [("filebeat", "filebeat_topic_access"), ("filebeat", "filebeat_topic_error")]
    used += [("consumer", f"consumer_topics.{use}") for use in ("access", "error", "dlq")]
    for group, variable in used:
        for host, variables in fleet.group(group):
            topic = _value(variables, variable)
            if topic and made and topic not in made:
                yield Problem(
                    host,
                    f"{variable} is {topic}, a topic that nobody creates",
                    f"add {topic} to kafka_topics, or name one that is there: {', '.join(sorted(map(str, made)))}",
                )


def message_sizes(fleet):
    limits = [
        (int(limit), name, host)
        for host, variables in fleet.group("kafka")
        for limit, name in [
            (
                (variables.get("kafka_properties") or {}).get("message.max.bytes") or BROKER_MESSAGE_BYTES,
                "message.max.bytes",
            ),
            *(
                ((topic.get("configs") or {}).get("max.message.bytes"), f"max.message.bytes of {topic.get('name')}")
                for topic in variables.get("kafka_topics") or []
            ),
        ]
        if limit is not None
    ]
    limit, name, broker = min(limits, default=(0, "", ""))
    for host, variables in fleet.group("filebeat"):
        largest = int(variables.get("filebeat_max_message_bytes", 0))
        if limit and largest > limit:
            yield Problem(
                host,
                f"filebeat_max_message_bytes is {largest}, but {name} is {limit} on {broker}: a larger event is lost",
                f"set filebeat_max_message_bytes to at most {limit}, or raise message.max.bytes in kafka_properties",
            )


def addresses(fleet):
    for host, variables in fleet.hosts.items():
        own = variables.get("ansible_host")
        if not _is_address(own):
            yield Problem(
                host,
                f"ansible_host is {own}, not an IP address" if own else "ansible_host is not set",
                "set it to the host's address: firewall rules, VRRP and database accounts are bound to addresses. A "
                "name for Kafka's clients goes into kafka_advertised_host",
            )


def names_resolve(fleet):
    for host, look in fleet.looks.items():
        for entry in look.get("name", ()):
            name, found = entry[0], entry[1:]
            if not found:
                yield Problem(
                    host, f"cannot resolve {name}", f"add {name} to DNS or /etc/hosts of this host, or use addresses"
                )
            elif name != host and found[0].startswith("127."):
                yield Problem(
                    host,
                    f"resolves {name} to {found[0]}, itself",
                    f"put the address of {name} into DNS or /etc/hosts of this host",
                )


def time_zones(fleet):
    for host, variables in fleet.hosts.items():
        for name in ("common_timezone", "consumer_error_log_timezone"):
            zone = variables.get(name) if name in fleet.inventory_names.get(host, ()) else None
            if zone and not _zone_exists(fleet, host, str(zone)):
                yield Problem(
                    host,
                    f"{name} is {zone}, which the host has no time zone of",
                    "use an IANA name, such as Asia/Shanghai; timedatectl list-timezones shows them",
                )


def _zone_exists(fleet, host, zone):
    known = {entry[0]: entry[1] for entry in fleet.looks.get(host, {}).get("zone", ()) if len(entry) == 2}
    return ZONE_NAME.match(zone) is not None and known.get(zone) != "unknown"


def error_log_zone(fleet):
    """Nginx's error lines name no zone: the one that the consumer reads them in must be that of every balancer."""
    for reader, consumer in fleet.group("consumer"):
        read_as = str(consumer.get("consumer_error_log_timezone") or "")
        for host, variables in fleet.group("lb"):
            own = str(variables.get("common_timezone") or "")
            clock = dict(fleet.looks.get(host, {}).get("clock", ()))
            shown = {moment: _offset(own, moment) for moment in ZONE_MOMENTS} if own else clock
            wanted = {moment: _offset(read_as, moment) for moment in shown}
            # A zone that nobody knows is another rule's matter.
            if shown == wanted or None in {*shown.values(), *wanted.values()}:
                continue
            offset = next(iter(shown.values()))
            yield Problem(
                host,
                f"its clock shows {own or offset}, but {reader} reads its error lines as {read_as}: their times would"
                " be wrong",
                "set common_timezone in group_vars/all to the balancers' zone; consumer_error_log_timezone follows it",
            )


def _offset(zone, moment):
    """Return a zone's distance from UTC as ``+0800`` at a moment (seconds since the epoch), None if unknown."""
    try:
        return datetime.fromtimestamp(int(moment), zoneinfo.ZoneInfo(zone)).strftime("%z")
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None


def target_python(fleet):
    oldest = TARGET_PYTHON.get(fleet.core, TARGET_PYTHON[max(TARGET_PYTHON)])
    core = ".".join(str(part) for part in fleet.core)
    legacy = "use ansible-core 2.16 on the control node (pip install 'obscraft[legacy]')"
    for host, look in fleet.looks.items():
        if "unreachable" in look:
            continue
        text, system = look.get("python", ""), look.get("os.name", "the host")
        if _el_major(look) in ("7", "8") and fleet.core > (2, 16):
            # Another Python beside it does not help: dnf, yum and SELinux have bindings for the platform's alone.
            yield Problem(host, f"{system} manages its packages by a Python that ansible-core {core} ended", legacy)
            continue
        if not text:
            yield Problem(host, "has no Python", "install python3 on the host")
            continue
        version = tuple(int(part) for part in text.split("."))
        if version >= oldest or (fleet.core == (2, 16) and version == (2, 7)):
            continue
        yield Problem(
            host,
            f"{system} has Python {text}; ansible-core {core} needs {oldest[0]}.{oldest[1]} there",
            f"{legacy}, or set ansible_python_interpreter to a newer Python of the host",
        )


def _el_major(look):
    """Return the major version of a host of the RedHat family, None for others (Fedora counts its own way)."""
    el = look.get("os.id") in EL_IDS and look.get("os.id") != "fedora"
    return look.get("os.version", "").split(".")[0] if el else None


def operating_systems(fleet):
    for host, look in fleet.looks.items():
        system = look.get("os.id", "")
        if not system:
            continue
        groups = [name for name in ("consumer", "backend") if host in fleet.groups.get(name, ())]
        if _el_major(look) == "7" and groups:
            yield Problem(
                host,
                f"is an EL7 host in the group {' and '.join(groups)}: its glibc 2.17 is too old for the wheels, and it "
                "has no Python 3.11",
                "move it to EL8 or newer; EL7 can carry the other roles",
            )
        if system not in EL_IDS and system != "debian":
            yield Problem(host, f"runs {look.get('os.name', system)}", "use CentOS, Rocky, Alma, RHEL or Debian")


def old_mysql(fleet):
    for host, _variables in fleet.group("mysql"):
        version = fleet.looks.get(host, {}).get("mysql", "")
        if version.startswith("5."):
            yield Problem(
                host,
                f"has database server {version}: the schema and the client library need MySQL 8.0 or MariaDB 10.5",
                "upgrade the server, or remove its package and let the role install a supported one",
            )


def lock_out(fleet):
    for host, look in fleet.looks.items():
        client = look.get("ssh_client", "")
        sources = fleet.hosts.get(host, {}).get("firewall_admin_sources") or []
        if _is_address(client) and not any(_within(client, source) for source in sources):
            yield Problem(
                host,
                f"the firewall would lock this control node ({client}) out",
                f"add {client} to fleet_admin_sources",
            )


def artifacts(fleet):
    for variable, path in fleet.missing_files.items():
        yield Problem(
            "control node", f"{variable} does not exist: {path}", "run: obsctl artifacts build (or set the variable)"
        )


RULES = (
    groups_are_there,
    shared_variables,
    unreachable,
    target_python,
    operating_systems,
    required_variables,
    specifications,
    ranges,
    versions,
    alert_channels,
    unresolvable_variables,
    secrets,
    mistyped_variables,
    artifacts,
    node_ids,
    replication,
    java_for_kafka,
    disks,
    old_mysql,
    mysql_on_debian,
    virtual_address,
    vrrp,
    agreeing_variables,
    topics_exist,
    message_sizes,
    time_zones,
    error_log_zone,
    addresses,
    names_resolve,
    lock_out,
)


def _value(variables, path):
    name, _dot, key = path.partition(".")
    value = variables.get(name)
    return value.get(key) if key and value else value


def _is_address(text):
    try:
        ipaddress.ip_address(str(text))
    except ValueError:
        return False
    return True


def _within(address, network):
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _sentence(description):
    text = description if isinstance(description, str) else " ".join(description or [])
    return text.split(". ")[0].rstrip(".") or "it is required"
