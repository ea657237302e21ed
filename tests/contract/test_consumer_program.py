"""``obsctl-consumer`` as systemd starts it: what it says of brokers that it has no password or certificate for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("security", "said"),
    [
        ({"protocol": "SASL_SSL", "user": "u", "password": "env:OBS_TEST_ABSENT"}, "env:OBS_TEST_ABSENT is empty"),
        ({"protocol": "SSL", "ca_file": "/nowhere.pem"}, "/nowhere.pem cannot be read: no such file or directory"),
        ({"protocol": "SSL", "ca": "/nowhere.pem"}, "ca"),
    ],
)
def test_what_it_needs_for_the_brokers_is_named_before_it_starts(
    tmp_path: Path, security: dict[str, str], said: str
) -> None:
    (tmp_path / "password").write_text("some-password")
    file = tmp_path / "consumer.yml"
    kafka = {"bootstrap": ["127.0.0.1:1"], "group": "g", "topics": {"access": "a", "error": "e", "dlq": "d"}}
    database = {"host": "h", "port": 3306, "name": "obs", "user": "u", "password": f"file:{tmp_path / 'password'}"}
    configuration = {
        "kafka": kafka | {"security": security},
        "database": database,
        "batch": {"lines": 10, "interval_ms": 100},
        "retention_days": 30,
        "trusted_proxies": [],
        "error_log_timezone": "UTC",
        "processes": 1,
        "native": True,
        "health": {"address": "127.0.0.1", "port": 9600},
    }
    file.write_text(json.dumps(configuration))
    command = [sys.executable, "-m", "obsctl.consumer.service", "--check", "--config", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 78
    assert said in done.stderr
    assert "Traceback" not in done.stderr
