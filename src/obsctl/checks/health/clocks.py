"""Whether the clocks of the hosts and of this machine agree, as far as an answer over ssh can prove it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from obsctl.core.report import Finding, Severity

#: Seconds. Windows of alert rules, days of partitions and expiring certificates all go by these clocks.
_WARNING_S = 2.0
#: An alert rule's window is a minute: beyond that, lines fall out of it.
_CRITICAL_S = 60.0
#: This machine, among the names of the hosts.
HERE = "this machine"


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a host's clock: all in seconds since the epoch.

    Attributes:
        asked: by this machine's clock, before the question was sent.
        answered: by this machine's clock, when the answer was there.
        shown: by the host's clock, at some moment between the two.
    """

    asked: float
    answered: float
    shown: float


class _Offset(msgspec.Struct, frozen=True):
    """How far a clock is ahead of this machine's: somewhere between two numbers of seconds."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2

    def ahead_of(self, other: _Offset) -> float:
        """Return the seconds by which it is ahead for certain: negative where it is behind, 0 where neither is sure."""
        if self.low > other.high:
            return self.low - other.high
        return min(0.0, self.high - other.low)


def judge_clocks(clocks: Mapping[str, Clock]) -> Iterator[Finding]:
    """Yield the clocks that differ from those of the others.

    The middle one of all clocks counts as right, this machine's among them: where the hosts agree and this machine does
    not, it is this machine's that is wrong.

    Args:
        clocks: host to what was seen of its clock.
    """
    offsets = {name: _Offset(clock.shown - clock.answered, clock.shown - clock.asked) for name, clock in clocks.items()}
    if not offsets:
        return
    offsets[HERE] = _Offset(0.0, 0.0)
    # Of two in the middle the one nearer to this machine's.
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
