# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Single values: out of range, or not in the form that the program expects."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import (
    ROLES_OF_GROUP,
    Fleet,
    Problem,
    is_list,
)

INT_MAX = 2**31 - 1
#: Characters of a value that are shown; of a longer one its length.
SHOWN = 40
MIB = 1024**2
#: Pattern of a variable's name, least and greatest value; the first that fits counts.
RANGES = (
    ("keepalived_vrid", 1, 255),
    ("keepalived_priority", 1, 254),
    ("keepalived_advert_int", 1, 255),
    ("keepalived_check_weight", -253, 253),
    ("keepalived_check_*", 1, 65535),
    ("keepalived_garp_*", 0, 86400),
    ("kafka_node_id", 0, INT_MAX),
    ("kafka_replication_factor", 1, 2**15 - 1),
    ("kafka_min_insync_replicas", 1, 2**15 - 1),
    ("kafka_retention_hours", 1, INT_MAX),
    # Kafka 4 takes no less than a MiB.
    ("kafka_segment_bytes", MIB, INT_MAX),
    ("kafka_expected_gib_per_day", 0, 10**6),
    ("kafka_start_timeout", 1, 86400),
    ("java_version", 8, 99),
    # These five are the consumer's own bounds (obsctl.pipeline.config).
    ("consumer_processes", 0, 8),
    ("consumer_batch_lines", 1, 50_000),
    ("consumer_batch_interval_ms", 10, 10_000),
    ("consumer_retention_days", 1, 366),
    # And these the console's (obsctl.console.config).
    ("console_session_idle_s", 60, 30 * 86400),
    ("console_session_lifetime_s", 60, 90 * 86400),
    ("console_search_at_once", 1, 200),
    ("console_search_seconds", 1, 600),
    ("console_live_at_once", 1, 400),
    ("console_live_each", 1, 400),
    ("console_redis_keep_s", 120, 7 * 86400),
    ("*_port", 1, 65535),
    ("backend_workers", 1, 1024),
    ("backend_threads", 1, 1024),
    ("backend_*", 0, INT_MAX),
    ("filebeat_*_bytes", 1024, INT_MAX),
    ("mysql_max_connections", 1, 100_000),
    ("nginx_worker_*", 1, INT_MAX),
    ("nginx_connect_timeout_ms", 1, 75_000),
    ("nginx_read_timeout", 1, INT_MAX),
    ("nginx_*", 0, INT_MAX),
)
#: Lists that must have an entry for the service to work, and what to write.
NEVER_EMPTY = {
    "nginx_listen": "name a port or an address with a port, such as '80'",
    "nginx_backend_hosts": "name hosts of the group backend",
    "keepalived_hosts": "name hosts of the group lb",
    "kafka_process_roles": "name broker, controller or both",
    "kafka_topics": "name the topics",
    "consumer_bootstrap": "name brokers as HOST:PORT",
    "filebeat_kafka_hosts": "name brokers as HOST:PORT",
}
#: Values that go to the hosts as JSON, and have their own rules.
_OF_MORE_LINES = ("consumer_alert_channels", "consumer_alert_rules")
#: The oldest versions that the roles' configuration is for.
OLDEST = (("filebeat_version", (7, 17)), ("kafka_version", (3, 6)))


class Size(NamedTuple):
    """A variable that holds a number of bytes with a unit.

    Attributes:
        name: the variable.
        units: the letters that the program takes.
        least: bytes below which the program does not start or cannot work.
        also: other values that it takes.
        example: a good value.
    """

    name: str
    units: str
    least: int
    also: str
    example: str


SIZES = (
    Size("kafka_heap", "kKmMgGtT", 128 * MIB, "", "1g"),
    # InnoDB's own minimum.
    Size("mysql_buffer_pool", "kKmMgG", 5 * MIB, "", "1G"),
    Size("mysql_max_allowed_packet", "kKmMgG", MIB, "", "64M"),
    Size("consumer_memory_max", "KMGT", 64 * MIB, r"infinity|\d{1,3}%", "512M"),
    Size("consumer_alert_memory_max", "KMGT", 64 * MIB, r"infinity|\d{1,3}%", "512M"),
    Size("console_memory_max", "KMGT", 256 * MIB, r"infinity|\d{1,3}%", "1G"),
    Size("nginx_client_max_body_size", "kKmMgG", 0, "", "8m"),
    # Empty: by time only.
    Size("nginx_logrotate_maxsize", "kMG", 1, r"\s*", "500M"),
)
#: Paths that no variable may have: the root directory and the kernel's file systems.
NOT_OURS = ("", "/proc", "/sys", "/dev")
#: A duration as Go reads it.
DURATION = re.compile(r"(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+\Z")
DURATIONS = ("filebeat_scan_interval", "filebeat_backoff_max", "filebeat_close_inactive")


