"""Whose lines a call of the API may answer with.

A call that answers with lines, or with what is counted of them, takes :data:`Scoped`, and makes its filter by
:func:`filter_for` alone; one whose answer cannot be narrowed takes :data:`Unbounded`. tests/unit/console/test_routes.py
refuses a call that takes neither and is not known to hold no lines.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from obsctl.console.database import Pool
from obsctl.console.people import projects
from obsctl.console.people.roles import Role
from obsctl.console.people.scope import NotCountedError, Scope, UnreadableProjectError
from obsctl.console.people.sessions import Person
from obsctl.console.web.guard import LoggedIn
from obsctl.console.web.problems import ProblemError
from obsctl.query.errors import QueryError
from obsctl.query.fields import Table
from obsctl.query.sql import Sql
from obsctl.query.tree import Node

#: What an admin and who belongs to no project sees.
EVERYTHING = Scope(None)


async def scope_of(request: Request, person: LoggedIn) -> Scope:
    """Return which lines the person who asks sees."""
    if person.role is Role.ADMIN:
        return EVERYTHING
    pool: Pool = request.app.state.pool
    found = await run_in_threadpool(pool.run, lambda cursor: projects.of_user(cursor, person.user_id))
    return Scope(tuple(found)) if found else EVERYTHING


#: Of a call of the API that answers with lines; it takes a login as well.
Scoped = Annotated[Scope, Depends(scope_of)]


async def unbounded(scope: Scoped, person: LoggedIn) -> Person:
    """Return who asks, for a call of the API whose answer cannot be narrowed to projects.

    Raises:
        ProblemError: the person sees the lines of projects alone.
    """
    if scope.projects is not None:
        raise ProblemError(403, "forbidden", "this shows lines of all projects, and you see those of yours alone")
    return person


#: Of such a call; it takes a login as well.
Unbounded = Annotated[Person, Depends(unbounded)]


def filter_for(scope: Scope, text: str, table: Table) -> Node:
    """Return the tree of a filter for the lines that a person sees.

    Args:
        scope: of the person.
        text: of the filter; empty for all lines.
        table: of the lines.

    Raises:
        ProblemError: it is no filter; or a project's filter cannot be read, so that nobody can say what it allows.
    """
    try:
        return scope.narrowed(text, table)
    except QueryError as error:
        raise invalid_filter(error) from None
    except UnreadableProjectError as error:
        raise ProblemError(403, "forbidden", str(error)) from None


def invalid_filter(error: QueryError) -> ProblemError:
    """Return what is wrong with a filter, and where."""
    return ProblemError(
        422, "invalid-filter", error.problem, column=error.column, length=len(error.token), hint=error.hint
    )


def counted_for(scope: Scope) -> Sql:
    """Return the condition by which the roll-ups count what a person sees.

    Raises:
        ProblemError: they cannot count it.
    """
    try:
        return scope.counted()
    except (NotCountedError, UnreadableProjectError) as error:
        raise ProblemError(403, "forbidden", str(error)) from None
