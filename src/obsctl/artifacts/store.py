"""The artifact folder and its manifest, written so that no reader ever sees an incomplete file."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from obsctl.core.decoding import UndecodableError, decode_json
from obsctl.core.errors import ConfigError

SCHEMA = "obsctl/artifacts/v1"
MANIFEST = "manifest.json"
_WORK_PREFIX = ".work-"

Notify = Callable[[str], None]


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the folder.

    Attributes:
        path: relative to the folder.
        name: what it is (``kafka``, ``filebeat``, the wheel's project name).
        version: of that.
        origin: ``vendor``, ``maven``, ``go-build``, ``pypi`` or ``source``.
        sha256: of the file, hex.
        size_bytes: of the file.
        inputs: digest over everything it was made of; another digest means another artifact.
    """

    path: str
    name: str
    version: str
    origin: str
    sha256: str
    size_bytes: int
    inputs: str


class _Manifest(msgspec.Struct, frozen=True):
    schema: str
    artifacts: tuple[Artifact, ...]


class Store:
    """The folder and its manifest.

    Args:
        root: the folder; it is made when something is put there.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def artifacts(self) -> dict[str, Artifact]:
        """Return what the manifest lists, by path; nothing where there is none.

        Raises:
            ConfigError: the manifest is damaged.
        """
        path = self.root / MANIFEST
        try:
            manifest = decode_json(path.read_bytes(), _Manifest)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
        except UndecodableError as error:
            raise ConfigError(
                f"{path} is damaged: {error}",
                hint=f"remove it; `obsctl artifacts build --dest {self.root}` builds it again",
            ) from None
        return {artifact.path: artifact for artifact in manifest.artifacts}

    def files(self) -> list[str]:
        """Return the artifacts' files that are there, listed or not, as paths relative to the folder."""
        return sorted(str(path.relative_to(self.root)) for path in self.root.glob("[!.]*/**/*") if path.is_file())

    def intact(self, artifact: Artifact) -> bool:
        """Return whether the file is there, byte for byte as it was put."""
        path = self.root / artifact.path
        try:
            return path.stat().st_size == artifact.size_bytes and sha256(path) == artifact.sha256
        except OSError:
            return False

    def put(self, made: Path, *, path: str, name: str, version: str, origin: str, inputs: str) -> Artifact:
        """Copy a file into the folder and list it; readers see the old file or the new one, never a part."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        # Beside its final place, for a rename is atomic within one file system only.
        with self.workspace() as work:
            copy = work / target.name
            shutil.copyfile(made, copy)
            copy.chmod(0o644)
            artifact = Artifact(
                path=path,
                name=name,
                version=version,
                origin=origin,
                sha256=sha256(copy),
                size_bytes=copy.stat().st_size,
                inputs=inputs,
            )
            copy.replace(target)
        self._write({**self.artifacts(), path: artifact})
        return artifact

    def remove(self, paths: Iterable[str]) -> None:
        """Delete files of the folder and take them off the list."""
        gone = set(paths)
        for path in gone:
            (self.root / path).unlink(missing_ok=True)
        self._write({path: artifact for path, artifact in self.artifacts().items() if path not in gone})

    @contextlib.contextmanager
    def workspace(self) -> Iterator[Path]:
        """Give a scratch folder on the same file system, which is gone afterwards, also after Ctrl-C."""
        self.root.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=_WORK_PREFIX, dir=self.root))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)

    @contextlib.contextmanager
    def exclusive(self, notify: Notify) -> Iterator[None]:
        """Hold the folder against a second build, and clear what a killed one left behind.

        Raises:
            ConfigError: the folder cannot be made.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            handle = (self.root / ".lock").open("w")
        except OSError as error:
            raise ConfigError(f"the artifact folder {self.root} cannot be written: {error.strerror}") from None
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                notify(f"another build writes to {self.root}; waiting for it")
                fcntl.flock(handle, fcntl.LOCK_EX)
            for left in self.root.glob(f"{_WORK_PREFIX}*"):
                shutil.rmtree(left, ignore_errors=True)
            yield

    def _write(self, artifacts: dict[str, Artifact]) -> None:
        ordered = tuple(artifacts[path] for path in sorted(artifacts))
        with self.workspace() as work:
            new = work / MANIFEST
            new.write_bytes(msgspec.json.format(msgspec.json.encode(_Manifest(SCHEMA, ordered)), indent=2) + b"\n")
            new.replace(self.root / MANIFEST)


def sha256(path: Path) -> str:
    """Return a file's SHA-256, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
