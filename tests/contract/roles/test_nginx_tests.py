"""Requests of tests of alert rules: which a real nginx takes for one, what it answers, and what stands in its log."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.roles.conftest import TEST_SECRET, Rendered
from tests.contract.roles.test_nginx import NGINX, running

pytestmark = pytest.mark.skipif(
    NGINX is None or not Path("/etc/nginx/mime.types").exists(), reason="nginx is not installed"
)
MARK = "0123456789abcdefghij"


@pytest.fixture(scope="module")
def nginx(rendered: Rendered) -> Iterator[Rendered]:
    """A running nginx that answers tests, logging all that it can; its back ends are addresses that no host has."""
    config = rendered.folder / "nginx-tests-here.conf"
    text = re.sub(r"^user .*$", "user root;", rendered.text("nginx-tests.conf"), flags=re.M)
    config.write_text(text)
    with running(config, rendered.port):
        yield rendered


def _ask(nginx: Rendered, path: str, *, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=10)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def _signed(mark: str = MARK, *, secret: str = TEST_SECRET, valid_s: float = 60) -> dict[str, str]:
    key = hashlib.sha256(secret.encode()).hexdigest()
    expires = str(int(time.time() + valid_s))
    digest = hashlib.md5(f"{expires} {mark} {key}".encode()).digest()  # noqa: S324  what nginx compares with
    return {
        "X_Obscraft_Test": mark,
        "X_Obscraft_Test_Expires": expires,
        "X_Obscraft_Test_Signature": base64.urlsafe_b64encode(digest).decode().rstrip("="),
    }


def _line(nginx: Rendered, marker: str) -> dict[str, Any]:
    for _ in range(100):
        for line in (nginx.folder / "access.log").read_text(errors="replace").splitlines():
            if marker in line:
                found: dict[str, Any] = json.loads(line)
                return found
        time.sleep(0.05)
    pytest.fail(f"no line with {marker}")


def test_a_signed_request_is_answered_as_it_asks(nginx: Rendered) -> None:
    answer = _ask(nginx, "/api/signed?a=1", method="POST", **_signed(), X_Obscraft_Test_Status="503", Host="shop")
    assert answer.status == 503
    line = _line(nginx, "/api/signed")
    assert next(iter(line)) == "obscraft_test", "a line that a shipper cuts must keep the mark"
    assert line["obscraft_test"] == MARK
    wanted = {"uri": "/api/signed?a=1", "method": "POST", "status": 503, "host": "shop", "upstream_status": "503"}
    assert {name: line[name] for name in wanted} == wanted
    assert line["upstream_addr"] == f"127.0.0.1:{nginx.check_port}"
    assert float(line["upstream_response_time"]) < 1
    _ask(nginx, "/an-ordinary-one")
    ordinary = _line(nginx, "/an-ordinary-one")
    assert list(line) == ["obscraft_test", *ordinary]


PROBE = "probe-0123456789ab"


def test_a_probe_goes_to_the_back_ends_and_says_which_were_asked(nginx: Rendered) -> None:
    answer = _ask(nginx, "/probe", **_signed(PROBE), X_Obscraft_Test_Status="418")
    assert answer.status in (502, 504), "the back ends' answer: there is none"
    line = _line(nginx, "/probe")
    assert (line["obscraft_test"], line["status"]) == (PROBE, answer.status)
    asked = answer.getheader("X-Obscraft-Probe") or ""
    assert asked == f"asked {line['upstream_addr']}"
    assert f":{8080}" in asked
    assert answer.getheader("X-Balancer") == "node1"
    assert _ask(nginx, "/ordinary-answer").getheader("X-Obscraft-Probe") is None


def test_a_test_of_a_rule_does_not_say_who_was_asked(nginx: Rendered) -> None:
    assert _ask(nginx, "/test-answer", **_signed()).getheader("X-Obscraft-Probe") is None


def test_a_slow_answer_takes_as_long_as_it_says(nginx: Rendered) -> None:
    _ask(nginx, "/slow", **_signed(), X_Obscraft_Test_Status="500", X_Obscraft_Test_Rate="900")
    line = _line(nginx, "/slow")
    assert line["request_time"] >= 2, "3,000 bytes at 900 a second: four pieces, a second between two of them"
    assert float(line["upstream_response_time"]) >= 2


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("no-signature", {"X_Obscraft_Test": MARK}),
        ("another-secret", _signed(secret="another one")),
        ("expired", _signed(valid_s=-60)),
        ("another-mark", _signed() | {"X_Obscraft_Test": "zzzzzzzzzzzzzzzz"}),
        ("mark-too-short", _signed("short")),
        ("mark-with-quote", _signed('abcdefgh","status":200,"x":"')),
        ("mark-empty", _signed("")),
        ("mark-in-capitals", _signed("ABCDEFGHIJKL")),
        ("probe-unsigned", {"X_Obscraft_Test": PROBE}),
        ("probe-of-another-secret", _signed(PROBE, secret="another one")),
        ("probe-expired", _signed(PROBE, valid_s=-60)),
        ("probe-signed-as-another", _signed() | {"X_Obscraft_Test": PROBE}),
        ("probe-too-short", _signed("probe-short")),
        ("probe-with-quote", _signed('probe-abcdefgh","x":"')),
    ],
)
def test_any_other_request_is_an_ordinary_one(nginx: Rendered, name: str, headers: dict[str, str]) -> None:
    answer = _ask(nginx, f"/{name}", **headers, X_Obscraft_Test_Status="418")
    assert answer.status in (502, 504), "the back ends' answer: there is none"
    line = _line(nginx, f"/{name}")
    assert "obscraft_test" not in line
    assert answer.getheader("X-Obscraft-Probe") is None
    assert line["status"] == answer.status


@pytest.mark.parametrize("status", ["", "99", "600", "5030", "200 HTTP/1.0", "../nginx-status", "20٠"])
def test_a_status_that_is_none_is_200(nginx: Rendered, status: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=10)
    connection.putrequest("GET", f"/status-{status.encode().hex()}-")
    for header, value in _signed().items():
        connection.putheader(header.replace("_", "-"), value)
    connection.putheader("X-Obscraft-Test-Status", status.encode())
    connection.endheaders()
    assert connection.getresponse().status == 200
    connection.close()


def test_the_secret_is_in_no_log_and_no_file_that_others_read(nginx: Rendered) -> None:
    headers = _signed()
    _ask(nginx, "/secret", **headers)
    _line(nginx, "/secret")
    key = hashlib.sha256(TEST_SECRET.encode()).hexdigest()
    for name in ("access.log", "error.log", "nginx-tests.conf"):
        text = (nginx.folder / name).read_text(errors="replace")
        assert not [secret for secret in (TEST_SECRET, key, headers["X_Obscraft_Test_Signature"]) if secret in text], (
            name
        )
    assert key in nginx.text("obscraft-test.conf")


def test_without_a_secret_there_is_no_such_thing(rendered: Rendered) -> None:
    assert "obscraft_test" not in rendered.text("nginx.conf")
    assert "obscraft-test" not in rendered.text("nginx.conf")
