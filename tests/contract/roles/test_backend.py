"""The back end's answers and its log lines."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.contract.roles.conftest import Rendered

pytest.importorskip("flask", reason="flask is not installed here: pip install -e '.[dev]'")
APP = Path(__file__).resolve().parents[3] / "roles/backend/files/app/obs_backend.py"


@pytest.fixture
def log() -> io.StringIO:
    """The application's log."""
    return io.StringIO()


@pytest.fixture
def client(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A test client of the application."""
    # The role copies the folder as it is.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    spec = importlib.util.spec_from_file_location("obs_backend", APP)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.create_app(name="node2", max_slow_ms=200, log=log).test_client()


def test_it_names_itself_on_every_answer(client: Any) -> None:
    for path in ("/", "/healthz", "/status/503", "/nothing-here", "/slow?ms=1"):
        assert client.get(path).headers["X-Backend-Server"] == "node2"


def test_it_logs_one_object_a_request(client: Any, log: io.StringIO) -> None:
    answer = client.get("/status/404?x=1", headers={"X-Request-ID": "abcd.1234"})
    assert answer.headers["X-Request-ID"] == "abcd.1234"
    line = json.loads(log.getvalue())
    assert {k: line[k] for k in ("request_id", "method", "path", "status")} == {
        "request_id": "abcd.1234", "method": "GET", "path": "/status/404", "status": 404,
    }  # fmt: skip
    assert isinstance(line["duration_ms"], int)


@pytest.mark.parametrize("sent", ["short", "x" * 65, "with blank", 'quote"quote"'])
def test_a_badly_formed_request_id_is_replaced(client: Any, sent: str) -> None:
    assert client.get("/", headers={"X-Request-ID": sent}).headers["X-Request-ID"] != sent


def test_it_takes_the_time_that_is_asked_for(client: Any) -> None:
    answer = client.get("/slow?ms=60")
    assert int(answer.headers["X-Response-Time"].removesuffix("ms")) >= 60
    assert client.get("/slow?ms=201").status_code == 400
    assert client.get("/slow?ms=-1").status_code == 400


@pytest.mark.parametrize(("code", "answered"), [(204, 204), (418, 418), (599, 599), (99, 400), (600, 400)])
def test_a_status_on_demand(client: Any, code: int, answered: int) -> None:
    assert client.get(f"/status/{code}").status_code == answered
    assert client.post(f"/status/{code}").status_code == answered


def test_an_unexpected_error_is_500_and_logged(client: Any, log: io.StringIO) -> None:
    @client.application.get("/broken")
    def broken() -> str:
        raise RuntimeError("as planned")

    assert client.get("/broken").status_code == 500
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert "as planned" in lines[0]["traceback"]
    assert lines[-1]["status"] == 500


def test_with_tls_it_has_the_fleets_certificate(rendered: Rendered) -> None:
    plain, tls = rendered.text("obs-backend.service"), rendered.text("obs-backend-tls.service")
    options = " --certfile /etc/obscraft/tls/backend/cert.pem --keyfile /etc/obscraft/tls/backend/key.pem"
    assert tls.replace(options, "") == plain
    assert tls != plain
