"""Is the load really balanced? A statistical test *and* an effect size, so that neither noise nor numbers alarm.

With 600 requests a healthy random balancer is off by 15 % every hundredth time or so, and with 600,000 requests a
difference of no importance is "significant". A warning therefore needs both: p below .01 and a deviation above 15 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from obsctl.checks.balance.snapshot import BackendTally, BalancerSnapshot
from obsctl.core.report import Finding, Severity
from obsctl.fleet.model import Fleet

SIGNIFICANCE = 0.01
#: Deviation of a back end's share from the expected one, as a part of the latter.
TOLERANCE = 0.15
#: Share of failed requests from which on users notice more than a hiccup.
ERRORS_CRITICAL = 0.05
#: The two-sided 95 % quantile of the normal distribution.
_Z95 = 1.959963984540054
#: A chi-square test needs about five expected answers a back end (Cochran's rule).
_MIN_EXPECTED = 5
#: Expected answers from which on none at all is no chance: exp(-10) is one in twenty thousand.
_MIN_FOR_SILENCE = 10


class Share(NamedTuple):
    """What one back end got of all answers, and what it should have got.

    Shares and the 95 % interval (low, high) go from 0 to 1; without any answer there are none.
    """

    backend: str
    got: int
    expected_share: float
    got_share: float | None
    deviation: float | None
    low: float
    high: float


def chi_square_p(statistic: float, freedom: int) -> float:
    """Return the probability of a chi-square value at least this large with so many degrees of freedom.

    It is the regularised upper incomplete gamma function Q(freedom/2, statistic/2), which for whole and half
    numbers is a finite sum: Q(1/2, x) = erfc(sqrt x) and Q(1, x) = exp(-x) (DLMF 8.4.6, 8.4.10 with n = 0), then
    Q(a + 1, x) = Q(a, x) + x^a exp(-x) / gamma(a + 1) (DLMF 8.8.6).

    Raises:
        ValueError: the statistic is negative or there is no degree of freedom.
    """
    if statistic < 0 or freedom < 1:
        raise ValueError(f"no chi-square distribution for {statistic=}, {freedom=}")
    x = statistic / 2
    if x == 0:
        return 1.0
    a, q = (0.5, math.erfc(math.sqrt(x))) if freedom % 2 else (1.0, math.exp(-x))
    while a < freedom / 2:
        # By logarithms: x^a alone overflows for large statistics.
        q += math.exp(a * math.log(x) - x - math.lgamma(a + 1))
        a += 1
    return min(1.0, q)


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share (E. B. Wilson, JASA 22, 1927); (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    share = successes / trials
    spread = _Z95**2 / trials
    centre = (share + spread / 2) / (1 + spread)
    half = _Z95 / (1 + spread) * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    return max(0.0, centre - half), min(1.0, centre + half)


def shares(fleet: Fleet, seen: BalancerSnapshot) -> list[Share]:
    """Return the share of every configured back end (all weigh the same) and of every other that named itself.

    An answer with an error status counts: the question is whom the balancer asked, not what came of it.
    """
    counts = {tally.name: tally.answers + tally.errors for tally in seen.backends if tally.name}
    configured = [host.name for host in fleet.group("backend")]
    total = sum(counts.values())
    result = []
    for name in [*configured, *(name for name in counts if name not in configured)]:
        got = counts.get(name, 0)
        expected = 1 / len(configured) if name in configured else 0.0
        share = got / total if total else None
        deviation = share / expected - 1 if expected and share is not None else None
        result.append(Share(name, got, expected, share, deviation, *wilson(got, total)))
    return result


def evenness(counts: Sequence[int]) -> float | None:
    """Return the chi-square p-value of equal shares; ``None`` where there is too little to test."""
    total = sum(counts)
    if len(counts) < 2 or total < _MIN_EXPECTED * len(counts):
        return None
    expected = total / len(counts)
    return chi_square_p(sum((count - expected) ** 2 / expected for count in counts), len(counts) - 1)


def judge_balancer(fleet: Fleet, seen: BalancerSnapshot) -> list[Finding]:
    """Return what is wrong with the balancing."""
    if not seen.target:
        return []
    if seen.answered == 0:
        return [_unreachable(seen)]
    findings = [_unreachable(seen)] if seen.lost else []
    return [*findings, *_backends(fleet, seen), *_skew(fleet, seen), *_errors(seen)]


def _unreachable(seen: BalancerSnapshot) -> Finding:
    reasons = ", ".join(f"{reason} ({count}x)" for reason, count in seen.failures.items())
    before = f" after {seen.answered} answers" if seen.answered else ""
    return Finding(
        code="VIP_UNREACHABLE",
        severity=Severity.CRITICAL,
        object=f"vip/{seen.target}",
        summary=f"nothing answers{before}: {reasons}",
        evidence={"sent": seen.sent, "answered": seen.answered, "failures": seen.failures},
        hint="obsctl verify vip shows which node holds the address and whether its nginx runs",
    )


def _backends(fleet: Fleet, seen: BalancerSnapshot) -> Iterator[Finding]:
    configured = {host.name: host for host in fleet.group("backend")}
    everyone = shares(fleet, seen)
    named = sum(share.got for share in everyone)
    good = sum(tally.answers for tally in seen.backends)
    if good and named < _MIN_FOR_SILENCE * len(configured):
        yield Finding(
            code="LB_TOO_FEW_ANSWERS",
            severity=Severity.UNKNOWN,
            object="lb",
            summary=f"only {named} answers name a back end: too few to say which of {len(configured)} get their share",
            evidence={"answers": named, "needed": _MIN_FOR_SILENCE * len(configured)},
            hint="the other findings say why; if there is none: obsctl verify lb -n 600",
        )
    for share in everyone:
        host = configured.get(share.backend)
        if host is None:
            yield Finding(
                code="LB_UNKNOWN_BACKEND",
                severity=Severity.CRITICAL,
                object=f"backend/{share.backend}",
                summary=f"{share.got} answers came from a back end that the inventory does not know",
                evidence={"got": share.got, "share": round(share.got / named, 4)},
                hint="on the lb hosts: nginx -T | sed -n '/upstream/,/}/p' shows whether it is listed; "
                f"{fleet.playbook('nginx')} writes the list from the inventory",
            )
        elif share.got == 0 and named >= _MIN_FOR_SILENCE * len(configured):
            port = host.backend.port if host.backend else 8080
            yield Finding(
                code="LB_BACKEND_SILENT",
                severity=Severity.CRITICAL,
                object=f"backend/{share.backend}",
                summary=f"none of {named} answers came from it, {share.expected_share:.0%} should have",
                evidence={"got": 0, "of": named, "expected_share": round(share.expected_share, 4)},
                hint=f"on {host.name}: systemctl status obs-backend; curl -i http://{host.address}:{port}/healthz",
            )
    unnamed = next((tally for tally in seen.backends if not tally.name), None)
    if unnamed is not None and unnamed.answers:
        yield Finding(
            code="LB_UNKNOWN_BACKEND",
            severity=Severity.CRITICAL,
            object="backend/(unnamed)",
            summary=f"{unnamed.answers} good answers carry no X-Backend-Server header: they come from "
            "no back end of the fleet",
            evidence={"got": unnamed.answers},
            hint=f"curl -si http://{seen.target}/ | head shows who answers; on the lb hosts: nginx -T | sed -n "
            "'/upstream/,/}/p' lists the members of the upstream block, which must all be back ends of the fleet",
        )


def _skew(fleet: Fleet, seen: BalancerSnapshot) -> Iterator[Finding]:
    # A silent back end is a finding of its own; the others are compared among themselves.
    live = [share for share in shares(fleet, seen) if share.expected_share and share.got]
    p = evenness([share.got for share in live])
    if p is None or p >= SIGNIFICANCE:
        return
    mean = sum(share.got for share in live) / len(live)
    worst = max(live, key=lambda share: abs(share.got - mean))
    deviation = worst.got / mean - 1
    if abs(deviation) <= TOLERANCE:
        return
    yield Finding(
        code="LB_SKEW",
        severity=Severity.WARNING,
        object=f"backend/{worst.backend}",
        summary=f"got {worst.got} answers, {abs(deviation):.0%} {'more' if deviation > 0 else 'less'} than its share "
        f"of {mean:.0f} (p = {p:.2g})",
        evidence={
            "p": p,
            "deviation": round(deviation, 4),
            "tolerance": TOLERANCE,
            "got": {share.backend: share.got for share in live},
        },
        hint="compare the upstream block of the lb hosts (weights, zone, max_fails) and the back ends' response times",
    )


def _errors(seen: BalancerSnapshot) -> Iterator[Finding]:
    server = sum(tally.errors for tally in seen.backends)
    silent = seen.sent - seen.answered
    if not server + silent:
        return
    share = (server + silent) / seen.sent
    yield Finding(
        code="LB_ERRORS",
        severity=Severity.CRITICAL if share >= ERRORS_CRITICAL else Severity.WARNING,
        object="lb",
        summary=f"{server + silent} of {seen.sent} requests failed ({share:.1%}): {server} with status 5xx, "
        f"{silent} without an answer"
        + ("" if any(tally.answers for tally in seen.backends) else "; no back end is alive"),
        evidence={
            "sent": seen.sent,
            "status_5xx": server,
            "unanswered": silent,
            "by_backend": {tally.name or "nginx itself": tally.errors for tally in seen.backends if tally.errors},
            "reasons": seen.failures,
        },
        hint="obsctl verify vip names the VIP's holder; there: tail /var/log/nginx/error.log",
    )


def describe_balancer(fleet: Fleet, seen: BalancerSnapshot) -> dict[str, Any]:
    """Return the report's data: a row a back end, the test's figures and the numbers for monitoring."""
    tallies = {tally.name: tally for tally in seen.backends}
    rows = [_row(share, tallies.get(share.backend)) for share in shares(fleet, seen)]
    p = evenness([row["got"] for row in rows if row["expected_share"]])
    good = sum(tally.answers for tally in seen.backends)
    return {
        "metrics": {
            "requests": seen.sent,
            "failed": seen.sent - good,
            "chi_square_p": None if p is None else round(p, 6),
            **{f"got_{row['backend']}": row["got"] for row in rows},
        },
        "target": seen.target,
        "requests": seen.sent,
        "requests_wanted": seen.wanted,
        "chi_square_p": p,
        "backends": rows,
    }


def _row(share: Share, tally: BackendTally | None) -> dict[str, Any]:
    return {
        "backend": share.backend,
        "got": share.got,
        "expected_share": round(share.expected_share, 4),
        "got_share": None if share.got_share is None else round(share.got_share, 4),
        "deviation": None if share.deviation is None else round(share.deviation, 4),
        "ci95": None if share.got_share is None else [round(share.low, 4), round(share.high, 4)],
        "errors": tally.errors if tally else 0,
        "p50_ms": tally.p50_ms if tally else None,
        "p99_ms": tally.p99_ms if tally else None,
    }
