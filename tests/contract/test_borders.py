"""Borders that the import contracts of pyproject.toml cannot see."""

from __future__ import annotations

import ast
from pathlib import Path


def test_a_benchmark_imports_nothing_of_the_tests_but_the_rig(project: Path) -> None:
    scripts = [path for path in (project / "bench").iterdir() if path.is_file()]
    assert scripts
    for path in scripts:
        text = path.read_text(encoding="utf-8")
        if path.suffix != ".py" and "python" not in text.partition("\n")[0]:
            continue
        for node in ast.walk(ast.parse(text)):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [name for name in names if name.split(".")[0] == "tests"], f"{path}:{node.lineno}"
