"""Whose lines a call of the API may answer with.

A call that answers with lines, or with what is counted of them, takes :data:`Scoped`, and makes its filter by
:func:`filter_for` alone. tests/integration/test_console_people.py refuses a call that does neither take it nor is known
to hold no lines.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from obsctl.console.database import Pool
from obsctl.console.people import projects
from obsctl.console.people.roles import Role
from obsctl.console.people.scope import NotCountedError, Scope, UnreadableProjectError
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
        raise ProblemError(
            422, "invalid-filter", error.problem, column=error.column, length=len(error.token), hint=error.hint
        ) from None
    except UnreadableProjectError as error:
        raise ProblemError(403, "forbidden", str(error)) from None


def counted_for(scope: Scope) -> Sql:
    """Return the condition by which the roll-ups count what a person sees.

    Raises:
        ProblemError: they cannot count it.
    """
    try:
        return scope.counted()
    except (NotCountedError, UnreadableProjectError) as error:
        raise ProblemError(403, "forbidden", str(error)) from None
