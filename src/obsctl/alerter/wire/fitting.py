"""Finds a request whose line matches filters: values are proposed from the filters themselves, and tried with them.

The answer is right whatever the filters are: a request is used only if the compiled filters match every line that
nginx may write for it. If no proposal matches a filter, this is reported, with the fields that no request can choose.
"""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

import msgspec

from obsctl.core.rule_test import BODY_BYTES, DELAY_SPREAD_S, LONGEST_DELAY_S, STATUSES, Request
from obsctl.lines.formats.line import AccessLine
from obsctl.query.fields import ACCESS
from obsctl.query.predicate import compile_predicate
from obsctl.query.tree import And, Exists, InNetwork, Mark, Node, Not, Or, Pattern, Range, Term, Wildcard, Words

#: The most combinations of values that are tried for one rule.
_MOST_TRIES = 20_000
#: The most values that are proposed for one field.
_MOST_VALUES = 60
#: The most conditions on one text that are fulfilled by joining pieces.
_MOST_JOINED = 6
#: Length of a request with a few headers, and with long ones, bytes: the exact length is not known.
_REQUEST_BYTES = (150, 4000)
#: The address at which nginx answers tests itself (``nginx_check_port``).
_UPSTREAM = "127.0.0.1:8081"
#: What requests may contain: nothing that nginx interprets differently or refuses before it selects a location,
#: because then the line would have no mark.
_uri = re.compile(r"/(?:[!$-~]|%[0-9A-Fa-f]{2}){0,1000}").fullmatch
_method = re.compile(r"[A-Z]{1,20}").fullmatch
_host = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,200}[a-z0-9])?").fullmatch
_header = re.compile(r"[!-~](?:[ -~]{0,1000}[!-~])?").fullmatch
_user = re.compile(r"[!-9;-~]{1,100}").fullmatch
_request_id = re.compile(r"[A-Za-z0-9._-]{8,64}").fullmatch
_NOT_ANSWERED = frozenset(("TRACE", "CONNECT"))
#: Statuses for which nginx itself makes the answer: it cannot be delayed, and its length is nginx's choice.
_OWN_BODY = frozenset((204, *(status for status in STATUSES if status // 100 == 3)))

#: The fields that a request can choose, with the values that it has by default.
DEFAULTS: Mapping[str, str | int] = {
    "status": 200,
    "method": "GET",
    "uri": "/obscraft-test",
    "vhost": "",
    "user_agent": "obsctl-alert-test",
    "referer": "",
    "remote_user": "",
    "client_request_id": "",
    "x_forwarded_for": "",
    "request_time": 0,
}
#: Derived fields, each with the field that decides it and that a request can choose.
SAME_AS = {"upstream_status": "status", "upstream_response_time": "request_time"}
#: Fields with a different value in each line, whatever the request.
OF_EACH_LINE = frozenset((
    "ts",
    "request_id",
    "request_time",
    "upstream_response_time",
    "upstream_connect_time",
))  # fmt: skip
#: The text fields for which each request can have a different value.
MANY_VALUES = frozenset(
    ("uri", "user_agent", "referer", "vhost", "remote_user", "client_request_id", "x_forwarded_for")
)

Values = Mapping[str, str | int]


class World(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a line that a request cannot choose.

    Attributes:
        client: the address that the requests come from; empty if unknown: then it may be any.
        scheme: of the requests.
        hosts: the balancers, one of which writes the line; empty if unknown.
    """

    client: str = ""
    scheme: Literal["http", "https"] = "http"
    hosts: tuple[str, ...] = ()


class Fit:
    """Finds values of a request whose line matches all of some filters.

    Args:
        trees: the parsed filters, over fields of access lines.
        world: the line's other fields.
        wanted: an additional condition that the line must fulfil.
    """

    def __init__(
        self, trees: Sequence[Node], world: World, wanted: Callable[[AccessLine], bool] = lambda _: True
    ) -> None:
        self._trees = trees
        self._world = world
        self._takes = [*(compile_predicate(tree, ACCESS) for tree in trees), wanted]
        self._clients = (
            [world.client] if world.client else ["192.0.2.1", *map(str, self._from_filters("client_addr", ()))]
        )

    def first(self) -> Values | None:
        """Return the values of a request that matches; None if no proposed one does."""
        proposed = {field: list(self._proposed(field)) for field in self._fields()}
        for combination in itertools.islice(itertools.product(*proposed.values()), _MOST_TRIES):
            values = {**DEFAULTS, **dict(zip(proposed, combination, strict=True))}
            if self.takes(values):
                return values
        return None

    def others(self, field: str, like: Values, count: int) -> list[Values]:
        """Return requests that match and differ in one field, the given one first; there may be fewer than wanted.

        Args:
            field: one of those that a request can choose.
            like: values of a request that matches.
            count: how many are wanted.
        """
        found, used = [like], {like[field]}
        for value in self._variations(field, like, count):
            if len(found) >= count:
                break
            values = {**like, field: value}
            if value not in used and self.takes(values):
                used.add(value)
                found.append(values)
        return found[:count]

    def not_chosen(self) -> list[str]:
        """Return the fields in the filters that no request can choose."""
        return [field for field in self._fields(chosen=False) if field not in DEFAULTS]

    def takes(self, values: Values) -> bool:
        """Whether the filters match every line that such a request may cause."""
        if not _sendable(values):
            return False
        return any(
            all(takes(line) for line in self._lines(values, client) for takes in self._takes)
            for client in self._clients
        )

    def _fields(self, *, chosen: bool = True) -> list[str]:
        named = [field for tree in self._trees for leaf in _leaves(tree) for field in _fields_of(leaf)]
        fields = dict.fromkeys(SAME_AS.get(field, field) for field in named)
        return [field for field in fields if not chosen or field in DEFAULTS]

    def _proposed(self, field: str) -> Iterator[str | int]:
        yield DEFAULTS[field]
        seen = {DEFAULTS[field]}
        values = itertools.chain(self._from_filters(field, ("", "x", "/x", "0")), self._joined(field))
        for value in itertools.islice(values, _MOST_VALUES):
            if value not in seen:
                seen.add(value)
                yield value

    def _from_filters(self, field: str, fills: Sequence[str]) -> Iterator[str | int]:
        if field == "status":
            yield from STATUSES
            return
        for tree in self._trees:
            for leaf in _leaves(tree):
                if field in (SAME_AS.get(name, name) for name in _fields_of(leaf)):
                    yield from _delays(leaf) if field == "request_time" else _texts(leaf, field, fills)

    def _joined(self, field: str) -> Iterator[str]:
        """Propose texts that begin as one condition requires and end as another one does."""
        if field in MANY_VALUES:
            pieces = [str(value) for value in itertools.islice(self._from_filters(field, ("",)), _MOST_JOINED)]
            yield from (one + other for one, other in itertools.permutations(pieces, 2))

    def _variations(self, field: str, like: Values, count: int) -> Iterator[str | int]:
        if field == "status":
            yield from STATUSES
        elif field == "method":
            yield from ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
        elif field in MANY_VALUES:
            base = str(like[field])
            for number in range(1, count + 1):
                plain = {"vhost": f"test-{number}.example", "client_request_id": f"obscraft-test-{number}"}
                yield f"{base}-{number}" if base else plain.get(field, f"test-{number}")
            for number in range(1, count + 1):
                yield from self._from_filters(field, (f"x{number}", f"/x{number}"))

    def _lines(self, values: Values, client: str) -> Iterator[AccessLine]:
        """Yield lines that nginx may write: times and lengths are only known roughly."""
        delay, status = float(values["request_time"]), int(values["status"])
        moment = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        hosts = self._world.hosts or ("",)
        spans = (delay, delay + DELAY_SPREAD_S) if delay else (0.0, 0.1)
        for took, length, host in itertools.product(spans, _REQUEST_BYTES, hosts):
            yield AccessLine(
                ts=moment,
                client_addr=client,
                status=status,
                bytes=0 if values["method"] == "HEAD" or status in _OWN_BODY else BODY_BYTES,
                remote_user=str(values["remote_user"]),
                method=str(values["method"]),
                uri=str(values["uri"]),
                protocol="HTTP/1.1",
                referer=str(values["referer"]),
                user_agent=str(values["user_agent"]),
                x_forwarded_for=str(values["x_forwarded_for"]),
                vhost=str(values["vhost"]) or "192.0.2.1",
                request_id="0" * 32,
                client_request_id=str(values["client_request_id"]) or "0" * 32,
                request_length=length,
                request_time=took,
                upstream_addr=_UPSTREAM,
                upstream_status=str(status),
                upstream_response_time=f"{took:.3f}",
                upstream_connect_time="0.000",
                scheme=self._world.scheme,
                ssl_protocol="TLSv1.3" if self._world.scheme == "https" else "",
                ssl_cipher="TLS_AES_256_GCM_SHA384" if self._world.scheme == "https" else "",
                log_format="json",
                host=host,
            )


def request_of(values: Values) -> Request:
    """Return the request with these values."""
    headers = {
        "Host": values["vhost"],
        "User-Agent": values["user_agent"],
        "Referer": values["referer"],
        "X-Forwarded-For": values["x_forwarded_for"],
        "X-Request-ID": values["client_request_id"],
    }
    found = {name: str(value) for name, value in headers.items() if value}
    if values["remote_user"]:
        # nginx logs the user name of basic authentication, even if nothing requires it.
        found["Authorization"] = "Basic " + base64.b64encode(f"{values['remote_user']}:".encode()).decode()
    return Request(
        method=str(values["method"]),
        uri=str(values["uri"]),
        headers=found,
        status=int(values["status"]),
        delay_s=int(values["request_time"]),
    )


def _sendable(values: Values) -> bool:
    """Whether such a request reaches nginx, which answers it as a test, with the delay."""
    status, delay, uri = int(values["status"]), int(values["request_time"]), str(values["uri"])
    method = str(values["method"])
    texts = [str(values[name]) for name in ("user_agent", "referer", "x_forwarded_for")]
    return (
        status in STATUSES
        and 0 <= delay <= LONGEST_DELAY_S
        and not (delay and (status in _OWN_BODY or method == "HEAD"))
        and _uri(uri) is not None
        and "#" not in uri
        and _stays_inside(uri)
        and _method(method) is not None
        and method not in _NOT_ANSWERED
        and all(not text or _header(text) for text in texts)
        and (not values["vhost"] or (_host(str(values["vhost"])) is not None and ".." not in str(values["vhost"])))
        and (not values["remote_user"] or _user(str(values["remote_user"])) is not None)
        and (not values["client_request_id"] or _request_id(str(values["client_request_id"])) is not None)
    )


def _stays_inside(uri: str) -> bool:
    """Whether no part of the path leads above the root, which nginx refuses, and it has no NUL, where it would end."""
    depth = 0
    path = re.sub(r"%([0-9A-Fa-f]{2})", lambda match: chr(int(match[1], 16)), uri.partition("?")[0])
    if "\0" in path:
        return False
    for part in path.split("/"):
        depth += {"": 0, ".": 0, "..": -1}.get(part, 1)
        if depth < 0:
            return False
    return True


def _leaves(tree: Node) -> Iterator[Node]:
    match tree:
        case And(parts) | Or(parts):
            for part in parts:
                yield from _leaves(part)
        case Not(part):
            yield from _leaves(part)
        case _:
            yield tree


def _fields_of(leaf: Node) -> list[str]:
    match leaf:
        case Words():
            return [field.name for field in ACCESS.searched]
        case Exists(field) | Term(field) | Range(field) | Wildcard(field) | InNetwork(field):
            return [field]
    return []


def _texts(leaf: Node, field: str, fills: Sequence[str]) -> Iterator[str]:
    """Propose the texts or addresses in a condition, and some others."""
    match leaf:
        case Words(text):
            yield from (f"/{text}", text) if field == "uri" else (text,)
        case Term(_, value):
            yield str(value)
        case Wildcard(_, pattern):
            yield from (_filled(pattern, fill) for fill in fills)
        case Range(_, low, high):
            yield from (f"{bound}{more}" for bound in (low, high) if bound is not None for more in ("", "0"))
        case InNetwork(_, network):
            yield str(network[1] if network.num_addresses > 1 else network[0])
        case Exists():
            yield from (f"{fill}-test-test" for fill in fills)


def _filled(pattern: Pattern, fill: str) -> str:
    """Return a text that matches the pattern."""
    return "".join(
        {Mark.ANY: fill, Mark.ONE: fill[-1:] or "x"}[part] if isinstance(part, Mark) else part for part in pattern
    )


def _delays(leaf: Node) -> Iterator[int]:
    """Propose whole seconds around the numbers in a condition."""
    numbers: list[object] = []
    match leaf:
        case Term(_, value):
            numbers = [value]
        case Range(_, low, high):
            numbers = [low, high]
    for number in numbers:
        if isinstance(number, int | Decimal) and number <= LONGEST_DELAY_S:
            yield from (max(0, int(number) + step) for step in (1, 2, 0, -1, -2))