class Text(NamedTuple):
    """A variable whose text another program restricts: pattern of its name, the pattern of its value, in words."""

    name: str
    form: re.Pattern[str]
    words: str


#: Linux's name of a user or a group.
_ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,31}\Z")
_ACCOUNT_WORDS = "at most 32 lower-case letters, digits, _ and -, a letter first"
TEXTS = (
    Text("mysql_*_user", re.compile(r"[A-Za-z0-9_.-]{1,32}\Z"), "at most 32 letters, digits, dots, _ and -"),
    Text("*_database_user", re.compile(r"[A-Za-z0-9_.-]{1,32}\Z"), "at most 32 letters, digits, dots, _ and -"),
    Text("mysql_database", re.compile(r"[A-Za-z0-9_]{1,64}\Z"), "at most 64 letters, digits and _"),
    Text("consumer_database_name", re.compile(r"[A-Za-z0-9_]{1,64}\Z"), "at most 64 letters, digits and _"),
    Text("kafka_user", _ACCOUNT, _ACCOUNT_WORDS),
    Text("filebeat_user", _ACCOUNT, _ACCOUNT_WORDS),
    Text("backend_user", _ACCOUNT, _ACCOUNT_WORDS),
    Text("firewall_zone", re.compile(r"[A-Za-z0-9_-]{1,17}\Z"), "at most 17 letters, digits, _ and -"),
    Text("consumer_group", re.compile(r"\S{1,249}\Z"), "at most 249 characters without a blank"),
    Text("consumer_alert_group", re.compile(r"\S{1,249}\Z"), "at most 249 characters without a blank"),
    Text("consumer_instance", re.compile(r"[A-Za-z0-9._-]{0,240}\Z"), "at most 240 letters, digits, dots, _ and -"),
    Text("kafka_cluster_id", re.compile(r"([A-Za-z0-9_-]{22})?\Z"), "22 letters, digits, _ and -, or empty"),
)


def specifications(fleet: Fleet) -> Iterator[Problem]:
    """What Ansible's own validation of the roles' arguments reports, before a host is touched."""
    for group, roles in ROLES_OF_GROUP.items():
        for host, variables in fleet.group(group):
            for role in roles:
                # Other rules report missing variables.
                spec = {
                    name: {**option, "required": False}
                    for name, option in fleet.specs.get(role, {}).items()
                    if name in variables
                }
                values = {name: _plain(variables[name]) for name in spec}
                for message in ArgumentSpecValidator(spec).validate(values).error_messages:
                    yield Problem(
                        host,
                        f"role {role}: {message}",
                        f"correct it; roles/{role}/meta/argument_specs.yml explains each value",
                    )


