"""What all tests of the alerter share."""

from __future__ import annotations

import pytest

from obsctl.alerter.evaluation import deduplication


@pytest.fixture(autouse=True)
def _a_small_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines are made and restored by the thousand here; eight megabytes each would take most of the time."""
    monkeypatch.setattr(deduplication, "PLACES", 2**14)
