"""What a check command is made of. Each check is a folder: what was seen, how it is asked, judged and shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from obsctl.checks.causes import with_causes
from obsctl.checks.headline import headline
from obsctl.core.layout import Layout
from obsctl.core.report import Fault, Finding
from obsctl.fleet.model import Fleet


class Snapshot(Protocol):
    """What a collector returns: frozen data and what could not be found out."""

    @property
    def errors(self) -> tuple[Fault, ...]:
        """What could not be found out."""


S = TypeVar("S", bound=Snapshot)


def _no_meaning(_fleet: Fleet, _snapshot: Any) -> str:
    return ""


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
        meaning: pure; what the snapshot's faults mean for the fleet, for the headline; empty for nothing to say.
        one_screen: people get as much of it as fits on one screen, the worst first.
        arguments: what has to be typed behind the command's name; empty for nothing.
        fleet: what is checked, where that is not the inventory's fleet.
    """

    command: str
    snapshot_type: type[S]
    collect: Callable[[Fleet], S]
    judge: Callable[[Fleet, S], Sequence[Finding]]
    describe: Callable[[Fleet, S], dict[str, Any]]
    layouts: tuple[Layout, ...] = ()
    meaning: Callable[[Fleet, S], str] = _no_meaning
    one_screen: bool = False
    arguments: str = ""
    fleet: Fleet | None = None

    @property
    def typed(self) -> str:
        """The check as a person types it."""
        return f"obsctl {self.command} {self.arguments}".rstrip()

    def findings(self, fleet: Fleet, snapshot: S) -> list[Finding]:
        """Return what is wrong, each finding with what it follows from."""
        return with_causes(fleet, self.judge(fleet, snapshot))

    def headline(self, fleet: Fleet, snapshot: S, findings: Sequence[Finding], now: datetime) -> str:
        """Return the worst of the findings in one line.

        Args:
            findings: with their causes.
            now: when the snapshot was taken.
        """
        meaning = self.meaning(fleet, snapshot)
        return headline(fleet, findings, meaning, now, snapshot.errors, command=self.typed)
