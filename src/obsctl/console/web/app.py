"""The console as one ASGI application."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from obsctl import __version__
from obsctl.console.config import ConsoleConfig
from obsctl.console.database import DatabaseAwayError, Pool
from obsctl.console.errors.upkeep import Keeper
from obsctl.console.people.sessions import Lifetime
from obsctl.console.web.guard import Door, Headers
from obsctl.console.web.page import START, trouble_page
from obsctl.console.web.problems import ProblemError, answer, of_framework, of_parameters
from obsctl.console.web.routes import errors, people, search, traffic

LOG = logging.getLogger("obsctl.console")

_STATIC = Path(__file__).with_name("static")
_SUBJECTS = (people, search, traffic, errors)


def build(config: ConsoleConfig) -> Any:
    """Return the application.

    Args:
        config: what console.yml says.
    """
    pool = Pool(config.database)
    keeper = Keeper(pool)
    https = bool(config.listen.certificate)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        keeper.start()
        yield
        keeper.stop()
        pool.close()

    app = FastAPI(
        title="ObsCraft console",
        version=__version__,
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.config = config
    app.state.pool = pool
    app.state.door = Door(pool, Lifetime(config.session.idle_s, config.session.lifetime_s), https=https)
    app.state.turns = search.Turns(config.search.at_once)
    app.state.histogram_turns = search.Turns(max(1, config.search.at_once // 2))
    for subject in _SUBJECTS:
        app.include_router(subject.pages)
        app.include_router(subject.api)
    app.add_api_route("/", _start, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(DatabaseAwayError, _away)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, of_parameters)  # type: ignore[arg-type]
    app.add_exception_handler(Exception, _bug)
    return Headers(app, https=https)


async def _start() -> Response:
    return RedirectResponse(START, 303)


def _shown(request: Request, problem: ProblemError) -> Response:
    """Return a problem as a program or a person reads it."""
    return answer(problem) if request.url.path.startswith("/v1/") else trouble_page(request, problem)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101 - for the type checker
    return _shown(request, error)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - for the type checker
    return _shown(request, of_framework(error))


async def _away(request: Request, error: Exception) -> Response:
    assert isinstance(error, DatabaseAwayError)  # noqa: S101 - for the type checker
    LOG.warning("the database does not answer", extra={"error": str(error), "hint": error.hint})
    return _shown(request, ProblemError(503, "database-away", str(error)))


async def _bug(request: Request, _: Exception) -> Response:
    # The framework logs the traceback itself.
    return _shown(request, ProblemError(500, "internal-error", "the console failed; its journal says why"))
