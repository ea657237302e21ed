"""The wheel of the native module: when it is built again, and why it may not be."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from obsctl.artifacts import native
from obsctl.artifacts.lock import load
from obsctl.core.errors import MissingDependencyError

TOOLS = load().native


@pytest.fixture
def tree(tmp_path: Path, project: Path) -> Path:
    """A source tree that may be changed."""
    shutil.copytree(project / native.FOLDER, tmp_path / native.FOLDER, ignore=shutil.ignore_patterns("target"))
    return tmp_path


def test_other_sources_are_another_version(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = [native.inputs(tree, TOOLS), native.inputs(tree, TOOLS | {"zig.whl": "1"})]
    with (tree / native.FOLDER / "src" / "lib.rs").open("a") as source:
        source.write("// changed\n")
    digests.append(native.inputs(tree, TOOLS))
    monkeypatch.setattr(native, "revision", lambda: "another")
    digests.append(native.inputs(tree, TOOLS))
    names = {native.file_name(native.version(tree, digest)) for digest in digests}
    assert len(names) == len(digests)
    assert all(name.startswith("obscraft_native-0.1.0+") for name in names)


def _with_cargo(folder: Path, monkeypatch: pytest.MonkeyPatch, said: str | None) -> None:
    if said is not None:
        program = folder / "cargo"
        program.write_text(f"#!/bin/sh\necho '{said}'\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (None, "this machine has no cargo"),
        ("cargo 1.63.0 (fd9c4297c 2022-07-01)", "this machine's cargo is 1.63, older than 1.85"),
        ("", "this machine's cargo is not usable, older than 1.85"),
    ],
)
def test_why_it_cannot_be_built(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch, said: str | None, why: str
) -> None:
    _with_cargo(tmp_path, monkeypatch, said)
    with pytest.raises(MissingDependencyError, match=why):
        native.make(project, "0.1.0+x", TOOLS, tmp_path, lambda _: None)
