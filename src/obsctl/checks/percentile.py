"""The percentile that all checks show. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the nearest-rank percentile of values in any order (``share``: 0 to 1); None for no values."""
    if not values:
        return None
    return sorted(values)[max(1, math.ceil(share * len(values))) - 1]
