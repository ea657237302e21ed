"""Which lines a person sees, as a part of the tree of every filter; pure.

The part is joined to what a person asks for as a tree, and never as a text: there is nothing in a filter that could end
it or turn it around.
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

#: What the roll-ups know of a line.
_COUNTED_BY = frozenset(("host",))


class UnreadableProjectError(Exception):
    """The filter of a project cannot be read any more; the message names the project."""


class NotCountedError(Exception):
    """The roll-ups do not say which requests belong to a person's projects; the message names one of them."""


class Scope(NamedTuple):
    """The lines that a person sees.

    Attributes:
        projects: whose lines, of any of them; None for every line.
    """

    projects: tuple[Project, ...] | None

    def narrowed(self, text: str, table: Table) -> Node:
        """Return the tree of a filter, for the lines of the scope alone.

        Args:
            text: of the filter; empty for all lines.
            table: of the lines.

        Raises:
            QueryError: it is no filter of this table.
            UnreadableProjectError: a project's filter cannot be read.
        """
        asked = parse(text.strip() or "*", table)
        return asked if self.projects is None else conjunction([self._bound(table), asked])

    def counted(self) -> Sql:
        """Return the condition by which the roll-ups count the scope's requests.

        Raises:
            NotCountedError: they cannot.
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
