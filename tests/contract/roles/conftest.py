"""The roles' templates, rendered once by Ansible itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from rig.ports import free_port

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
BIN = Path(sys.executable).parent
#: Signs requests of tests of alert rules; characters that would end a word or name a variable in nginx's configuration.
TEST_SECRET = 'a "secret" $host; }\\ 秘密'
#: Renderings of nginx with TLS: the name of each, and what it sets (render.yml).
TLS_CASES: tuple[tuple[str, dict[str, object]], ...] = (
    ("serve", {}),
    ("redirect", {"http": "redirect", "hsts": 63072000}),
    ("close", {"http": "close"}),
    ("modern", {"profile": "modern", "hsts": 63072000}),
    ("newest", {"release": "1.28.0"}),
    ("backends", {"backend_tls": True}),
    ("own", {"certificate": "/srv/acme/cert.pem", "key": "/srv/acme/key.pem", "ocsp": "http://ocsp.example.com"}),
)
FILEBEAT_VERSIONS = ("7.17.28", "8.17.0", "9.1.0")


@dataclass(frozen=True)
class Rendered:
    """A folder of rendered files, and the ports that ``nginx-here.conf`` listens on."""

    folder: Path
    port: int
    check_port: int
    tls_port: int

    def text(self, name: str) -> str:
        """The content of a rendered file."""
        return (self.folder / name).read_text()


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """All templates with the roles' defaults; skips where Ansible is not installed."""
    if not (BIN / "ansible-playbook").exists():
        pytest.skip("Ansible is not installed here: pip install -e '.[control]'")
    made = Rendered(tmp_path_factory.mktemp("rendered"), free_port(), free_port(), free_port())
    (made.folder / "test-secret").write_text(TEST_SECRET)
    values = {
        "project": str(ROOT),
        "out": str(made.folder),
        "web_port": made.port,
        "check_port": made.check_port,
        "tls_port": made.tls_port,
        "tls_cases": [{"name": name, "secret": f"file:{made.folder}/test-secret", **case} for name, case in TLS_CASES],
        "filebeat_versions": FILEBEAT_VERSIONS,
    }
    done = subprocess.run(
        [BIN / "ansible-playbook", "-i", HERE / "inventory.yml", HERE / "render.yml", "-e", json.dumps(values)],
        cwd=ROOT, env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return made
