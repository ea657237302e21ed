"""The console on its host, as a person with a browser uses it: over the fleet's TLS, with the accounts of the roles."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.lab.conftest import Fleet, get, wait_for

URL = "https://198.18.0.31:8443"
CA = "/var/lib/obsctl-lab/ca.pem"
#: Seconds that an answer may take on a busy machine.
PATIENCE = 30


@pytest.fixture
def browser(healthy: Fleet, tmp_path: Path) -> Iterator[requests.Session]:
    """A browser in which an operator is logged in that ``obsctl console`` has added from the control node."""
    name, password = f"lab-{uuid.uuid4().hex[:8]}", uuid.uuid4().hex
    (tmp_path / "password").write_text(password)
    reference = f"file:{tmp_path}/password"
    added = healthy.obsctl("console", "user", "add", name, "--role", "operator", "--password", reference)
    assert added.code == 0, added.said
    with requests.Session() as made:
        made.trust_env, made.verify = False, CA
        form = {"name": name, "password": password}
        answer = made.post(f"{URL}/login", data=form, allow_redirects=False, timeout=PATIENCE)
        assert answer.status_code == 303, answer.text
        yield made
    removed = healthy.obsctl("console", "user", "rm", name, "--yes")
    assert removed.code == 0, removed.said


def test_a_request_arrives_on_the_tail_and_is_found_afterwards(browser: requests.Session) -> None:
    path = f"/console-{uuid.uuid4().hex}"
    asked = {"log": "access", "filter": f"uri:{path}"}
    with browser.get(f"{URL}/v1/tail", params=asked, stream=True, timeout=PATIENCE) as tail:
        events = tail.iter_lines(decode_unicode=True)
        assert "event: ready" in (next(events), next(events), next(events))
        get(path)
        assert any(path in line for line in events if line.startswith("data:"))

    def found() -> bool:
        answer = browser.get(f"{URL}/v1/search", params={**asked, "since": "5m"}, timeout=PATIENCE)
        messages = [json.loads(line) for line in answer.text.splitlines()]
        return [line["uri"] for message in messages for line in message.get("lines", [])] == [path]

    wait_for("the request is found", found)


def test_the_overview_of_a_healthy_fleet_has_no_finding(browser: requests.Session) -> None:
    def seen() -> bool:
        status = browser.get(f"{URL}/v1/status", timeout=PATIENCE).json()
        return (status["status"], status["findings"], status["errors"], status["not_asked"]) == (
            "ok", [], [], ["vip", "nginx", "obs-backend", "filebeat"]
        )  # fmt: skip

    wait_for("an overview without a finding", seen, seconds=60)


def test_the_accounts_of_the_role_suffice(browser: requests.Session) -> None:
    for path in ("alerts", "alerts/history", "silences", "rules", "errors", "traffic", "shippers"):
        answer = browser.get(f"{URL}/v1/{path}", timeout=PATIENCE)
        assert answer.status_code == 200, f"{path}: {answer.text}"
    quarantine = browser.get(f"{URL}/v1/quarantine", timeout=PATIENCE)
    assert quarantine.status_code == 200, quarantine.text
