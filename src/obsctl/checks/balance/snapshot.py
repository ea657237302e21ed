"""What was seen of the balancer: who answered each of many requests through the VIP, and how nginx is configured."""

from __future__ import annotations

import msgspec

from obsctl.checks.web_refusal import Refusal
from obsctl.core.report import Fault


class BackendTally(msgspec.Struct, frozen=True, kw_only=True):
    """The answers with the same back end's name and address; for answers without a name, also with the same status.

    Attributes:
        name: as the back end names itself, empty for an answer that names none.
        answers: below status 500.
        errors: with status 500 or above.
        p50_ms: median time from connecting to the last byte, over the answers for which nginx tried no other address
            before; over all answers if there is none.
        p99_ms: 99th percentile of the same times.
        upstream: address and port from which nginx got the answers; empty if it does not say, or tried no server.
        balancer: whether the answers have the name of one of the fleet's balancers.
        statuses: number of answers by status.
        slower: how many of the answers behind ``p50_ms`` took longer than the other back ends' median.
        timed: how many answers ``p50_ms`` is computed from; 0 in a snapshot of an earlier release.
        times: how many of these took up to 1, 2, 4, 8 ... ms; the last number counts those that took longer.
    """

    name: str
    answers: int
    errors: int
    p50_ms: float
    p99_ms: float
    upstream: str = ""
    balancer: bool = False
    statuses: dict[str, int] = {}
    slower: int = 0
    timed: int = 0
    times: tuple[int, ...] = ()


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One server of an upstream block.

    Attributes:
        address: with its port, as nginx's configuration has it, so it may be a name.
        backup: whether it is used only while all others are unavailable.
        down: whether it is marked as down, and so never used.
    """

    address: str
    weight: int = 1
    backup: bool = False
    down: bool = False


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """An upstream block of nginx.

    Attributes:
        method: ``round_robin``, ``least_conn``, ``ip_hash``, ``hash``, ``random`` or another word that chooses one.
        zone: whether its workers share their counts; otherwise each of them takes turns of its own.
    """

    name: str
    method: str = "round_robin"
    zone: bool = False
    members: tuple[Member, ...] = ()


class BalancerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration that ``nginx -T`` prints on a balancer.

    Attributes:
        node: inventory name.
        failure: why it could not be read; then the other fields are meaningless.
        upstream: the block that lists the fleet's back ends; None if there is no such block.
        workers: number of workers of the running nginx; 0 if unknown.
        limits: the directives that refuse requests, such as ``limit_req zone=web burst=5``.
    """

    node: str
    failure: str = ""
    upstream: Upstream | None = None
    workers: int = 0
    limits: tuple[str, ...] = ()


class BalancerSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One run of requests through the VIP.

    Attributes:
        target: address and port of the requests.
        scheme: ``http`` or ``https``.
        wanted: how many requests were to be sent.
        sent: how many requests were sent; fewer than wanted if the result was clear before.
        failures: requests without any answer, by reason.
        refusal: why the last request that could not be sent was not; None if all were sent.
        lost: whether the run ended early because nothing answered (any more).
        lanes: how many requests were open at the same time.
        keepalive: whether each lane kept its connection.
        late: whether the run reached its time limit.
        ended: why the run ended early with a clear result; empty if it did not.
        marked: whether nginx treated the requests as probes, which are not counted anywhere; None in a snapshot of an
            earlier release.
        unmarked: why they were not marked.
        retried: how often nginx passed a request on because an address did not answer properly, by that address.
        balancers: answers by the name of the balancer.
        direct: why back ends that were asked directly did not answer; empty for those that did.
        configs: the balancers' nginx configurations as on disk.
    """

    target: str
    scheme: str = "http"
    wanted: int
    sent: int
    failures: dict[str, int] = {}
    refusal: Refusal | None = None
    lost: bool = False
    backends: tuple[BackendTally, ...] = ()
    lanes: int = 1
    keepalive: bool = False
    late: bool = False
    ended: str = ""
    marked: bool | None = None
    unmarked: str = ""
    retried: dict[str, int] = {}
    balancers: dict[str, int] = {}
    direct: dict[str, str] = {}
    configs: tuple[BalancerConfig, ...] = ()
    errors: tuple[Fault, ...] = ()

    @property
    def answered(self) -> int:
        """How many requests got any answer."""
        return sum(tally.answers + tally.errors for tally in self.backends)
