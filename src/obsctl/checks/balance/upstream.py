"""Parses from ``nginx -T`` the upstream block that lists the fleet's back ends.

Nginx's grammar: a directive is words up to a semicolon, or up to the braces of its block; words may be in quotes, and
``#`` begins a comment.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from obsctl.checks.balance.snapshot import BalancerConfig, Member, Upstream
from obsctl.fleet.model import Fleet

#: Directives of an upstream block that choose the member for a request; none of them is round robin.
_METHODS = frozenset(("least_conn", "ip_hash", "hash", "random", "least_time", "sticky", "fair"))
#: Methods that send all requests of one client to the same member.
OF_ONE_CLIENT = frozenset(("ip_hash", "hash", "sticky"))
#: Directives that make nginx itself refuse requests.
_LIMITS = frozenset(("limit_req", "limit_conn"))
_DEFAULT_PORT = 80
#: Default port of a back end.
BACKEND_PORT = 8080
#: A program that prints only the upstream blocks and the limits of ``nginx -T``, because the full output has secrets.
FILTER = (
    r"""awk '{sub(/#.*/, "")} /^[ \t]*limit_(req|conn)[ \t]/ {print} """
    r"""/^[ \t]*upstream[ \t]/ {inside = 1; depth = 0} """
    r"""inside {print; opened = gsub(/[{]/, "{"); closed = gsub(/[}]/, "}"); depth += opened - closed; """
    r"""if (opened + closed && depth <= 0) inside = 0}'"""
)
_token = re.compile(r"""\s*(?:\#[^\n]*|([;{}])|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s;{}"']+))""").match


class _Directive(NamedTuple):
    """The words of a directive, and the directives of its block; None without a block."""

    words: tuple[str, ...]
    block: tuple[_Directive, ...] | None


def read_config(node: str, text: str, backends: Collection[str], workers: int = 0) -> BalancerConfig:
    """Return a balancer's configuration.

    Args:
        node: inventory name of the balancer.
        text: the output of ``nginx -T``, or the part that :data:`FILTER` prints.
        backends: address and port of the fleet's back ends.
        workers: of the running nginx.
    """
    directives = list(_all(_directives(iter(_tokens(text)))))
    upstreams = [_upstream(one) for one in directives if one.words[:1] == ("upstream",) and one.block is not None]
    listing = [(len({member.address for member in one.members} & set(backends)), one) for one in upstreams]
    most = max((number for number, _ in listing), default=0)
    chosen = next((one for number, one in listing if number == most), None)
    if chosen is not None and not most and len(upstreams) > 1:
        chosen = None
    limits = tuple(dict.fromkeys(" ".join(one.words) for one in directives if one.words and one.words[0] in _LIMITS))
    return BalancerConfig(node=node, upstream=chosen, workers=workers, limits=limits)


def addresses(fleet: Fleet) -> dict[str, str]:
    """Return the back ends' inventory names, by their addresses with ports."""
    return {
        f"{host.address}:{host.backend.port if host.backend else BACKEND_PORT}": host.name
        for host in fleet.group("backend")
    }


def primaries(upstream: Upstream) -> dict[str, Member]:
    """Return the members that get requests while all is well, by address."""
    return {member.address: member for member in upstream.members if not member.backup}


def in_charge(configs: Sequence[BalancerConfig], balancers: dict[str, int]) -> BalancerConfig | None:
    """Return the configuration of the balancer that answered most, or of the first one if the answers name none."""
    readable = [config for config in configs if not config.failure and config.upstream is not None]
    named = [config for config in readable if config.node in balancers]
    if named:
        return max(named, key=lambda config: balancers[config.node])
    return readable[0] if readable and not balancers else None


def _upstream(directive: _Directive) -> Upstream:
    members = []
    method, zone = "round_robin", False
    for inner in directive.block or ():
        name, *rest = inner.words or ("",)
        if name == "server" and rest:
            members.append(_member(rest))
        elif name in _METHODS:
            method = name
        elif name == "zone":
            zone = True
    return Upstream(name=(*directive.words, "", "")[1], method=method, zone=zone, members=tuple(members))


def _member(words: Sequence[str]) -> Member:
    address, *options = words
    weight = next((option[7:] for option in options if option.startswith("weight=")), "1")
    if not address.startswith("unix:") and not re.search(r":\d+$", address):
        address = f"{address}:{_DEFAULT_PORT}"
    return Member(
        address=address,
        weight=int(weight) if weight.isascii() and weight.isdigit() else 1,
        backup="backup" in options,
        down="down" in options,
    )


def _tokens(text: str) -> Iterator[str | None]:
    """Return the tokens: words, ``;``, ``{``, ``}``, and ``None`` at the end of the text."""
    at = 0
    while found := _token(text, at):
        at = found.end()
        sign, double, single, word = found.groups()
        value = next((part for part in (sign, double, single, word) if part is not None), None)
        if value is not None:
            # A quoted special character is a word.
            yield value if sign or value not in (";", "{", "}") else f" {value}"
    yield None


def _directives(tokens: Iterator[str | None]) -> tuple[_Directive, ...]:
    """Return the directives up to the end of the block, or of a truncated text."""
    found: list[_Directive] = []
    words: list[str] = []
    for part in tokens:
        if part is None or part == "}":
            break
        if part == ";":
            found.append(_Directive(tuple(words), None))
            words = []
        elif part == "{":
            found.append(_Directive(tuple(words), _directives(tokens)))
            words = []
        else:
            words.append(part)
    return tuple(found)


def _all(directives: Sequence[_Directive]) -> Iterator[_Directive]:
    for directive in directives:
        yield directive
        yield from _all(directive.block or ())
