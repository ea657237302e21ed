"""The project's wheel and the wheels of everything it needs, for each target Python."""

from __future__ import annotations

import hashlib
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import obsctl
from obsctl.artifacts.errors import BuildError, ChecksumError
from obsctl.artifacts.programs import Notify, run
from obsctl.artifacts.store import sha256
from obsctl.core.errors import MissingDependencyError

#: What the back ends run on, beside the project's own dependencies.
BACKEND_REQUIREMENTS = ("flask>=3.0", "gunicorn>=23.0")

#: Extras that the roles install on hosts which need them.
HOST_EXTRAS = ("apprise", "console", "redis")

#: glibc 2.28 is that of EL 8, the oldest target with a Python 3.11; wheels for older ones run there as well.
_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")

#: What the project's wheel is made of, relative to the root of its source tree.
_SOURCES = ("pyproject.toml", "README.md", "LICENSE", "src/obsctl", "docs/runbooks", "templates")


def source_tree() -> Path:
    """Return the root of the project's source tree.

    Raises:
        MissingDependencyError: this obsctl was installed from a wheel.
    """
    root = Path(obsctl.__file__).resolve().parents[2]
    if not (root / "pyproject.toml").is_file():
        raise MissingDependencyError(
            "the project's wheel is built from its source tree, and this obsctl was installed without one",
            hint="run .venv/bin/obsctl of a checkout",
        )
    return root


def project_wheel(root: Path) -> tuple[str, str]:
    """Return the name and the version of the wheel that the source tree makes."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return project["name"], project["version"]


def requirements(root: Path) -> list[str]:
    """Return what the wheels have to satisfy: the project's dependencies, its extras for hosts, and the back ends."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = [text for extra in HOST_EXTRAS for text in project["optional-dependencies"][extra]]
    return [*project["dependencies"], *extras, *BACKEND_REQUIREMENTS]


def source_digest(root: Path) -> str:
    """Return the digest of all files that the project's wheel is made of."""
    digest = hashlib.sha256()
    for path in _source_files(root):
        digest.update(f"{path.relative_to(root)}\0{sha256(path)}\n".encode())
    return digest.hexdigest()


def build_project(root: Path, work: Path, notify: Notify) -> Path:
    """Build the project's wheel in ``work`` and return it.

    Raises:
        BuildError: pip failed.
    """
    out = work / "project"
    argv = [*_pip("wheel"), "--no-deps", "--wheel-dir", str(out), str(root)]
    run(argv, what="the project's wheel", notify=notify)
    built = list(out.glob("*.whl"))
    if len(built) != 1:
        raise BuildError(f"the project's wheel: pip left {len(built)} files instead of one")
    return built[0]


def name_and_version(wheel: str) -> tuple[str, str]:
    """Return project and version from a wheel's file name."""
    name, version = wheel.split("-")[:2]
    return name, version


def download(locked: dict[str, str], python: str, out: Path, notify: Notify) -> list[Path]:
    """Fetch exactly these wheels.

    Args:
        locked: file name to SHA-256; pip refuses anything else.
        python: of the hosts, such as ``3.11``.
        out: the folder they go to.
        notify: receives progress.

    Raises:
        ChecksumError: the index has another file under that name.
        BuildError: pip failed.
    """
    out.mkdir(parents=True, exist_ok=True)
    wanted = out / "requirements.txt"
    wanted.write_text(
        "".join("{}=={} --hash=sha256:{}\n".format(*name_and_version(name), locked[name]) for name in sorted(locked))
    )
    argv = [*_pip("download"), "--no-deps", "--require-hashes", "--requirement", str(wanted), *_target(python, out)]
    try:
        run(argv, what=f"wheels for Python {python}", notify=notify, fetched="Downloading|Using cached")
    except BuildError as error:
        refused = re.search(r"(\S+==\S+) from.*?Expected sha256 (\w+).*?Got\s+(\w+)", error.said, re.DOTALL)
        if refused:
            raise ChecksumError(f"{refused[1]} for Python {python}", refused[2], refused[3]) from None
        raise
    for name, expected in sorted(locked.items()):
        got = sha256(out / name) if (out / name).exists() else "no such file"
        if got != expected:
            raise ChecksumError(name, expected, got)
    return [out / name for name in sorted(locked)]


def resolve(wanted: Sequence[str], python: str, out: Path, notify: Notify) -> dict[str, str]:
    """Let pip choose wheels that satisfy the requirements, and return file name to SHA-256.

    Raises:
        BuildError: pip failed; one reason is a dependency without a wheel.
    """
    out.mkdir(parents=True, exist_ok=True)
    argv = [*_pip("download"), *_target(python, out), *wanted]
    run(argv, what=f"wheels for Python {python}", notify=notify, fetched="Downloading|Using cached")
    return {path.name: sha256(path) for path in sorted(out.glob("*.whl"))}


def _target(python: str, out: Path) -> list[str]:
    platforms = [word for platform in _PLATFORMS for word in ("--platform", platform)]
    return ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}", *platforms, "--dest", str(out)]


def _pip(command: str) -> list[str]:
    return [sys.executable, "-m", "pip", command, "--disable-pip-version-check", "--progress-bar=off", "--no-input"]


def _source_files(root: Path) -> Iterator[Path]:
    for name in _SOURCES:
        top = root / name
        files = [top] if top.is_file() else sorted(top.rglob("*"))
        yield from (path for path in files if path.is_file() and "__pycache__" not in path.parts)
