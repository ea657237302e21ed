"""The VRRP instance and its check."""

from __future__ import annotations

import http.server
import re
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from rig.ports import free_port
from tests.contract.roles.conftest import Rendered


def test_the_instance_never_preempts_and_weighs_nothing(rendered: Rendered) -> None:
    text = re.sub("#.*", "", rendered.text("keepalived.conf"))
    assert "state BACKUP" in text
    assert "nopreempt" in text
    assert "weight" not in text
    assert re.findall(r"192\.0\.2\.1\d\b", text) == ["192.0.2.11", "192.0.2.12", "192.0.2.13"]
    assert "192.0.2.100/24 dev lo" in text
    assert re.search(r"script_user keepalived_script", text)


@pytest.mark.skipif(shutil.which("keepalived") is None, reason="keepalived is not installed")
def test_keepalived_accepts_it(rendered: Rendered, tmp_path: Path) -> None:
    script = tmp_path / "check"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    # The rendering is for the loopback interface, on which keepalived refuses to run VRRP.
    interface = next((name for _, name in socket.if_nameindex() if name != "lo"), None)
    if interface is None:
        pytest.skip("this machine has no interface but the loopback")
    text = rendered.text("keepalived.conf").replace("keepalived_script", "root", 1)
    text = re.sub(r"\b(interface|dev) lo\b", rf"\1 {interface}", text)
    config = tmp_path / "keepalived.conf"
    config.write_text(text.replace("/usr/libexec/keepalived/obs-check-nginx", str(script)))
    done = subprocess.run(["keepalived", "-t", "-f", config], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class _Server(http.server.BaseHTTPRequestHandler):
    status = 200
    delay_s = 0.0

    def do_GET(self) -> None:
        time.sleep(self.delay_s)
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("status", "delay_s", "passes"), [(200, 0.0, True), (500, 0.0, False), (404, 0.0, False), (200, 3.0, False)]
)
def test_the_check_passes_only_on_a_prompt_200(
    rendered: Rendered, tmp_path: Path, status: int, delay_s: float, passes: bool
) -> None:
    handler = type("Handler", (_Server,), {"status": status, "delay_s": delay_s})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        began = time.monotonic()
        assert _check(rendered, tmp_path, server.server_address[1]) is passes
        assert time.monotonic() - began < 2
        server.shutdown()


def test_the_check_fails_where_nothing_listens(rendered: Rendered, tmp_path: Path) -> None:
    assert _check(rendered, tmp_path, free_port()) is False


def _check(rendered: Rendered, folder: Path, port: int) -> bool:
    script = folder / "check.sh"
    script.write_text(rendered.text("obs-check-nginx").replace("/8081", f"/{port}"))
    done = subprocess.run(["bash", script], capture_output=True, check=False, timeout=10)
    return done.returncode == 0
