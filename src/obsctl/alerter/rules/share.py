"""Shared by the kinds of rules that compare a share of the lines with all of them."""

from __future__ import annotations

from obsctl.alerter.alerts import Measure
from obsctl.alerter.windows.window import hits, total


def share_of(count: int) -> Measure:
    """Return the share of hits among the lines of a count."""
    of = total(count)
    return Measure(hits(count) / of if of else 0.0, hits(count), of)


def reaches(measure: Measure, share: float) -> bool:
    """Whether hits are at least that share of the lines, and there are any."""
    # 0.05 * 100 is a little above 5 in binary.
    return measure.hits > 0 and measure.hits >= share * measure.total - 1e-9
