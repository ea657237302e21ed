"""What was seen of the balancer: who answered each of many requests through the VIP, and how nginx is configured."""

from __future__ import annotations

import msgspec

from obsctl.checks.web_refusal import Refusal
from obsctl.core.report import Fault


class BackendTally(msgspec.Struct, frozen=True, kw_only=True):
    """The answers that named one back end and came from one address; those without a name have one status, too.

    Attributes:
        name: as the back end names itself, empty for an answer that names none.
        answers: below status 500.
        errors: with status 500 or above.
        p50_ms: median over those of its answers for which nginx asked nobody else before, from connecting to the last
            byte; over all of them where there is none.
        p99_ms: 99th percentile of the same.
        upstream: address and port that nginx has the answers from; empty where it does not say, or asked nobody.
        balancer: whether the fleet's nginx says in the answers that they went through it.
        statuses: how often each came.
        slower: so many of the answers that ``p50_ms`` is made of took longer than the other back ends' median.
        timed: so many answers ``p50_ms`` is made of; 0 in a snapshot of an earlier release.
        times: how many of them took up to 1, 2, 4, 8 ... ms; the last number is of those that took longer.
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
        address: with its port; as nginx has it, so perhaps a name.
        backup: it is asked only while all others are left out.
        down: it is marked so, and never asked.
    """

    address: str
    weight: int = 1
    backup: bool = False
    down: bool = False


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """An upstream block of nginx.

    Attributes:
        method: ``round_robin``, ``least_conn``, ``ip_hash``, ``hash``, ``random`` or another word that chooses one.
        zone: its workers share their counts; else each of them takes turns of its own.
    """

    name: str
    method: str = "round_robin"
    zone: bool = False
    members: tuple[Member, ...] = ()


class BalancerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What ``nginx -T`` says on one balancer.

    Attributes:
        node: inventory name.
        failure: why it could not be read; the other fields mean nothing then.
        upstream: the block that lists the fleet's back ends; None where there is no such block.
        workers: of the running nginx; 0 for not known.
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
        target: address and port that were asked.
        scheme: how: ``http`` or ``https``.
        wanted: requests that were to be sent.
        sent: requests that were sent; fewer than wanted where there was no point in going on.
        failures: requests without any answer, by reason.
        refusal: why no request was sent to what answers, of the last one that was not; None where all were sent.
        lost: the run ended early because nothing answered (any more).
        lanes: requests under way at a time.
        keepalive: each lane kept its connection.
        late: the time for the run was over.
        ended: why no more requests were sent than that, where the answer was plain before.
        marked: nginx took the requests for probes, which count nowhere; None in a snapshot of an earlier release.
        unmarked: why they were not marked.
        retried: how often nginx passed a request on because an address did not answer as it should, by that address.
        balancers: answers by the name of the balancer.
        direct: the back ends that were asked by themselves, and why they did not answer; empty for those that did.
        configs: what the balancers' nginx has on its disk.
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
