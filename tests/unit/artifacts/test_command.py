"""``obsctl artifacts`` as people call it: exit codes, findings and their pages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from obsctl.artifacts import lock, wheels
from obsctl.artifacts.store import Store
from obsctl.cli.main import run
from obsctl.core.errors import ExitCode


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An artifact folder with one locked wheel (a stand-in for its bytes) and the project's own."""
    store = Store(tmp_path / "artifacts")
    made = tmp_path / "made"
    made.write_text("bytes")
    name, checksum = next(iter(lock.load().wheels["3.11"].items()))
    wheel, version = wheels.name_and_version(name)
    store.put(made, path=f"wheels/py3.11/{name}", name=wheel, version=version, origin="pypi", inputs=checksum)
    store.put(made, path="wheels/py3.11/own.whl", name="obscraft", version="0.1", origin="source", inputs="tree")
    return store.root


def _verify(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[ExitCode, list[tuple[str, str]]]:
    code = run(["artifacts", "verify", "--dest", str(folder), "-o", "json"])
    report = json.loads(capsys.readouterr().out)
    return code, [(finding["code"], finding["severity"]) for finding in report["findings"]]


def test_a_whole_folder_verifies(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _verify(folder, capsys) == (ExitCode.OK, [])


def test_no_folder_is_critical(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _verify(tmp_path / "none", capsys) == (ExitCode.CRITICAL, [("ARTIFACT_NONE", "critical")])
    assert not (tmp_path / "none").exists()


def test_each_fault_has_its_code(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = folder / "wheels/py3.11/own.whl"
    own.write_text("BYTES")
    assert _verify(folder, capsys) == (ExitCode.CRITICAL, [("ARTIFACT_CHANGED", "critical")])
    own.unlink()
    assert _verify(folder, capsys) == (ExitCode.CRITICAL, [("ARTIFACT_MISSING", "critical")])
    Store(folder).remove(["wheels/py3.11/own.whl"])
    (folder / "wheels/py3.11/foreign.whl").write_text("x")
    assert _verify(folder, capsys) == (ExitCode.WARNING, [("ARTIFACT_UNLISTED", "warning")])
    (folder / "wheels/py3.11/foreign.whl").unlink()
    made = folder.parent / "made"
    Store(folder).put(made, path="kafka/k.tgz", name="kafka", version="3.9.1", origin="maven", inputs="older")
    assert _verify(folder, capsys) == (ExitCode.WARNING, [("ARTIFACT_OUTDATED", "warning")])


def test_a_folder_that_was_seen_is_judged_elsewhere(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "wheels/py3.11/own.whl").write_text("BYTES")
    saved = str(tmp_path / "seen.json")
    run(["artifacts", "verify", "--dest", str(folder), "--save-snapshot", saved, "-o", "json"])
    here = json.loads(capsys.readouterr().out)
    assert run(["artifacts", "verify", "--from-file", saved, "-o", "json"]) == ExitCode.CRITICAL
    elsewhere = json.loads(capsys.readouterr().out)
    assert elsewhere | {"took_ms": 0} == here | {"took_ms": 0}


@pytest.mark.parametrize("option", ["--kafka-version", "--filebeat-version", "--python"])
def test_a_version_that_is_not_locked_is_refused(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["artifacts", "build", "--dest", str(tmp_path / "a"), option, "9.99"]) is ExitCode.CONFIG
    assert "the lock holds no checksums for" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_a_dry_run_tells_all_parts_and_touches_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["artifacts", "build", "--dry-run", "--dest", str(tmp_path / "a"), "-o", "json"]) is ExitCode.OK
    data = json.loads(capsys.readouterr().out)["data"]
    paths = {row["path"] for row in data["artifacts"]}
    assert {
        "kafka/kafka_2.13-3.9.1.tgz",
        "filebeat/filebeat-7.17.28-linux-x86_64.tar.gz",
        "wheels/py3.12/flask-3.1.3-py3-none-any.whl",
    } <= paths
    assert any(path.startswith("wheels/py3.11/obscraft-") for path in paths)
    assert {row["action"] for row in data["artifacts"]} == {"missing"}
    assert not (tmp_path / "a").exists()


def test_its_help_loads_no_client(project: Path) -> None:
    script = "import sys; from obsctl.cli.main import run; run(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", script, "artifacts", "build", "--help"], capture_output=True, text=True, check=True
    )
    assert not {"urllib3", "obsctl.artifacts.plan"} & set(done.stderr.split())
    assert "--dry-run" in done.stdout
