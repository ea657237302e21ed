"""The start page: the state of the fleet, and the runbook pages of its findings."""

from __future__ import annotations

import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from obsctl.console.database import Pool
from obsctl.console.overview import Overview, shippers
from obsctl.console.runbook import blocks
from obsctl.console.web.guard import LoggedIn
from obsctl.console.web.page import person_of, show, show_with_script, to_login
from obsctl.console.web.problems import ProblemError, given
from obsctl.console.web.scope import scope_of
from obsctl.core import runbooks
from obsctl.core.utc import iso

pages = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/v1")

#: Texts that the page's script puts together.
TEXTS = (
    "lost", "all_well", "as_of", "not_asked_here", "follows", "runbook", "none_fires", "firing_count", "behind",
    "no_shipper", "requests_last_day", "no_traffic", "no_alerter",
)  # fmt: skip


@pages.get("/overview")
async def overview_page(request: Request) -> Response:
    """Show the state of the fleet."""
    return await show_with_script(request, "overview", TEXTS)


@pages.get("/runbooks/{code}")
async def runbook_page(request: Request, code: str) -> Response:
    """Show what a finding's code means and what to do, as ``obsctl explain`` does."""
    person = await person_of(request)
    if person is None:
        return to_login(request)
    page = runbooks.pages().get(code)
    if page is None:
        raise ProblemError(404, "not-found", "no finding has this code")
    bounded = (await scope_of(request, person)).projects is not None
    return show(request, "runbook", person, bounded=bounded, code=code, blocks=blocks(page.read_text(encoding="utf-8")))


@api.get("/status")
def status(request: Request, _: LoggedIn) -> dict[str, Any]:
    """Return what is wrong with the fleet, the worst first, as far as the console's host can ask: it logs in nowhere.

    ``not_asked`` names the layers that only a login on their hosts can ask. ``findings`` and ``errors`` are those of
    ``obsctl status -o json``.
    """
    overview: Overview = request.app.state.overview
    answer = overview.status()
    found = given(answer, "not-configured")
    return {
        **found,
        "as_of": iso(datetime.datetime.fromtimestamp(answer.at, datetime.UTC)),
        "trouble": None if answer.trouble is None else answer.trouble._asdict(),
    }


@api.get("/shippers")
def shipped(request: Request, _: LoggedIn) -> list[dict[str, Any]]:
    """Return each balancer with the newest minute of which a line is stored, the oldest first."""
    pool: Pool = request.app.state.pool
    return pool.run(shippers)
