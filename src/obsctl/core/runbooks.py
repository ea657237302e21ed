"""The runbook pages: one for the code of each finding."""

from __future__ import annotations

from pathlib import Path

_PAGES = Path(__file__).resolve().parent.parent / "runbooks"


def pages() -> dict[str, Path]:
    """Return the page of each code, in the order of the codes."""
    return {page.stem: page for page in sorted(_PAGES.glob("[A-Z]*.md"))}


def title(page: Path) -> str:
    """Return the sentence that says what a page's code means."""
    return page.read_text(encoding="utf-8").splitlines()[2]
