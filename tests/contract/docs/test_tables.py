"""Tables of the documentation: each row has the cells of its head, so that none is shown cut, and no text is lost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
#: A border between cells; one after a backslash is part of a cell.
_BORDER = re.compile(r"(?<!\\)\|")


def _cells(row: str) -> int:
    return len(_BORDER.findall(row)) - 1 if row.rstrip().endswith("|") else -1


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_row_has_the_cells_of_its_head(page: Path):
    head, is_code = 0, False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        is_code ^= line.lstrip().startswith("```")
        if is_code or not line.startswith("|"):
            head = 0
            continue
        head = head or _cells(line)
        assert _cells(line) == head > 0, f"{page}:{number}"
