"""The statistical model of a healthy balancer: each back end's expected share, and how far chance may deviate from it.

Round robin and ``least_conn`` spread requests that come one at a time in turn, in proportion to the weights; other
traffic between them makes the order random. The test always assumes a random order, which is more tolerant. Without
``zone`` each worker takes turns of its own, and begins with the first member: so as many answers as there are workers
may deviate. ``ip_hash`` and ``hash`` send a client always to the same back end: shares then mean nothing.

A run is evaluated at several checkpoints and ends as soon as the result is clear. The error probability is divided
over the checkpoints: a healthy balancer is found uneven with a probability of at most :data:`SIGNIFICANCE` times
:data:`LOOKS`, 1 %.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from obsctl.checks.balance.snapshot import BackendTally, BalancerConfig, BalancerSnapshot, Upstream
from obsctl.checks.balance.upstream import OF_ONE_CLIENT, addresses, in_charge, primaries
from obsctl.fleet.model import Fleet

#: The checkpoints: numbers of answers after which a run is evaluated, besides its end.
LOOK_AFTER = (60, 120, 240, 480)
LOOKS = len(LOOK_AFTER) + 1
#: Significance level of each checkpoint.
SIGNIFICANCE = 0.002
#: Tolerated deviation of a back end's share from the expected one, relative to the latter.
TOLERANCE = 0.15
#: A back end without an answer counts as silent if chance explains that with at most this probability (all back ends
#: together).
SILENCE = 0.001
#: The share of failed requests that users notice.
ERRORS_CRITICAL = 0.05
#: The share is proved if the failures come from a lower one with at most this probability.
_PLAIN = 0.01
#: A back end is slow if its median is this many times the others', and this many milliseconds longer.
SLOW_TIMES = 3
SLOW_MS = 50
#: A back end counts as slower if chance explains that with at most this probability (all back ends together).
_SLOW_CHANCE = 0.001
#: Upper bounds of the histogram of times, milliseconds; the last one is about 2 s, the time limit of a request.
TIMES_MS = tuple(2**power for power in range(12))
#: The two-sided 95 % quantile of the normal distribution.
_Z95 = 1.959963984540054
#: The sum of the quantiles of SIGNIFICANCE (two-sided) and of 90 % power.
_Z_DETECT = 3.0902323 + 1.2815516
#: A chi-square test needs about five expected answers per back end (Cochran's rule).
_MIN_EXPECTED = 5


class Share(NamedTuple):
    """A back end's share of all answers, and its expected share.

    Shares and the 95 % interval (low, high) go from 0 to 1; without any answer there are none.
    """

    backend: str
    got: int
    expected_share: float
    got_share: float | None
    deviation: float | None
    low: float
    high: float


class Expectation(NamedTuple):
    """The shares to expect from the configuration of the balancer that answers.

    Attributes:
        config: None if it could not be read: then all back ends are assumed to have the same weight.
        weights: of the inventory's back ends; 0 for one that gets no requests.
        slack: by how many answers a back end may deviate without a fault, see the module.
        of_one_client: whether all requests of a client go to the same back end.
    """

    config: BalancerConfig | None
    weights: Mapping[str, int]
    slack: int
    of_one_client: bool

    @property
    def upstream(self) -> Upstream | None:
        """The upstream block of that balancer."""
        return self.config.upstream if self.config is not None else None

    def share(self, name: str) -> float:
        """Return a back end's expected share, from 0 to 1."""
        total = sum(self.weights.values())
        return self.weights.get(name, 0) / total if total else 0.0


def expectation(fleet: Fleet, configs: Sequence[BalancerConfig], balancers: dict[str, int]) -> Expectation:
    """Return what to expect of the balancer that answered.

    Args:
        configs: of the balancers, as far as they are known.
        balancers: answers by the balancer's name.
    """
    names = [host.name for host in fleet.group("backend")]
    config = in_charge(configs, balancers)
    if config is None or config.upstream is None:
        return Expectation(None, dict.fromkeys(names, 1), 0, of_one_client=False)
    upstream, of_host = config.upstream, addresses(fleet)
    weights = dict.fromkeys(names, 0)
    for address, member in primaries(upstream).items():
        if address in of_host and not member.down:
            weights[of_host[address]] = member.weight
    alone = upstream.method in OF_ONE_CLIENT
    return Expectation(config, weights, 0 if upstream.zone else config.workers, of_one_client=alone)


def shares(fleet: Fleet, seen: BalancerSnapshot) -> list[Share]:
    """Return the share of every configured back end and of every other that named itself.

    An answer with an error status counts: what matters is which back end the balancer chose.
    """
    counts = named(seen.backends)
    expected = expectation(fleet, seen.configs, seen.balancers)
    configured = list(expected.weights)
    total = sum(counts.values())
    result = []
    for name in [*configured, *(name for name in counts if name not in configured)]:
        got = counts.get(name, 0)
        wanted = expected.share(name)
        share = got / total if total else None
        deviation = share / wanted - 1 if wanted and share is not None else None
        result.append(Share(name, got, wanted, share, deviation, *wilson(got, total)))
    return result


def named(tallies: Sequence[BackendTally]) -> dict[str, int]:
    """Return the number of answers by the back end that they name."""
    counts: dict[str, int] = {}
    for tally in tallies:
        if tally.name:
            counts[tally.name] = counts.get(tally.name, 0) + tally.answers + tally.errors
    return counts


