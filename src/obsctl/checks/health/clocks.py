"""Whether the clocks of the hosts and of this machine agree, as far as an answer over ssh can prove it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from obsctl.core.report import Finding, Severity

#: Differences that are reported, seconds: windows of alert rules, day partitions and certificates depend on the
#: clocks.
_WARNING_S = 2.0
#: An alert rule's window is a minute: with a greater difference, lines fall outside it.
_CRITICAL_S = 60.0
#: The name of this machine among the hosts.
HERE = "this machine"


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """One reading of a host's clock; all in seconds since the epoch.

    Attributes:
        asked: by this machine's clock, before the request was sent.
        answered: by this machine's clock, when the answer had arrived.
        shown: by the host's clock, at some moment between the two.
    """

    asked: float
    answered: float
    shown: float


class _Offset(msgspec.Struct, frozen=True):
    """By how many seconds a clock is ahead of this machine's, as lower and upper bound."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2

    def ahead_of(self, other: _Offset) -> float:
        """Return by how many seconds it is certainly ahead: negative if it is behind, 0 if neither is certain."""
        if self.low > other.high:
            return self.low - other.high
        return min(0.0, self.high - other.low)


def judge_clocks(clocks: Mapping[str, Clock]) -> Iterator[Finding]:
    """Yield the clocks that differ from the others.

    The median of all clocks, including this machine's, counts as right: if the hosts agree and this machine differs,
    this machine's clock is wrong.

    Args:
        clocks: readings by host.
    """
    offsets = {name: _Offset(clock.shown - clock.answered, clock.shown - clock.asked) for name, clock in clocks.items()}
    if not offsets:
        return
    offsets[HERE] = _Offset(0.0, 0.0)
    # Of two clocks in the middle, the one nearer to this machine's.
    ordered = sorted(offsets.values(), key=lambda offset: offset.middle)
    middles = {len(ordered) // 2, (len(ordered) - 1) // 2}
    right = min((ordered[at] for at in middles), key=lambda offset: abs(offset.middle))
    for name, offset in offsets.items():
        ahead = offset.ahead_of(right)
        if abs(ahead) >= _WARNING_S:
            others = HERE if len(offsets) == 2 else "the others"
            yield Finding(
                code="HEALTH_CLOCK_SKEW",
                severity=Severity.CRITICAL if abs(ahead) >= _CRITICAL_S else Severity.WARNING,
                object=f"clock/{name}",
                summary=f"its clock is at least {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} {others}",
                evidence={"ahead_s": round(ahead, 1)},
                hint=f"{'here' if name == HERE else f'on {name}'}: `timedatectl status`, and where chrony runs "
                "`chronyc sources`",
            )
