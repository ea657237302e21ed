"""Users: the page of admins and its calls of the API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from obsctl.console.database import Pool
from obsctl.console.people import projects, tokens, users
from obsctl.console.people.audit import Actor
from obsctl.console.people.roles import Role
from obsctl.console.people.sessions import Person
from obsctl.console.people.users import UnfitUserError, User
from obsctl.console.web.changes import change
from obsctl.console.web.guard import Admin
from obsctl.console.web.page import show_with_script
from obsctl.console.web.problems import ProblemError

pages = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/v1")

#: Texts that the page's script puts together.
TEXTS = (
    "lost", "role", "disable", "enable", "user_disabled", "other_password", "end_sessions", "end_tokens", "remove",
    "remove_user_really", "end_tokens_really",
)  # fmt: skip

_Password = Annotated[str, Field(max_length=1024)]


class NewUser(BaseModel):
    """A user to be added."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=64)]
    role: Role
    password: Annotated[_Password | None, Field(description="null for a user that cannot log in by one")] = None
    must_change: Annotated[bool, Field(description="the user changes the password before anything else")] = True


class Change(BaseModel):
    """What is changed of a user; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    role: Role | None = None
    disabled: bool | None = None
    password: Annotated[_Password | None, Field(description="which the user then has to change")] = None


@pages.get("/users")
async def users_page(request: Request) -> Response:
    """Show all users."""
    return await show_with_script(request, "users", TEXTS, Role.ADMIN, roles=[role.value for role in Role])


@api.get("/users")
def all_users(request: Request, _: Admin) -> list[dict[str, Any]]:
    """Return all users, by name."""
    pool: Pool = request.app.state.pool
    found, given, known = pool.run(
        lambda cursor: (users.everybody(cursor), tokens.everybodys(cursor), projects.everything(cursor))
    )
    count = Counter(one.owner for one in given)
    return [
        {
            "name": one.name,
            "role": one.role,
            "disabled": one.disabled,
            "has_password": one.password_hash is not None,
            "must_change": one.must_change,
            "created_at": one.created_at.isoformat(),
            "tokens": count[one.name],
            "projects": [project.name for project in known if one.name in project.members],
        }
        for one in found
    ]


@api.post("/users", status_code=201)
def add_user(request: Request, person: Admin, new: NewUser) -> dict[str, str]:
    """Add a user."""
    change(
        request,
        person,
        lambda cursor, actor: users.add(
            cursor, actor, new.name, new.role, new.password, must_change=new.must_change and new.password is not None
        ),
    )
    return {"name": new.name}


@api.patch("/users/{name}", status_code=204)
def change_user(request: Request, person: Admin, name: str, wanted: Change) -> Response:
    """Change a user's role or password, disable or enable it."""

    def act(cursor: Any, actor: Actor, user: User) -> None:
        if wanted.password is not None:
            if user.name == person.name:
                raise UnfitUserError("your own password is changed on the page of your account")
            users.set_password(cursor, actor, user, wanted.password, must_change=True)
        if wanted.role is not None and wanted.role is not user.role:
            users.set_role(cursor, actor, user, wanted.role)
            user = user._replace(role=wanted.role)
        if wanted.disabled is not None and wanted.disabled is not user.disabled:
            users.disable(cursor, actor, user, disabled=wanted.disabled)

    return _of_user(request, person, name, act)


@api.delete("/users/{name}", status_code=204)
def remove_user(request: Request, person: Admin, name: str) -> Response:
    """Remove a user with its sessions, tokens, memberships and saved searches."""
    return _of_user(request, person, name, users.remove)


@api.delete("/users/{name}/sessions", status_code=204)
def end_users_sessions(request: Request, person: Admin, name: str) -> Response:
    """End all sessions of a user."""
    return _of_user(request, person, name, users.end_sessions)


@api.delete("/users/{name}/tokens", status_code=204)
def end_users_tokens(request: Request, person: Admin, name: str) -> Response:
    """End all tokens of a user."""

    def revoke(cursor: Any, actor: Actor, user: User) -> None:
        for token in tokens.of_user(cursor, user.id):
            tokens.revoke(cursor, actor, token)

    return _of_user(request, person, name, revoke)


def _of_user(request: Request, person: Person, name: str, action: Callable[[Any, Actor, User], None]) -> Response:
    def act(cursor: Any, actor: Actor) -> None:
        user = users.find(cursor, name)
        if user is None:
            raise ProblemError(404, "not-found", "there is no user of this name")
        action(cursor, actor, user)

    change(request, person, act)
    return Response(status_code=204)
