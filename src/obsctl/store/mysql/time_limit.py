"""How a statement that reads is kept from taking longer than it may, on MySQL and on MariaDB."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: What a server says of a statement that took longer than it may: MySQL and MariaDB.
TOO_LONG = frozenset((3024, 1969))


def bound_of(cursor: Any) -> Callable[[float], str]:
    """Return what makes the statement by which the server ends the next ones after some seconds."""
    cursor.execute("SELECT VERSION()")
    if "MariaDB" in str(cursor.fetchone()[0]):
        return lambda seconds: f"SET SESSION max_statement_time = {max(seconds, 0.001):.3f}"
    return lambda seconds: f"SET SESSION max_execution_time = {max(1, round(seconds * 1000)):d}"
