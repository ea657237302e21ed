"""The files of one package, on their way from Debian's places to EL's."""

from __future__ import annotations

import glob
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path


class Tree:
    """A directory that stands for ``/``. Paths are written as they are on a host, with or without the first slash.

    Args:
        root: the directory.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def at(self, path: str) -> Path:
        """Return where the host's path is on this machine."""
        return self.root / path.lstrip("/")

    def remove(self, patterns: Iterable[str]) -> None:
        """Remove what matches; a pattern that nothing matches is no error."""
        for pattern in patterns:
            # glob's own, because a path's glob does not see a link whose target is gone.
            for name in glob.glob(pattern.lstrip("/"), root_dir=self.root):  # noqa: PTH207
                found = self.at(name)
                if found.is_dir() and not found.is_symlink():
                    shutil.rmtree(found)
                else:
                    found.unlink()

    def move(self, source: str, target: str) -> None:
        """Move a file or a directory."""
        self.at(target).parent.mkdir(parents=True, exist_ok=True)
        self.at(source).rename(self.at(target))

    def link(self, path: str, to: str) -> None:
        """Make a symbolic link."""
        self.at(path).parent.mkdir(parents=True, exist_ok=True)
        self.at(path).symlink_to(to)

    def add(self, files: Path) -> None:
        """Copy a directory's content over the tree, files with their modes; replaces what is there."""
        for source in sorted(path for path in files.rglob("*") if path.is_file()):
            target = self.at(str(source.relative_to(files)))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.copy(source, target)

    def merge_usr(self) -> None:
        """Move ``/bin``, ``/lib`` and their like below ``/usr``, where EL has them."""
        for name in ("bin", "sbin", "lib", "lib64"):
            old = self.at(name)
            if old.is_dir() and not old.is_symlink():
                shutil.copytree(old, self.at(f"usr/{name}"), symlinks=True, dirs_exist_ok=True)
                shutil.rmtree(old)

    def files(self) -> Iterator[str]:
        """Yield the host's path of every file and link, sorted."""
        for path in sorted(self.root.rglob("*")):
            if path.is_symlink() or not path.is_dir():
                yield f"/{path.relative_to(self.root)}"

    def empty_directories(self) -> Iterator[str]:
        """Yield the host's path of every directory that holds nothing, sorted."""
        for path in sorted(self.root.rglob("*")):
            if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
                yield f"/{path.relative_to(self.root)}"
