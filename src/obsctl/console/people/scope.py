"""Which lines a person may see, as a part of every filter's tree; pure.

This part is combined with the person's filter as trees, never as texts: so nothing in a filter can end it or negate
it.
"""

from __future__ import annotations

from typing import NamedTuple

from obsctl.console.people.projects import Project
from obsctl.query.errors import QueryError
from obsctl.query.fields import ACCESS, Table
from obsctl.query.named import fields_of
from obsctl.query.parse import parse
from obsctl.query.sql import Sql, to_sql
from obsctl.query.tree import All, Node, Not, conjunction, disjunction

#: The fields of a line that the roll-ups have.
_COUNTED_BY = frozenset(("host",))


class UnreadableProjectError(Exception):
    """The filter of a project has become invalid; the message names the project."""


class NotCountedError(Exception):
    """The roll-ups do not show which requests belong to a person's projects; the message names one of these."""


class Scope(NamedTuple):
    """The lines that a person sees.

    Attributes:
        projects: the person may see lines of any of these; None for every line.
    """

    projects: tuple[Project, ...] | None

    def narrowed(self, text: str, table: Table) -> Node:
        """Return the tree of a filter, restricted to the lines of the scope.

        Args:
            text: of the filter; empty for all lines.
            table: of the lines.

        Raises:
            QueryError: the filter is invalid for this table.
            UnreadableProjectError: a project's filter cannot be read.
        """
        asked = parse(text.strip() or "*", table)
        return asked if self.projects is None else conjunction([self._bound(table), asked])

    def counted(self) -> Sql:
        """Return the condition by which the roll-ups count the scope's requests.

        Raises:
            NotCountedError: the roll-ups do not distinguish these requests.
            UnreadableProjectError: a project's filter cannot be read.
        """
        if self.projects is None:
            return Sql("TRUE", ())
        for project in self.projects:
            if not fields_of(_filter(project, ACCESS), ACCESS) <= _COUNTED_BY:
                raise NotCountedError(
                    "traffic is counted by balancer, and not by what the filter of your project"
                    f" {project.name} asks for: use the search"
                )
        return to_sql(self._bound(ACCESS), ACCESS)

    def _bound(self, table: Table) -> Node:
        return disjunction([_filter(project, table) for project in self.projects or ()] or [Not(All())])


def _filter(project: Project, table: Table) -> Node:
    text = project.filters[table.name]
    try:
        return parse(text, table) if text else Not(All())
    except QueryError:
        raise UnreadableProjectError(
            f"the filter of the project {project.name} for the {table.title} cannot be read: an admin has to correct it"
        ) from None
