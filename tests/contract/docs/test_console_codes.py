"""The codes that docs/reference/console.md lists for the API's errors are those that the program can answer with."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from starlette.exceptions import HTTPException

from obsctl.console.web.problems import of_framework

_PROJECT = Path(__file__).resolve().parents[3]
_PAGE = _PROJECT / "docs/reference/console.md"
#: What the framework refuses: a body that cannot be read, an unknown path, a method that a path does not have.
_OF_FRAMEWORK = (400, 404, 405)


def written() -> Iterator[tuple[int, str]]:
    """Yield status and code of each error in the source."""
    for path in sorted((_PROJECT / "src/obsctl/console").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(ast.Name("ProblemError"), [ast.Constant(int(status)), ast.Constant(str(code)), *_]):
                    yield status, code
                case ast.Call(ast.Name("given"), [_, ast.Constant(str(code))]):
                    yield 503, code


def listed() -> set[tuple[int, str]]:
    """Return status and code of each error in the manual's table."""
    _, _, after = _PAGE.read_text(encoding="utf-8").partition("| status | `code` |\n")
    rows = re.findall(r"^\| (\d{3}) \| (.+) \|$", after.partition("\n\n")[0], re.MULTILINE)
    # What stands in brackets explains a code.
    plain = [(int(status), re.sub(r" \([^)]*\)", "", cell)) for status, cell in rows]
    return {(status, code) for status, cell in plain for code in re.findall(r"`([a-z-]+)`", cell)}


def test_the_manual_lists_each_code_with_its_status() -> None:
    by_framework = {(status, of_framework(HTTPException(status)).code) for status in _OF_FRAMEWORK}
    assert listed() == set(written()) | by_framework