def evenness(counts: Sequence[int], weights: Sequence[float] | None = None, slack: int = 0) -> float | None:
    """Return the chi-square p-value of shares by weight; ``None`` if there is not enough to test.

    Args:
        counts: answers of each back end.
        weights: of each; none for equal ones.
        slack: by how many answers each may deviate without a fault.
    """
    total = sum(counts)
    weights = weights or [1.0] * len(counts)
    expected = [total * weight / sum(weights) for weight in weights]
    if len(counts) < 2 or min(expected) < _MIN_EXPECTED:
        return None
    off = (max(0.0, abs(count - wanted) - slack) ** 2 / wanted for count, wanted in zip(counts, expected, strict=True))
    return chi_square_p(sum(off), len(counts) - 1)


class Skew(NamedTuple):
    """The back end that deviates most: its share, its expected share, and the p-value."""

    backend: str
    got: int
    expected: float
    deviation: float
    p: float


def skew(counts: Mapping[str, int], expected: Expectation) -> Skew | None:
    """Return the uneven share, or None; it must have a small p-value *and* a deviation that matters.

    Back ends without an answer have their own findings; the others are compared with each other.
    """
    if expected.of_one_client:
        return None
    live = [name for name, weight in expected.weights.items() if weight and counts.get(name)]
    total, weight = sum(counts[name] for name in live), sum(expected.weights[name] for name in live)
    p = evenness([counts[name] for name in live], [expected.weights[name] for name in live], expected.slack)
    if p is None or p >= SIGNIFICANCE:
        return None
    worst: Skew | None = None
    for name in live:
        wanted = total * expected.weights[name] / weight
        off = counts[name] - wanted
        if abs(off) <= TOLERANCE * wanted + expected.slack:
            continue
        found = Skew(name, counts[name], wanted, off / wanted, p)
        if worst is None or abs(off) / math.sqrt(wanted) > abs(worst.got - worst.expected) / math.sqrt(worst.expected):
            worst = found
    return worst


def silent(counts: Mapping[str, int], expected: Expectation) -> list[str]:
    """Return the back ends without an answer for which chance is no likely explanation any more."""
    if expected.of_one_client:
        return []
    total = sum(counts.values())
    # Each worker may have begun with the other back ends.
    sure = total - expected.slack * len(expected.weights)
    bound = SILENCE / max(1, len(expected.weights))
    return [
        name
        for name, weight in expected.weights.items()
        if weight and not counts.get(name) and sure > 0 and (1 - expected.share(name)) ** sure <= bound
    ]


def dead(counts: Mapping[str, int], direct: Mapping[str, str]) -> dict[str, str]:
    """Return the back ends without an answer that do not answer direct requests, either, and why.

    This proves something only if another one does answer: this machine may not be allowed to reach any of them.
    """
    if "" not in direct.values():
        return {}
    return {name: why for name, why in direct.items() if why and not counts.get(name)}


def plainly_failing(failed: int, sent: int) -> bool:
    """Return whether it is proved that more requests fail than users tolerate."""
    return failed > 0 and binomial_tail(failed, sent, ERRORS_CRITICAL) < _PLAIN


class Slow(NamedTuple):
    """A back end whose answers take much longer than the others', in milliseconds."""

    backend: str
    p50_ms: float
    others_ms: float


def slow(tallies: Sequence[BackendTally]) -> list[Slow]:
    """Return the slow back ends: those with a significant number of slower answers *and* a difference that matters.

    Half of the answers of a back end like the others are slower than the others' median (sign test).
    """
    timed = [tally for tally in tallies if tally.name and tally.timed]
    found = []
    for tally in timed:
        others = reference_ms([other.p50_ms for other in timed if other is not tally])
        if others is None or tally.p50_ms < max(SLOW_TIMES * others, others + SLOW_MS):
            continue
        if binomial_tail(tally.slower, tally.timed, 0.5) <= _SLOW_CHANCE / len(timed):
            found.append(Slow(tally.name, tally.p50_ms, others))
    return found


def reference_ms(medians: Sequence[float]) -> float | None:
    """Return the median of the other back ends' medians, the lower one of two; None without any."""
    return sorted(medians)[(len(medians) - 1) // 2] if medians else None


def detectable(answers: int, share: float) -> float | None:
    """Return the smallest relative deviation of a share that this many answers detect in nine of ten runs.

    By the normal approximation; never below :data:`TOLERANCE`. None if there is nothing to compare.
    """
    if not answers or not 0 < share < 1:
        return None
    return max(TOLERANCE, _Z_DETECT * math.sqrt((1 - share) / (share * answers)))


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
        # With logarithms, because x^a alone overflows for large statistics.
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


def binomial_tail(least: int, trials: int, chance: float) -> float:
    """Return the probability of at least this many successes in independent trials."""
    if least <= 0:
        return 1.0
    log_yes, log_no = math.log(chance), math.log1p(-chance)
    whole = math.lgamma(trials + 1)
    return min(
        1.0,
        sum(
            math.exp(whole - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * log_yes + (trials - k) * log_no)
            for k in range(least, trials + 1)
        ),
    )
