"""The wheel of the native module, built with cargo: the only optional artifact.

One wheel serves all Pythons of the hosts (stable ABI) and every glibc from 2.17 on, whatever the building machine has:
zig links it. maturin and zig come from the package index, checked against the lock; the crates from cargo's registry,
checked against ``Cargo.lock``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from obsctl.artifacts import wheels
from obsctl.artifacts.errors import BuildError
from obsctl.artifacts.lock import digest
from obsctl.artifacts.programs import Notify, run
from obsctl.artifacts.store import sha256
from obsctl.core.errors import MissingDependencyError
from obsctl.lines.native import revision

NAME = "obscraft_native"
#: Its sources, relative to the project's root.
FOLDER = "native"
#: What builds it; both are of no use without the other's version that the lock has.
TOOLS = ("maturin>=1.9,<2", "ziglang>=0.13")
_TARGET = "x86_64-unknown-linux-gnu"
_PLATFORM = "manylinux2014"
_TAGS = "cp39-abi3-manylinux2014_x86_64.manylinux_2_17_x86_64"


def inputs(root: Path, tools: dict[str, str]) -> str:
    """Return the digest of everything that the wheel is made of, and of what it mirrors.

    Args:
        root: the project's source tree.
        tools: the wheels of maturin and zig, file name to SHA-256.
    """
    files = {str(path.relative_to(root)): sha256(path) for path in _sources(root)}
    return digest("native", files, tools, revision(), _TARGET, _PLATFORM)


def version(root: Path, made_of: str) -> str:
    """Return the wheel's version: it names what the wheel is made of, so that hosts see another one as another one."""
    return f"{_manifest(root)['package']['version']}+{made_of[:12]}"


def file_name(of_version: str) -> str:
    """Return the wheel's file name."""
    return f"{NAME}-{of_version}-{_TAGS}.whl"


def make(root: Path, of_version: str, tools: dict[str, str], work: Path, notify: Notify) -> Path:
    """Build the wheel in ``work`` and return it.

    Raises:
        MissingDependencyError: this machine has no cargo, or one that is too old.
        BuildError: pip, cargo or maturin failed.
        ChecksumError: the package index has other tools than the lock.
    """
    _require_cargo(_manifest(root)["package"]["rust-version"])
    notify("the native module: fetching maturin and zig")
    fetched = wheels.download(tools, "3.11", work / "tool-wheels", notify)
    place = work / "tools"
    argv = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    run([*argv, "--target", str(place), *map(str, fetched)], what="maturin", notify=notify)
    source = work / FOLDER
    for path in _sources(root):
        copy = source / path.relative_to(root / FOLDER)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    project = source / "pyproject.toml"
    project.write_text(project.read_text().replace('dynamic = ["version"]', f'version = "{of_version}"'))
    notify("the native module: building (about half a minute)")
    run(
        [
            *(str(place / "bin" / "maturin"), "build", "--release", "--locked", "--zig"),
            *("--target", _TARGET, "--compatibility", _PLATFORM, "--interpreter", sys.executable),
            *("--manifest-path", str(source / "Cargo.toml"), "--out", str(work / "native-wheel")),
        ],
        what="the native module",
        notify=notify,
        env={"PYTHONPATH": str(place), "OBSCTL_NATIVE_REVISION": revision()},
        fetched="Downloaded",
        attempts=2,
    )
    built = work / "native-wheel" / file_name(of_version)
    if not built.is_file():
        found = ", ".join(path.name for path in built.parent.iterdir())
        raise BuildError(f"the native module: maturin made {found} instead of {built.name}")
    return built


def _require_cargo(oldest: str) -> None:
    program = shutil.which("cargo")
    if program is None:
        raise MissingDependencyError("this machine has no cargo", hint=f"install Rust {oldest} or newer")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"\d+\.\d+", said)
    if found is None or _numbers(found[0]) < _numbers(oldest):
        raise MissingDependencyError(
            f"this machine's cargo is {found[0] if found else 'not usable'}, older than {oldest}",
            hint=f"install Rust {oldest} or newer",
        )


def _manifest(root: Path) -> dict[str, dict[str, str]]:
    return tomllib.loads((root / FOLDER / "Cargo.toml").read_text())


def _sources(root: Path) -> list[Path]:
    folder = root / FOLDER
    return [folder / name for name in ("Cargo.lock", "Cargo.toml", "pyproject.toml")] + sorted(folder.glob("src/*.rs"))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
