"""Runs a change by a person: in one transaction with its audit record; a refusal gives its reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import Request

from obsctl.console.database import Pool
from obsctl.console.people.audit import Actor
from obsctl.console.people.passwords import BusyError, UnfitPasswordError
from obsctl.console.people.sessions import Person
from obsctl.console.people.users import UnfitUserError
from obsctl.console.web.guard import client_addr
from obsctl.console.web.problems import ProblemError

T = TypeVar("T")


def change(request: Request, person: Person, action: Callable[[Any, Actor], T]) -> T:
    """Run a change and return its result.

    Args:
        request: of the person.
        person: who makes it.
        action: gets the transaction's cursor and the actor to record.

    Raises:
        ProblemError: the change is refused.
    """
    pool: Pool = request.app.state.pool
    actor = Actor(person.name, client_addr(request), person.token)
    try:
        return pool.run(lambda cursor: action(cursor, actor))
    except UnfitUserError as error:
        raise ProblemError(409, "refused", str(error)) from None
    except UnfitPasswordError as error:
        raise ProblemError(422, "unfit-password", str(error)) from None
    except BusyError as error:
        raise ProblemError(429, "busy", str(error), headers={"retry-after": "1"}) from None
