"""Restricts the lines in an answer of the API to what the person may see.

A call that answers with lines, or with counts of them, takes the parameter :data:`Scoped`, and makes its filter only
by :func:`filter_for`; a call whose answer cannot be restricted takes :data:`Unbounded`.
tests/unit/console/test_routes.py fails for a call that takes neither, unless it is listed as one without lines.
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

#: The scope of admins and of people without projects.
EVERYTHING = Scope(None)


async def scope_of(request: Request, person: LoggedIn) -> Scope:
    """Return which lines the person may see."""
    if person.role is Role.ADMIN:
        return EVERYTHING
    pool: Pool = request.app.state.pool
    found = await run_in_threadpool(pool.run, lambda cursor: projects.of_user(cursor, person.user_id))
    return Scope(tuple(found)) if found else EVERYTHING


#: Parameter of a call of the API that answers with lines; includes the login.
Scoped = Annotated[Scope, Depends(scope_of)]


async def unbounded(scope: Scoped, person: LoggedIn) -> Person:
    """Return who makes a call of the API whose answer cannot be restricted to projects.

    Raises:
        ProblemError: the person sees only the lines of projects.
    """
    if scope.projects is not None:
        raise ProblemError(403, "forbidden", "this shows lines of all projects, and you may see only those of yours")
    return person


#: Parameter of such a call; includes the login.
Unbounded = Annotated[Person, Depends(unbounded)]


def filter_for(scope: Scope, text: str, table: Table) -> Node:
    """Return the tree of a filter, restricted to the lines that a person may see.

    Args:
        scope: of the person.
        text: of the filter; empty for all lines.
        table: of the lines.

    Raises:
        ProblemError: the filter is invalid, or a project's filter is, so that it is unknown what it allows.
    """
    try:
        return scope.narrowed(text, table)
    except QueryError as error:
        raise invalid_filter(error) from None
    except UnreadableProjectError as error:
        raise ProblemError(403, "forbidden", str(error)) from None


def invalid_filter(error: QueryError) -> ProblemError:
    """Return the problem for an invalid filter, with the place of the error."""
    return ProblemError(
        422, "invalid-filter", error.problem, column=error.column, length=len(error.token), hint=error.hint
    )


def counted_for(scope: Scope) -> Sql:
    """Return the condition on the roll-ups for the requests that a person may see.

    Raises:
        ProblemError: the roll-ups do not distinguish these requests.
    """
    try:
        return scope.counted()
    except (NotCountedError, UnreadableProjectError) as error:
        raise ProblemError(403, "forbidden", str(error)) from None
