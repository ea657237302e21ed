"""Limits the time of reading statements, on MySQL and on MariaDB."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: The servers' errors for a statement that exceeded its time limit: MySQL and MariaDB.
TOO_LONG = frozenset((3024, 1969))


def bound_of(cursor: Any) -> Callable[[float], str]:
    """Return the function that makes the statement which sets the time limit of the following ones, in seconds."""
    cursor.execute("SELECT VERSION()")
    if "MariaDB" in str(cursor.fetchone()[0]):
        return lambda seconds: f"SET SESSION max_statement_time = {max(seconds, 0.001):.3f}"
    return lambda seconds: f"SET SESSION max_execution_time = {max(1, round(seconds * 1000)):d}"
