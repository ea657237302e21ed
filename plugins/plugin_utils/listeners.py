# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Which program of which host listens on which port, and for whom: the only list of ports.

The firewall's rules, the preflight's search for two services on one port, ``docs/reference/ports.md`` and the lab's
test of all ports are made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.obscraft.fleet.plugins.filter.listen_ports import PORT

#: Gives a variable's value on the host, the roles' defaults included; None where it has none.
Value = Callable[[str], Any]

#: Instead of a group: every host of the fleet.
EVERY_HOST = "all"
#: In place of a group among the sources: every client, and the addresses in ``firewall_admin_sources``. Where
#: others may come, the variable with their addresses.
ANYONE, ADMIN = "anyone", "admin"
LOOPBACK = "127.0.0.1"


def _always(_value: Value) -> bool:
    return True


def _fleet_tls(value: Value) -> bool:
    return bool(boolean(value("fleet_tls") or False, strict=False))


def _has_console(value: Value) -> bool:
    return bool(boolean(value("console_enabled"), strict=False))


def _console_tls(value: Value) -> bool:
    return _has_console(value) and _fleet_tls(value)


def _console_clear(value: Value) -> bool:
    return _has_console(value) and not _fleet_tls(value)


def _nginx_tls(value: Value) -> bool:
    return _fleet_tls(value) and value("nginx_tls_listen") != []


def _nginx_clear(value: Value) -> bool:
    return value("nginx_http") != "close" or not _nginx_tls(value)


def _has_role(value: Value, role: str) -> bool:
    return role in (value("kafka_process_roles") or ("broker", "controller"))


def _stage(value: Value) -> str:
    return str(value("kafka_tls_stage") or ("tls" if _fleet_tls(value) else "clear"))


def _broker_clear(value: Value) -> bool:
    return _has_role(value, "broker") and _stage(value) != "tls"


def _broker_tls(value: Value) -> bool:
    return _has_role(value, "broker") and _stage(value) != "clear"


def _controller_clear(value: Value) -> bool:
    return _has_role(value, "controller") and _stage(value) != "tls"


def _controller_tls(value: Value) -> bool:
    return _has_role(value, "controller") and _stage(value) != "clear"


def _own_client_port(value: Value) -> bool:
    """Whether clients have a port that is none of the role's own listeners'."""
    own = [value("kafka_broker_port"), *([value("kafka_tls_port")] if _broker_tls(value) else [])]
    return _has_role(value, "broker") and str(value("kafka_client_port")) not in map(str, own)


class Listener(NamedTuple):
    """A program that listens on a port which a variable names.

    Attributes:
        program: as people know it.
        group: whose hosts listen, or :data:`EVERY_HOST`.
        variable: the port, or a list of nginx's listen directives.
        speaks: the protocol.
        sources: groups whose hosts the firewall lets in, :data:`ADMIN`, :data:`ANYONE`, or a variable with addresses;
            none for loopback.
        address: the address, or the variable with it; empty for every address of the host.
        listens: whether it does, with the host's variables.
        while_: the same in words; empty for always.
        default: the variable's value where the inventory is silent, for one that no role's defaults give a value.
    """

    program: str
    group: str
    variable: str
    speaks: str
    sources: tuple[str, ...] = ()
    address: str = ""
    listens: Callable[[Value], bool] = _always
    while_: str = ""
    default: int | None = None


_CLEAR = "`kafka_tls_stage` is `clear`, `offer` or `move`"
_TLS = "`kafka_tls_stage` is `offer`, `move` or `tls`"

