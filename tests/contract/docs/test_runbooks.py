"""Every code that a finding or an error can carry has its page, and no page is left over."""

from __future__ import annotations

import ast
import re
from pathlib import Path

_PARTS = "ALERT|ARTIFACT|CONSUMER|HEALTH|KAFKA|LAB|LB|VIP"
_CODE = re.compile(rf"(?:{_PARTS})_[A-Z_]*[A-Z]")
_BEGINNING = re.compile(rf"(?:{_PARTS})_")


def test_every_code_has_its_page(project: Path) -> None:
    codes = {
        node.value
        for path in (project / "src/obsctl").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _CODE.fullmatch(node.value)
    }
    assert codes == {path.stem for path in (project / "docs/runbooks").glob("*.md")}


def test_a_code_is_written_out_where_it_is_used(project: Path) -> None:
    """A code that is put together from pieces cannot be searched for, nor be seen by the test above."""
    for path in (project / "src/obsctl").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
                assert not _BEGINNING.match(str(node.values[0].value)), f"{path}:{node.lineno}"


def test_a_page_begins_with_its_code_and_one_sentence(project: Path) -> None:
    for page in (project / "docs/runbooks").glob("[A-Z]*.md"):
        title, blank, sentence, *rest = page.read_text(encoding="utf-8").splitlines()
        assert title == f"# {page.stem}"
        assert blank == ""
        assert sentence.endswith("."), page.name
        assert "## What to do" in rest, page.name
