"""Projects: the page of admins and its calls of the API."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Path as PathParameter
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from obsctl.console.database import Pool
from obsctl.console.people import projects
from obsctl.console.people.projects import Project
from obsctl.console.people.roles import Role
from obsctl.console.web.changes import change
from obsctl.console.web.guard import Admin
from obsctl.console.web.page import show_with_script
from obsctl.console.web.parameters import TABLES
from obsctl.console.web.problems import ProblemError
from obsctl.console.web.scope import EVERYTHING, filter_for

pages = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/v1")

#: Texts that the page's script puts together.
TEXTS = ("lost", "change", "remove", "remove_project_really", "no_line")

_Filter = Annotated[str, Field(max_length=8192, description="Lucene's syntax; empty for no line, * for all")]
ProjectName = Annotated[str, PathParameter(min_length=1, max_length=projects.NAME_WIDTH)]


class Wanted(BaseModel):
    """What a project is to be."""

    model_config = ConfigDict(extra="forbid")

    access: _Filter = ""
    error: _Filter = ""
    members: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=1000)] = []


@pages.get("/projects")
async def projects_page(request: Request) -> Response:
    """Show all projects."""
    return await show_with_script(request, "projects", TEXTS, Role.ADMIN)


@api.get("/projects")
def all_projects(request: Request, _: Admin) -> list[dict[str, Any]]:
    """Return all projects, by name."""
    pool: Pool = request.app.state.pool
    return [
        {
            "name": one.name,
            "members": one.members,
            **{log: one.filters[table.name] for log, table in TABLES.items()},
        }
        for one in pool.run(projects.everything)
    ]


@api.put("/projects/{name:path}", status_code=204)
def put_project(request: Request, person: Admin, name: ProjectName, wanted: Wanted) -> Response:
    """Make a project, or replace the one of this name; it counts from its members' next request on."""
    given = {"access": wanted.access.strip(), "error": wanted.error.strip()}
    for log, text in given.items():
        try:
            filter_for(EVERYTHING, text, TABLES[log])
        except ProblemError as problem:
            problem.members["log"] = log
            raise
    project = Project(name, {TABLES[log].name: text for log, text in given.items()}, tuple(wanted.members))
    change(request, person, lambda cursor, actor: projects.put(cursor, actor, project))
    return Response(status_code=204)


@api.delete("/projects/{name:path}", status_code=204)
def remove_project(request: Request, person: Admin, name: ProjectName) -> Response:
    """Remove a project that has no members."""
    if not change(request, person, lambda cursor, actor: projects.remove(cursor, actor, name)):
        raise ProblemError(404, "not-found", "there is no project of this name")
    return Response(status_code=204)