def _plain(value: Any) -> Any:
    """Return a value in the plain containers and texts that the validation can copy: it copies each of them."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if is_list(value):
        return [_plain(item) for item in value]
    # Ansible's own texts carry their origin along, and copying them takes most of this rule's time.
    return str(value) if isinstance(value, str) else value


def login_ports(fleet: Fleet) -> Iterator[tuple[str, Problem]]:
    """Yield (variable, problem) for numbers that are no port."""
    for host, names in fleet.inventory_names.items():
        for name in ("ansible_port", "ansible_ssh_port"):
            port = fleet.hosts[host].get(name) if name in names else None
            if port is not None and not 0 < int(port) < 2**16:
                what = f"{name} is {port}, not between 1 and 65535"
                yield name, Problem(host, what, "set it to the port of the host's sshd, usually 22")


def ranges(fleet: Fleet) -> Iterator[Problem]:
    numbers = {
        name
        for options in fleet.specs.values()
        for name, option in options.items()
        if option.get("type") in ("int", "float")
    }
    for _group, host, name, value in fleet.options():
        bounds = next(((low, high) for pattern, low, high in RANGES if fnmatch.fnmatchcase(name, pattern)), None)
        if name in numbers and bounds and not bounds[0] <= float(value) <= bounds[1]:
            yield Problem(
                host, f"{name} is {value}, {out_of(float(value), *bounds)}", "set it to a number in that range"
            )


def out_of(value: float, low: int, high: int) -> str:
    """Return the words for a number that is not in a range."""
    return f"not {low} or more" if high == INT_MAX and value < low else f"not between {low} and {high}"


def parse_size(text: Any) -> int | None:
    """Return the bytes of a number with a unit (``512m``, ``1G``), None where it is not one."""
    match = re.fullmatch(r"(\d+)([kmgt]?)", str(text).strip(), re.IGNORECASE)
    return int(match.group(1)) * 1024 ** " kmgt".index(match.group(2).lower() or " ") if match else None


def empty_lists(fleet: Fleet) -> Iterator[Problem]:
    for _group, host, name, value in fleet.options():
        if name in NEVER_EMPTY and not value:
            yield Problem(host, f"{name} is an empty list", f"{NEVER_EMPTY[name]}, or leave it out for the default")


def line_breaks(fleet: Fleet) -> Iterator[tuple[str, Problem]]:
    """Yield (variable, problem) for texts of more than one line.

    Each is one line of a configuration file, where what follows a line break would be another setting.
    """
    secrets = {name for options in fleet.specs.values() for name, option in options.items() if option.get("no_log")}
    for _group, host, name, value in fleet.options():
        if name in secrets or name in _OF_MORE_LINES:
            continue
        place = next((place for place, text in _texts(name, value) if is_broken(text)), None)
        if place is not None:
            yield name, Problem(host, f"{place} holds a line break or a control character", "write it on one line")


def _texts(place: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield (place, text) for a text, for those in a list and in a mapping, and for a mapping's keys."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield f"a key of {place}", str(name)
            yield from _texts(f"{place}.{name}", item)
    elif is_list(value):
        for number, item in enumerate(value):
            yield from _texts(f"{place}[{number}]", item)


def is_broken(text: str) -> bool:
    """Whether a text is more than one line, or holds a character that ends one for some program."""
    return "\0" in text or text.rstrip("\n").splitlines() not in ([], [text.rstrip("\n")])


def sizes(fleet: Fleet) -> Iterator[Problem]:
    known = {size.name: size for size in SIZES}
    for _group, host, name, value in fleet.options():
        size, text = known.get(name), str(value)
        if size is None or (size.also and re.fullmatch(size.also, text)):
            continue
        found = parse_size(text) if re.fullmatch(rf"\d+[{size.units}]?", text) else None
        if found is None:
            yield Problem(
                host,
                f"{name} is {text!r}, not a number of bytes with a unit ({', '.join(size.units)})",
                f"write it like {size.example}",
            )
        elif found < size.least:
            least = f"{size.least // MIB} MiB" if size.least >= MIB else f"{size.least} byte"
            yield Problem(
                host,
                f"{name} is {text}, which is less than the {least} that it needs",
                f"raise it; {size.example} is usual",
            )


def durations(fleet: Fleet) -> Iterator[Problem]:
    for _group, host, name, value in fleet.options():
        if name in DURATIONS and not DURATION.match(str(value)):
            yield Problem(
                host, f"{name} is {str(value)!r}, not a duration", "write it with its unit, such as 250ms or 26h"
            )


def texts(fleet: Fleet) -> Iterator[Problem]:
    for _group, host, name, value in fleet.options():
        for text in TEXTS:
            if fnmatch.fnmatchcase(name, text.name) and not text.form.match(str(value)):
                long = len(str(value)) > SHOWN
                what = f"has {len(str(value))} characters" if long else f"is {str(value)!r}, which is not allowed"
                yield Problem(host, f"{name} {what}", f"use {text.words}")


def paths(fleet: Fleet) -> Iterator[Problem]:
    """Paths of directories and programs on a host; another rule checks files on the control node."""
    wanted = {
        name
        for options in fleet.specs.values()
        for name, option in options.items()
        if option.get("type") == "path" and not name.endswith("_archive")
    }
    for _group, host, name, value in fleet.options():
        if name not in wanted:
            continue
        if not str(value).startswith("/"):
            yield Problem(host, f"{name} is {str(value)!r}, not an absolute path", "write the whole path, from / on")
        elif str(value).rstrip("/") in NOT_OURS:
            yield Problem(host, f"{name} is {value}, which belongs to the system", "name a directory of its own")


def versions(fleet: Fleet) -> Iterator[Problem]:
    oldest = dict(OLDEST)
    for group, host, name, value in fleet.options():
        if name not in oldest:
            continue
        found = re.match(r"(\d+)\.(\d+)", str(value))
        least = ".".join(str(part) for part in oldest[name])
        if found is None:
            yield Problem(host, f"{name} is {str(value)!r}, not a version", f"write it like {least}.0")
        elif tuple(int(part) for part in found.groups()) < oldest[name]:
            yield Problem(
                host,
                f"{name} is {value}: the role {group} is for {least} and newer",
                f"raise {name} to {least} or newer",
            )
