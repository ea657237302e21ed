"""The parts of a check command. Each check is a folder that says what is collected, judged and shown."""

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
        collect: does all I/O; never raises an error because of an unhealthy fleet, but puts it into ``errors``.
        judge: pure; fleet and snapshot to findings.
        describe: pure; fleet and snapshot to the report's ``data``.
        layouts: the tables for people, made of lists in ``data``, in this order.
        meaning: pure; what the snapshot's faults mean for the fleet, for the headline; may return an empty text.
        one_screen: whether the output for people is limited to one screen, the worst first.
        arguments: required arguments after the command's name; empty for none.
        fleet: what is checked, if that is not the inventory's fleet.
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
        """The check's command as a person types it."""
        return f"obsctl {self.command} {self.arguments}".rstrip()

    def findings(self, fleet: Fleet, snapshot: S) -> list[Finding]:
        """Return the findings, each with its causes."""
        return with_causes(fleet, self.judge(fleet, snapshot))

    def headline(self, fleet: Fleet, snapshot: S, findings: Sequence[Finding], now: datetime) -> str:
        """Return the worst of the findings in one line.

        Args:
            findings: with their causes.
            now: when the snapshot was taken.
        """
        meaning = self.meaning(fleet, snapshot)
        return headline(fleet, findings, meaning, now, snapshot.errors, command=self.typed)
