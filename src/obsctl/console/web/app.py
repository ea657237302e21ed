"""The console as one ASGI application."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from obsctl import __version__
from obsctl.console.alerts import Alerts
from obsctl.console.config import ConsoleConfig
from obsctl.console.database import DatabaseAwayError, Pool
from obsctl.console.errors.upkeep import Keeper
from obsctl.console.live.live import Live
from obsctl.console.overview import Overview
from obsctl.console.people.sessions import Lifetime
from obsctl.console.web.described import describe
from obsctl.console.web.guard import Door, Headers, is_known
from obsctl.console.web.page import START, trouble_page
from obsctl.console.web.problems import DESCRIBED, ProblemError, answer, of_framework, of_parameters
from obsctl.console.web.routes import (
    alerts,
    audit,
    errors,
    live,
    overview,
    people,
    projects,
    quarantine,
    rules,
    search,
    tail,
    traffic,
    users,
)
from obsctl.console.web.turns import PersonalTurns, SharedTurns, Turns

LOG = logging.getLogger("obsctl.console")

_STATIC = Path(__file__).with_name("static")
_SUBJECTS = (people, overview, search, tail, live, traffic, errors, alerts, rules, quarantine, users, projects, audit)


def build(config: ConsoleConfig) -> Any:
    """Return the application.

    Args:
        config: what console.yml says.
    """
    pool = Pool(config.database)
    keeper = Keeper(pool)
    https = bool(config.listen.certificate)
    arriving = Live(config, config.kafka) if config.kafka is not None else None

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        keeper.start()
        if arriving is not None:
            arriving.start()
        yield
        keeper.stop()
        pool.close()
        if arriving is not None:
            await run_in_threadpool(arriving.stop)

    app = FastAPI(
        title="ObsCraft console",
        version=__version__,
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        # Such a redirect would name the host that the request names.
        redirect_slashes=False,
    )
    app.state.config = config
    app.state.pool = pool
    lifetime = Lifetime(config.session.idle_s, config.session.lifetime_s)
    app.state.door = Door(pool, lifetime, config.people, https=https)
    app.state.provider = app.state.provider_turns = None
    if config.people.oidc is not None:
        # Imported here, so that its libraries are only loaded if it is used.
        from obsctl.console.oidc.provider import Provider
        from obsctl.console.web.routes import oidc

        app.state.provider = Provider(config.people.oidc)
        app.state.provider_turns = Turns(oidc.AT_ONCE, "logins at the provider")
        app.include_router(oidc.pages)
    limits = config.search
    app.state.turns = SharedTurns(limits.at_once, limits.each, "searches")
    app.state.histogram_turns = SharedTurns(max(1, limits.at_once // 2), limits.each, "histograms")
    app.state.live = arriving
    app.state.streams = SharedTurns(config.live.at_once, config.live.each, "tails and live statistics")
    app.state.evaluations = PersonalTurns(rules.AT_ONCE, "evaluation of a rule", 2 * rules.SECONDS)
    app.state.overview = Overview(config)
    app.state.alerts = Alerts(config.kafka, config.fleet) if config.kafka is not None else None
    for subject in _SUBJECTS:
        app.include_router(subject.pages)
        app.include_router(subject.api, responses=DESCRIBED)
    app.add_api_route("/", _start, include_in_schema=False)
    own = APIRouter(prefix="/v1")
    own.add_api_route("/health", _health)
    app.include_router(own, responses=DESCRIBED)
    calls = [route for router in (own, *(subject.api for subject in _SUBJECTS)) for route in router.routes]
    describe(app, calls, app.state.door.cookie)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(DatabaseAwayError, _away)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(Exception, _bug)
    return Headers(app, https=https)


async def _start() -> Response:
    return RedirectResponse(START, 303)


async def _health(request: Request) -> dict[str, str]:
    """Say that the console answers; takes no login. The calls that need Kafka or the database report their outages.

    ``redis`` is present if the live statistics are written to Redis, which no page shows: ``writing``, ``standby``
    (another console writes), ``waiting`` (no lines come from Kafka) or ``away`` (Redis does not answer).
    """
    live: Live | None = request.app.state.live
    redis = {"redis": live.redis.state} if live is not None and live.redis is not None else {}
    return {"status": "ok", **redis}


def _shown(request: Request, problem: ProblemError) -> Response:
    """Return a problem as JSON for a program, or as a page for a person."""
    return answer(problem) if request.url.path.startswith("/v1/") else trouble_page(request, problem)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101 - for the type checker
    return _shown(request, error)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - for the type checker
    return _shown(request, of_framework(error))


async def _unreadable(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - for the type checker
    return _shown(request, of_parameters(error))


async def _away(request: Request, error: Exception) -> Response:
    assert isinstance(error, DatabaseAwayError)  # noqa: S101 - for the type checker
    LOG.warning("the database does not answer", extra={"error": str(error), "hint": error.hint})
    # The server's words name its host and the console's account.
    detail = str(error) if is_known(request) else "the database does not answer; the console's journal says why"
    return _shown(request, ProblemError(503, "database-away", detail))


async def _bug(request: Request, _: Exception) -> Response:
    # The framework itself logs the traceback.
    return _shown(request, ProblemError(500, "internal-error", "the console failed; its journal says why"))
