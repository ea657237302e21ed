"""Shared by all pages: the language, who is logged in, the template, and the texts for the script."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from obsctl import __version__
from obsctl.console.config import ConsoleConfig, Language
from obsctl.console.people.roles import Role
from obsctl.console.people.sessions import Person
from obsctl.console.web.guard import Door, require_role
from obsctl.console.web.problems import ProblemError
from obsctl.console.web.scope import scope_of, unbounded
from obsctl.console.web.texts import chosen, texts

#: The pages of the navigation, in order: names of templates, texts and paths.
NAVIGATION = ("overview", "search", "tail", "live", "traffic", "errors", "alerts", "quarantine")
#: The pages of admins, after the others.
ADMINISTRATION = ("users", "projects", "audit")
#: The pages with lines of all projects or values from them, which are not offered to people who see only some
#: projects.
WHOLE = frozenset(("live", "errors", "alerts", "quarantine"))
START = "/overview"
LANGUAGE_COOKIE = "obsctl-language"
_ENVIRONMENT = Environment(
    loader=PackageLoader("obsctl.console.web"),
    autoescape=select_autoescape(default=True, default_for_string=True),
    trim_blocks=True,
    lstrip_blocks=True,
)


def show(
    request: Request,
    template: str,
    person: Person | None,
    status: int = 200,
    *,
    bounded: bool = False,
    **values: Any,
) -> HTMLResponse:
    """Return a page.

    Args:
        request: its cookie has the language.
        template: its name, without the suffix; the entry of the navigation with this name is highlighted.
        person: who is logged in.
        status: of HTTP.
        bounded: whether the person sees only the lines of projects.
        values: what the template shows.
    """
    language = language_of(request)
    offered = tuple(one for one in NAVIGATION if not (bounded and one in WHOLE))
    body = _ENVIRONMENT.get_template(f"{template}.html").render(
        t=texts(language),
        language=language,
        person=person,
        here=template,
        navigation=offered + (ADMINISTRATION if person and person.role is Role.ADMIN else ()),
        bounded=bounded,
        version=__version__,
        **values,
    )
    return HTMLResponse(body, status)


async def show_with_script(
    request: Request, template: str, keys: Sequence[str], role: Role = Role.VIEWER, **values: Any
) -> Response:
    """Return a page whose script calls the API; or redirect to the login, or to the change of the password.

    Args:
        request: of the page.
        template: as in :func:`show`.
        keys: of the texts that the script needs.
        role: that the page requires.
        values: what the template shows.

    Raises:
        ProblemError: the person's role is not sufficient, or the page shows lines of all projects and the person sees
            only some.
    """
    person = await person_of(request)
    if person is None:
        return to_login(request)
    if person.must_change and template != "account":
        return RedirectResponse("/account", 303)
    require_role(person, role)
    scope = await scope_of(request, person)
    if template in WHOLE:
        await unbounded(scope, person)
    config: ConsoleConfig = request.app.state.config
    said = texts(language_of(request))
    data = json.dumps({"texts": {key: said[key] for key in keys}, "timezone": config.timezone})
    # In a script element only its end tag and comments are special.
    safe = Markup(data.replace("<", "\\u003c"))  # noqa: S704
    return show(request, template, person, bounded=scope.projects is not None, texts_json=safe, **values)


def language_of(request: Request) -> Language:
    """Return the language that the person has chosen, or the site's default."""
    config: ConsoleConfig = request.app.state.config
    return chosen(request.cookies.get(LANGUAGE_COOKIE, ""), config.language)


async def person_of(request: Request) -> Person | None:
    """Return who is logged in."""
    door: Door = request.app.state.door
    return await door.person(request)


def to_login(request: Request) -> RedirectResponse:
    """Redirect to the login, and from there back to this address."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/login?next={quote(asked)}", 303)


def trouble_page(request: Request, problem: ProblemError) -> HTMLResponse:
    """Return a problem as a page."""
    body = _ENVIRONMENT.from_string(
        '{% extends "page.html" %}{% block title %}{{ status }}{% endblock %}'
        '{% block content %}<p class="trouble" role="alert">{{ detail }}</p>{% endblock %}'
    )
    spoken = language_of(request)
    page = body.render(
        t=texts(spoken), language=spoken, person=None, version=__version__, status=problem.status, detail=str(problem)
    )
    return HTMLResponse(page, problem.status, problem.headers)