LISTENERS = (
    Listener("sshd", EVERY_HOST, "ansible_port", "ssh", (ADMIN,), default=22),
    Listener(
        "nginx",
        "lb",
        "nginx_listen",
        "HTTP",
        (ANYONE,),
        listens=_nginx_clear,
        while_="unless `nginx_http` is `close` and `fleet_tls` is on",
    ),
    Listener(
        "nginx",
        "lb",
        "nginx_tls_listen",
        "HTTPS",
        (ANYONE,),
        listens=_nginx_tls,
        while_="while `fleet_tls` is on",
    ),
    Listener("nginx, its own check", "lb", "nginx_check_port", "HTTP", address=LOOPBACK),
    Listener("obs-backend", "backend", "backend_port", "HTTP", ("lb", ADMIN), "backend_address"),
    Listener(
        "Kafka broker",
        "kafka",
        "kafka_broker_port",
        "Kafka without TLS",
        ("kafka", "filebeat", "consumer", ADMIN),
        listens=_broker_clear,
        while_=f"while {_CLEAR}",
    ),
    Listener(
        "Kafka broker, a listener of your own",
        "kafka",
        "kafka_client_port",
        "`kafka_client_security_protocol`",
        ("consumer", ADMIN),
        listens=_own_client_port,
        while_="where it is the port of no listener above or below",
    ),
    Listener(
        "Kafka controller",
        "kafka",
        "kafka_controller_port",
        "Kafka without TLS",
        ("kafka",),
        listens=_controller_clear,
        while_=f"while {_CLEAR}",
    ),
    Listener(
        "Kafka broker, for clients",
        "kafka",
        "kafka_tls_port",
        "Kafka over TLS, login by SCRAM",
        ("kafka", "filebeat", "consumer", ADMIN),
        listens=_broker_tls,
        while_=f"while {_TLS}",
    ),
    Listener(
        "Kafka broker, for brokers",
        "kafka",
        "kafka_tls_broker_port",
        "Kafka over TLS, with a broker's certificate",
        ("kafka",),
        listens=_broker_tls,
        while_=f"while {_TLS}",
    ),
    Listener(
        "Kafka controller",
        "kafka",
        "kafka_tls_controller_port",
        "Kafka over TLS, with a broker's certificate",
        ("kafka",),
        listens=_controller_tls,
        while_=f"while {_TLS}",
    ),
    Listener("Filebeat, its counters", "filebeat", "filebeat_http_port", "HTTP", address=LOOPBACK),
    Listener("MySQL or MariaDB", "mysql", "mysql_port", "MySQL", ("consumer", ADMIN), "mysql_bind_address"),
    Listener("obsctl-consumer, its health page", "consumer", "consumer_metrics_port", "HTTP", address=LOOPBACK),
    Listener("obsctl-alerter, its health page", "consumer", "consumer_alert_metrics_port", "HTTP", address=LOOPBACK),
    Listener(
        "obsctl-console",
        "consumer",
        "console_port",
        "HTTPS",
        ("console_admin_sources",),
        "console_address",
        listens=_console_tls,
        while_="while `console_enabled` and `fleet_tls` are on",
    ),
    Listener(
        "obsctl-console, for a proxy of its host",
        "consumer",
        "console_port",
        "HTTP",
        address=LOOPBACK,
        listens=_console_clear,
        while_="while `console_enabled` is on and `fleet_tls` is off",
    ),
)


class Socket(NamedTuple):
    """One port of one host.

    Attributes:
        listener: what listens.
        name: the variable; with the directive, where the variable is a list of them.
        address: empty for every address of the host.
        port: TCP.
    """

    listener: Listener
    name: str
    address: str
    port: int


def sockets(groups: Collection[str], value: Value) -> Iterator[Socket]:
    """Yield the sockets that a host's programs listen on; a listener whose port has no value is left out.

    Args:
        groups: the host's.
        value: gives its variables.
    """
    for listener in LISTENERS:
        if listener.group not in (EVERY_HOST, *groups):
            continue
        given = value(listener.variable)
        given = listener.default if given is None else given
        if given is None or not listener.listens(value):
            continue
        if isinstance(given, (list, tuple)):
            for directive in map(str, given):
                if (socket := nginx_socket(directive)) is not None:
                    yield Socket(listener, f"{listener.variable} {directive}", *socket)
        else:
            # A variable's name has an underscore, and an address has none.
            address = str(value(listener.address) or "") if "_" in listener.address else listener.address
            yield Socket(listener, listener.variable, address, int(given))


def nginx_socket(directive: str) -> tuple[str, int] | None:
    """Return address and port of nginx's listen directive, None for a Unix socket or what is none."""
    place = directive.split(maxsplit=1)[0] if directive.split() else ""
    if not place or place.startswith("unix:"):
        return None
    match = PORT.match(place)
    return (place[: match.start(1)].rstrip(":"), int(match.group(1))) if match else (place, 80)


def overlap(one: str, other: str) -> bool:
    """Whether two sockets of one port cannot both be bound, by their addresses."""
    everything = ("", "*", "0.0.0.0", "::", "[::]")  # noqa: S104  # compared, not bound
    return one == other or one in everything or other in everything
