"""The back end behind the balancers: a small web application that reports who answered, and how long it took.

``GET /`` names the host, ``/healthz`` is the readiness probe, ``/slow?ms=N`` answers after N milliseconds and
``/status/CODE`` answers with that status; the last two exist for drills. Every request is one JSON line on standard
output (the journal's), with the request id that the balancer sent in ``X-Request-ID``.

Environment: ``OBS_BACKEND_NAME`` is the host's inventory name (sent as ``X-Backend-Server``),
``OBS_BACKEND_MAX_SLOW_MS`` the longest delay that ``/slow`` accepts, in milliseconds.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
import uuid
from datetime import UTC, datetime
from typing import TextIO

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException

#: What the balancer accepts as a request id; anything else is replaced.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


class JsonLines(logging.Formatter):
    """One JSON object a record: time, level, logger, event and the fields given as ``extra={"fields": {...}}``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        moment = datetime.fromtimestamp(record.created, UTC)
        line = {
            "timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
        }
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _logger(stream: TextIO) -> logging.Logger:
    # Of its own, outside logging's tree: Flask gives an application's logger of the same name its own handler.
    logger = logging.Logger("obs-backend", logging.INFO)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    return logger


def _request_fields(status: int, duration_ms: int) -> dict[str, object]:
    return {
        "request_id": g.request_id,
        "method": request.method,
        "path": request.path,
        "status": status,
        "duration_ms": duration_ms,
        "client": request.headers.get("X-Real-IP", request.remote_addr),
    }


def _elapsed_ms() -> int:
    return int((time.monotonic() - g.started) * 1000)


def create_app(name: str | None = None, max_slow_ms: int | None = None, log: TextIO = sys.stdout) -> Flask:
    """Make the WSGI application.

    ``name`` is what ``X-Backend-Server`` says, ``max_slow_ms`` the upper bound of ``/slow`` in milliseconds; both
    default to the environment. ``log`` takes the lines. Raises KeyError when the name is given neither way: an
    unnamed back end would make every measurement of the balancing worthless.
    """
    server = name or os.environ["OBS_BACKEND_NAME"]
    slow_limit = max_slow_ms or int(os.environ.get("OBS_BACKEND_MAX_SLOW_MS", "30000"))
    logger = _logger(log)
    app = Flask("obs-backend")

    @app.before_request
    def start() -> None:
        g.started = time.monotonic()
        sent = request.headers.get("X-Request-ID", "")
        g.request_id = sent if _REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex

    @app.after_request
    def finish(response: Response) -> Response:
        duration = _elapsed_ms()
        response.headers["X-Backend-Server"] = server
        response.headers["X-Request-ID"] = g.request_id
        response.headers["X-Response-Time"] = f"{duration}ms"
        logger.info("request", extra={"fields": _request_fields(response.status_code, duration)})
        return response

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> tuple[Response, int]:
        code = error.code or 500
        return jsonify(error=error.name, status=code, request_id=g.request_id), code

    @app.errorhandler(Exception)
    def failed(error: Exception) -> tuple[Response, int]:
        logger.error("unhandled exception", exc_info=error, extra={"fields": _request_fields(500, _elapsed_ms())})
        return jsonify(error="Internal Server Error", status=500, request_id=g.request_id), 500

    @app.get("/")
    def index() -> Response:
        return jsonify(server=server, request_id=g.request_id, time=time.time())

    @app.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="ok", server=server)

    @app.get("/slow")
    def slow() -> tuple[Response, int] | Response:
        delay = request.args.get("ms", default=1000, type=int)
        if not 0 <= delay <= slow_limit:
            return jsonify(error=f"ms must be between 0 and {slow_limit}", status=400), 400
        time.sleep(delay / 1000)
        return jsonify(server=server, slept_ms=delay)

    @app.route("/status/<int:code>", methods=["GET", "POST", "PUT", "DELETE"])
    def status(code: int) -> tuple[Response, int]:
        if not 200 <= code <= 599:
            return jsonify(error="the status must be between 200 and 599", status=400), 400
        return jsonify(server=server, status=code), code

    return app
