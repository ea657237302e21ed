"""What a check command is made of. Each check is a folder: what was seen, how it is asked, judged and shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from obsctl.core.layout import Layout
from obsctl.core.report import Fault, Finding
from obsctl.fleet.model import Fleet


class Snapshot(Protocol):
    """What a collector returns: frozen data and what could not be found out."""

    @property
    def errors(self) -> tuple[Fault, ...]:
        """What could not be found out."""


S = TypeVar("S", bound=Snapshot)


@dataclass(frozen=True)
class Check(Generic[S]):
    """One check command, as the three functions that data flows through and the tables that people see.

    Attributes:
        command: the command's name in reports, such as ``verify lb``.
        snapshot_type: the msgspec Struct that ``collect`` returns.
        collect: all the I/O; never raises for a sick fleet, but puts what it met into ``errors``.
        judge: pure; fleet and snapshot to findings.
        describe: pure; fleet and snapshot to the report's ``data``.
        layouts: which lists of ``data`` are tables for people, in this order.
    """

    command: str
    snapshot_type: type[S]
    collect: Callable[[Fleet], S]
    judge: Callable[[Fleet, S], Sequence[Finding]]
    describe: Callable[[Fleet, S], dict[str, Any]]
    layouts: tuple[Layout, ...] = ()
