"""Programs that are built from a Go module, for runs beside ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec


class GoModule(NamedTuple):
    """A module by name and version, and what it has to contain.

    Attributes:
        path: such as github.com/redpanda-data/connect/v4.
        version: its tag.
        sum: of its files, its go.sum included, which covers every dependency.
        mod_sum: of its go.mod.
    """

    path: str
    version: str
    sum: str
    mod_sum: str

    def download(self, folder: Path) -> Path:
        """Return the folder with its source, checked against the sums; ``folder`` is where the go command runs."""
        if shutil.which("go") is None:
            sys.exit(f"{self.path} is built from its source and needs Go: install it and put it on the PATH")
        said = go(["mod", "download", "-json", f"{self.path}@{self.version}"], folder)
        found = msgspec.json.decode(said, type=_Downloaded)
        if (found.sum, found.go_mod_sum) != (self.sum, self.mod_sum):
            sys.exit(f"{self.path} {self.version} is not what it was: expected {self.sum}, got {found.sum}")
        return Path(found.dir)


class _Downloaded(msgspec.Struct, rename="pascal"):
    dir: str
    sum: str
    go_mod_sum: str


def go(arguments: Sequence[str], folder: Path, settings: Mapping[str, str] | None = None) -> bytes:
    """Run the go command and return what it printed; its failure ends the benchmark."""
    # Sums are checked against those of the modules; a checksum server is not reachable everywhere.
    env = {"GOFLAGS": "-mod=readonly", "GONOSUMDB": "*", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", **(settings or {})}
    done = subprocess.run(["go", *arguments], cwd=folder, env={**os.environ, **env}, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"go {arguments[0]} failed:\n{done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout
