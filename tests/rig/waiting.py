"""Waiting for something to become true."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(what: str | Callable[[], str], probe: Callable[[], T], *, seconds: float = 60.0, every: float = 0.05) -> T:
    """Return the first truthy value of ``probe``.

    Args:
        what: what is waited for; or a function that says what is there instead.
        every: seconds between two looks.

    Raises:
        AssertionError: there is none in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            said = what if isinstance(what, str) else what()
            raise AssertionError(f"{said}: not within {seconds:g} s, last seen: {value!r}")
        time.sleep(every)
