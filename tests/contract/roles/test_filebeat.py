"""Filebeat's configuration for each release line, and what the real Filebeat does with it where it is built."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rig.filebeat import archive, unpack
from rig.rendered_role import RenderedNode
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
        "vhosts": ("access", "combined"),
    }
    for name, one in inputs.items():
        assert one["type"] == "filestream"
        assert one["fields"]["log_input"] == name
        assert all(path.endswith("*") for path in one["paths"]), "rotated names belong to the input"
        assert "file_identity.native" in one
        assert one["close.on_state_change.renamed"] is False
        assert one["close.on_state_change.removed"] is False


@VERSIONS
def test_only_an_input_of_several_logs_says_so(rendered: Rendered, version: str) -> None:
    """The marker becomes part of a line's identity, so the events of the others must stay as they are."""
    inputs = {one["id"]: one["fields"] for one in _config(rendered, version)["filebeat.inputs"]}
    assert {name for name, fields in inputs.items() if "log_files" in fields} == {"vhosts"}
    assert inputs["vhosts"]["log_files"] == "many"
    (drop,) = _config(rendered, version)["processors"]
    assert not {"log", "log.file", "log.file.path"} & set(drop["drop_fields"]["fields"]), "the consumer reads the path"


@pytest.mark.parametrize(
    ("paths", "many"),
    [
        # One log and its rotated files.
        (["/var/log/nginx/access.log*"], False),
        (["/var/log/nginx/access.log"], False),
        (["/var/log/nginx/access.log", "/var/log/nginx/access.log.1"], False),
        (["/var/log/nginx/access.log", "/var/log/nginx/access.log.[0-9]*"], False),
        (["/var/log/nginx/access.log", "/var/log/nginx/access.log-20*"], False),
        (["/var/log/httpd/access_log*"], False),
        (["/var/log/httpd/access_log", "/var/log/httpd/access_log-????????"], False),
        (["/srv/app/current"], False),
        # Several logs.
        (["/var/log/nginx/*.vhost.log*"], True),
        (["/var/log/nginx/*.log"], True),
        (["/var/log/nginx/*"], True),
        (["/srv/*/access.log*"], True),
        (["/srv/**/access.log*"], True),
        (["/srv/shop[12]/access.log*"], True),
        (["/srv/shop?.access.log"], True),
        (["/srv/a/access.log*", "/srv/b/access.log*"], True),
        (["/srv/access.log", "/srv/error.log"], True),
        # These match access.log and access-ssl.log, or shop.access.log and shop.error.log.
        (["/var/log/nginx/access*"], True),
        (["/var/log/nginx/shop.*"], True),
    ],
)
def test_what_counts_as_one_log(tmp_path: Path, paths: list[str], many: bool) -> None:
    one = {"id": "one", "paths": paths, "log_type": "access", "log_format": "combined"}
    inventory = tmp_path / "hosts.json"
    variables = {"filebeat_inputs": [one], "filebeat_kafka_hosts": ["192.0.2.1:9092"]}
    inventory.write_text(json.dumps({"filebeat": {"hosts": {"node1": variables}}}))
    config = yaml.safe_load(RenderedNode(inventory, "node1", "filebeat").file("filebeat.yml.j2"))
    assert ("log_files" in config["filebeat.inputs"][-1]["fields"]) is many


@pytest.mark.parametrize("name", ["yes", "123", "a: b", "[x", "null"])
@pytest.mark.parametrize("path", ["/srv/a: b/x.log", "/srv/a #b/x.log", '/srv/"a"/x.log', "/srv/{a,b}/x.log"])
def test_ids_and_paths_stay_the_texts_that_they_are(tmp_path: Path, name: str, path: str) -> None:
    """The consumer refuses lines whose ``log_input`` is no text."""
    one = {"id": name, "paths": [path], "log_type": "access", "log_format": "combined"}
    variables = {"filebeat_inputs": [one], "filebeat_kafka_hosts": ["192.0.2.1:9092"]}
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"filebeat": {"hosts": {"node1": variables}}}))
    config = yaml.safe_load(RenderedNode(inventory, "node1", "filebeat").file("filebeat.yml.j2"))
    last = config["filebeat.inputs"][-1]
    assert (last["id"], last["paths"], last["fields"]["log_input"]) == (name, [path], name)


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


