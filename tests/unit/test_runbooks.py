"""Every code that a finding or an error can carry has its page, and no page is left over."""

from __future__ import annotations

import re
from pathlib import Path

_CODE = re.compile(r'"((?:LB|VIP|KAFKA|CONSUMER)_[A-Z_]+)"')


def test_every_code_of_these_layers_has_its_page(project: Path) -> None:
    sources = [path for folder in ("checks", "collect") for path in (project / "src/obsctl" / folder).glob("*.py")]
    codes = {code for path in sources for code in _CODE.findall(path.read_text(encoding="utf-8"))}
    pages = {path.stem for path in (project / "docs/runbooks").glob("*.md") if _CODE.match(f'"{path.stem}"')}
    assert codes == pages


def test_a_page_begins_with_its_code_and_one_sentence(project: Path) -> None:
    for page in (project / "docs/runbooks").glob("[A-Z]*.md"):
        title, blank, sentence, *rest = page.read_text(encoding="utf-8").splitlines()
        assert title == f"# {page.stem}"
        assert blank == ""
        assert sentence.endswith("."), page.name
        assert "## What to do" in rest, page.name
