"""``obsctl-alerter`` as the role calls it: what it says of a configuration that cannot work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOPICS = {"access": "t", "error": "e", "state": "s", "silences": "s", "history": "h"}
RULE = {"name": "client-request-rate", "kind": "requests_per_client", "threshold": 100}


def check(folder: Path, **more: object) -> subprocess.CompletedProcess[str]:
    """Run ``obsctl-alerter --check`` on a file with these keys."""
    file = folder / "alerter.yml"
    file.write_text(
        json.dumps(
            {
                "kafka": {"bootstrap": ["127.0.0.1:1"], "group": "g", "member": "m", "topics": TOPICS},
                "metrics": {"sources": []},
                "state": str(folder / "state.db"),
                "trusted_proxies": [],
                "error_log_timezone": "UTC",
                "native": True,
                "language": "zh",
                "health": {"address": "127.0.0.1", "port": 9601},
                "rules": [RULE],
                "channels": [],
                **more,
            }
        )
    )
    command = [sys.executable, "-m", "obsctl.alerter.service", "--check", "--config", file]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A site's own title in Chinese."""
    path = tmp_path / "site" / "zh" / "title.j2"
    path.parent.mkdir(parents=True)
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ severity", "title.j2:1: unexpected end of template"),
        ("好\n{{ serverity }}", "title.j2:2: 'serverity' is undefined"),
    ],
)
def test_a_template_that_cannot_work_is_named_with_its_line(
    template: Path, tmp_path: Path, text: str, said: str
) -> None:
    template.write_text(text)
    done = check(tmp_path, templates=str(tmp_path / "site"))
    assert done.returncode == 78
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_one_that_works_is_taken(template: Path, tmp_path: Path) -> None:
    template.write_text("{{ kind }} {{ name }}")
    done = check(tmp_path, templates=str(tmp_path / "site"))
    assert (done.returncode, done.stderr) == (0, "")


SASL = {"protocol": "SASL_SSL", "user": "u", "password": "env:OBS_TEST_ABSENT"}


@pytest.mark.parametrize(
    ("security", "said"),
    [
        (SASL, "the secret env:OBS_TEST_ABSENT is empty"),
        ({"protocol": "SSL", "ca_file": "/nowhere.pem"}, "/nowhere.pem cannot be read: no such file or directory"),
        ({"protocol": "SSL", "ca": "/nowhere.pem"}, "ca"),
        ({"protocol": "TLS"}, "TLS"),
    ],
)
def test_what_it_needs_for_the_brokers_is_named_before_it_starts(
    tmp_path: Path, security: dict[str, str], said: str
) -> None:
    kafka = {"bootstrap": ["127.0.0.1:1"], "group": "g", "member": "m", "topics": TOPICS, "security": security}
    done = check(tmp_path, kafka=kafka)
    assert done.returncode == 78
    assert said in done.stderr
    assert "Traceback" not in done.stderr