@pytest.fixture(scope="module")
def filebeat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, as the hosts get it."""
    if archive() is None:
        pytest.skip("Filebeat is not built: obsctl artifacts build")
    return unpack(tmp_path_factory.mktemp("filebeat"))


def test_filebeat_accepts_it(rendered: Rendered, filebeat: Path, tmp_path: Path) -> None:
    config = rendered.folder / f"filebeat-{FILEBEAT_VERSIONS[0]}.yml"
    done = subprocess.run(
        [filebeat, "test", "config", "-c", config, "--path.data", tmp_path / "data"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


class _Shipper:
    """The real Filebeat with the role's input of the access log, whose events go to files."""

    def __init__(self, rendered: Rendered, filebeat: Path, folder: Path) -> None:
        self.logs, self._out = folder / "log", folder / "out"
        self.logs.mkdir()
        config = _config(rendered, FILEBEAT_VERSIONS[0])
        config["filebeat.inputs"] = config["filebeat.inputs"][:1]
        config["filebeat.inputs"][0]["paths"] = [f"{self.logs}/access.log*"]
        del config["output.kafka"]
        config |= {"output.file": {"path": str(self._out), "filename": "events"}, "http.enabled": False}
        path = folder / "filebeat.yml"
        path.write_text(yaml.safe_dump(config))
        path.chmod(0o600)
        self._command = [filebeat, "-c", path, "--path.data", folder / "data", "--path.logs", folder]

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run it; what it has read is known to it when it runs again."""
        with subprocess.Popen(self._command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
            yield
            process.terminate()

    def messages(self) -> list[str]:
        """All lines that were shipped, sorted."""
        texts = "".join(path.read_text() for path in self._out.glob("events*"))
        return sorted(json.loads(line)["message"] for line in texts.splitlines(keepends=True) if line.endswith("\n"))

    def wait_for(self, message: str) -> list[str]:
        """Wait for a line and return all."""
        for _ in range(600):
            if message in (messages := self.messages()):
                return messages
            time.sleep(0.05)
        pytest.fail(f"{message} was not shipped: {self.messages()}")


@pytest.fixture
def shipper(rendered: Rendered, filebeat: Path, tmp_path: Path) -> _Shipper:
    return _Shipper(rendered, filebeat, tmp_path)


_ARCHIVES = (
    "1.lz4", "1.Z", "1.zip", "1.7z", "1.br", "1.lzma", "1.lzo", "1.gz", "1.GZ", "1.xz", "1.zst", "1.bz2", "1.lz",
    "1.tar", "1.tgz", "1.rar", "1.gpg", "2.gz.1", "1.zst-20261128",
)  # fmt: skip
_LINES = ("1", "2", "20261128", "old", "2026.11.28", "1.log")


def test_rotated_files_are_shipped_and_archives_are_not(shipper: _Shipper) -> None:
    for ending in _ARCHIVES:
        (shipper.logs / f"access.log.{ending}").write_text(f"archive {ending}\n")
    for ending in _LINES:
        (shipper.logs / f"access.log.{ending}").write_text(f"line {ending}\n")
    (shipper.logs / "access.log").write_text("line\n")
    with shipper.running():
        for ending in _LINES:
            shipper.wait_for(f"line {ending}")
        # A second look at the folder.
        (shipper.logs / "access.log-20261129").write_text("last\n")
        assert [message for message in shipper.wait_for("last") if message.startswith("archive")] == []


def test_a_log_that_is_a_link_is_shipped_once_also_after_a_restart(shipper: _Shipper, tmp_path: Path) -> None:
    target, link = tmp_path / "elsewhere.log", shipper.logs / "access.log"
    target.write_text("one\n")
    link.symlink_to(target)
    with shipper.running():
        shipper.wait_for("one")
    with target.open("a") as log:
        log.write("two\n")
    with shipper.running():
        shipper.wait_for("two")
        # Rotation at the target, beyond the input's paths: the open file is read on, the new one from its start.
        target.rename(tmp_path / "elsewhere.log.1")
        target.write_text("four\n")
        with (tmp_path / "elsewhere.log.1").open("a") as log:
            log.write("three\n")
        shipper.wait_for("three")
        assert shipper.wait_for("four") == sorted(["one", "two", "three", "four"])


def test_a_file_under_two_names_of_an_input_is_shipped_once(shipper: _Shipper) -> None:
    """As cronolog and rotatelogs leave it: a file of today, and a link to it."""
    today, link = shipper.logs / "access.log-20261128", shipper.logs / "access.log"
    today.write_text("one\n")
    link.symlink_to(today)
    with shipper.running():
        shipper.wait_for("one")
        with today.open("a") as log:
            log.write("two\n")
        shipper.wait_for("two")
        tomorrow = shipper.logs / "access.log-20261129"
        tomorrow.write_text("three\n")
        link.unlink()
        link.symlink_to(tomorrow)
        shipper.wait_for("three")
        with today.open("a") as log:
            log.write("late\n")
        assert shipper.wait_for("late") == sorted(["one", "two", "three", "late"])


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


def test_with_fleet_tls_it_logs_in_and_its_configuration_holds_no_secret(tmp_path: Path) -> None:
    def written(**variables: Any) -> tuple[dict[str, Any], str]:
        document = yaml.safe_load((ROOT / "tests/contract/inventories/preflight/sound/hosts.yml").read_text())
        document["all"]["vars"] |= {"kafka_filebeat_password": "a-secret", **variables}
        (tmp_path / "hosts.yml").write_text(yaml.safe_dump(document))
        node = RenderedNode(tmp_path / "hosts.yml", "node1", "filebeat")
        text = node.file("filebeat.yml.j2")
        assert "a-secret" not in text
        output: dict[str, Any] = yaml.safe_load(text)["output.kafka"]
        (start,) = [line for line in node.file("filebeat.service.j2").splitlines() if line.startswith("ExecStart=")]
        return output, start

    output, start = written()
    assert (output["hosts"][0], "ssl.enabled" in output) == ("192.168.100.150:9092", False)
    assert "kafka-login.yml" not in start
    for stage in ("offer", "move", "tls"):
        output, start = written(fleet_tls=True, kafka_tls_stage=stage)
        assert output["hosts"][0] == "192.168.100.150:9094"
        assert output["ssl.certificate_authorities"] == ["/etc/obscraft/tls/ca.pem"]
        assert output["ssl.verification_mode"] == "strict", "full compares no name with an address"
        assert output["sasl.mechanism"] == "SCRAM-SHA-512"
        assert " -c /etc/filebeat/filebeat.yml -c /etc/filebeat/kafka-login.yml " in start
