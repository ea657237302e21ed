"""What Filebeat is told, for each release line, and by Filebeat itself where it is built."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.roles.conftest import BIN, FILEBEAT_VERSIONS, ROOT, Rendered

VERSIONS = pytest.mark.parametrize("version", FILEBEAT_VERSIONS)


def _config(rendered: Rendered, version: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(rendered.text(f"filebeat-{version}.yml"))
    return loaded


@VERSIONS
def test_it_is_clean_yaml(rendered: Rendered, version: str) -> None:
    if not (BIN / "yamllint").exists():
        pytest.skip("yamllint is not installed")
    rules = "{extends: default, rules: {document-start: disable, line-length: {max: 140}, comments: disable}}"
    done = subprocess.run(
        [BIN / "yamllint", "-d", rules, rendered.folder / f"filebeat-{version}.yml"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@VERSIONS
def test_the_inputs_are_permanent_and_know_their_lines(rendered: Rendered, version: str) -> None:
    inputs = {one["id"]: one for one in _config(rendered, version)["filebeat.inputs"]}
    # These ids must never change: every file would be read again.
    assert {name: (one["fields"]["log_type"], one["fields"]["log_format"]) for name, one in inputs.items()} == {
        "nginx-access": ("access", "json"),
        "nginx-error": ("error", "error"),
        "obs-replay-combined": ("access", "combined"),
        "shop-access": ("access", "combined"),
    }
    for name, one in inputs.items():
        assert one["type"] == "filestream"
        assert one["fields"]["log_input"] == name
        assert all(path.endswith("*") for path in one["paths"]), "rotated names belong to the input"
        assert "file_identity.native" in one
        assert one["close.on_state_change.renamed"] is False
        assert one["close.on_state_change.removed"] is False


@VERSIONS
def test_the_fingerprint_is_off_from_8(rendered: Rendered, version: str) -> None:
    for one in _config(rendered, version)["filebeat.inputs"]:
        assert one.get("prospector.scanner.fingerprint.enabled") is (None if version.startswith("7.") else False)


@VERSIONS
def test_a_line_is_acknowledged_by_all_and_never_too_large(rendered: Rendered, version: str) -> None:
    config = _config(rendered, version)
    output = config["output.kafka"]
    assert output["required_acks"] == -1
    assert output["version"] == "2.1.0"
    assert output["compression"] == "lz4"
    assert output["topic"] == "nginxlog"
    assert output["topics"] == [{"topic": "nginxlog-error", "when.equals": {"fields.log_type": "error"}}]
    assert output["hosts"] == [f"192.0.2.1{n}:9092" for n in (1, 2, 3)]
    # A byte becomes six at most (\\u00ff); Kafka's default message.max.bytes is 1048588.
    longest = max(one["message_max_bytes"] for one in config["filebeat.inputs"])
    assert 6 * longest + 4096 <= output["max_message_bytes"] <= 1_048_588


@VERSIONS
def test_nothing_travels_that_nobody_reads(rendered: Rendered, version: str) -> None:
    (drop,) = _config(rendered, version)["processors"]
    assert {"agent", "ecs", "input"} <= set(drop["drop_fields"]["fields"])


def test_filebeat_accepts_it(rendered: Rendered, tmp_path: Path) -> None:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    version = FILEBEAT_VERSIONS[0]
    archive = cache / f"obsctl/artifacts/filebeat/filebeat-{version}-linux-x86_64.tar.gz"
    if not archive.exists():
        pytest.skip("Filebeat is not built: obsctl artifacts build")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    (binary,) = tmp_path.glob("filebeat-*/filebeat")
    done = subprocess.run(
        [binary, "test", "config", "-c", rendered.folder / f"filebeat-{version}.yml", "--path.data", tmp_path / "data"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_units_are_confined(rendered: Rendered) -> None:
    for unit in ("filebeat.service", "obs-backend.service"):
        text = rendered.text(unit)
        for setting in ("NoNewPrivileges=true", "ProtectSystem=strict", "CapabilityBoundingSet=\n", "PrivateTmp=true"):
            assert setting in text, (unit, setting)


def test_half_unpacked_release_is_unpacked_again(tmp_path: Path) -> None:
    release = tmp_path / "filebeat-7.17.28-linux-x86_64"
    release.mkdir()
    (release / "filebeat").write_text("half of it")
    playbook = tmp_path / "play.yml"
    playbook.write_text("""
- hosts: localhost
  gather_facts: false
  tasks: [{ansible.builtin.import_role: {name: obscraft.fleet.filebeat, tasks_from: install, rolespec_validate: false}}]
""")
    variables = {"filebeat_home": str(tmp_path), "fleet_artifacts_dir": "/nowhere"}
    command = [BIN / "ansible-playbook", "-i", "localhost,", "-c", "local", playbook, "--check"]
    command += ["-e", json.dumps({**variables, "ansible_python_interpreter": sys.executable})]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"), "ANSIBLE_NOCOLOR": "1"}

    def would_unpack() -> bool:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return "7.17.28 would be unpacked" in done.stdout

    assert would_unpack()
    (release / ".unpacked").touch()
    assert not would_unpack()
