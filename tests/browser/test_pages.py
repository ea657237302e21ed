"""Each page, in both schemes: without a barrier for people, no request elsewhere, not wider than a telephone.

``OBSCTL_GOLDEN=write pytest tests/browser/test_pages.py`` writes the pictures of docs/reference/console.md.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from PIL import Image

from obsctl.console.web.page import ADMINISTRATION, NAVIGATION
from rig.browser import Browser
from rig.console import Console
from tests.browser import steps

#: The address of each page, by the name of its pictures.
PAGES = {
    "login": "/login",
    "overview": "/overview",
    "search": "/search?filter=status%3A%3E%3D400&since=6h",
    "tail": "/tail?filter=status%3A%3E%3D400",
    "live": "/live",
    "traffic": "/traffic?since=6h",
    "errors": "/errors?since=6h",
    "alerts": "/alerts",
    "quarantine": "/quarantine",
    "account": "/account",
    "users": "/users",
    "projects": "/projects",
    "audit": "/audit",
}
#: Those that ask for what this console does not have, and say so.
WITHOUT_KAFKA = {"overview", "tail", "live", "alerts"}
#: The width of a telephone.
NARROW = 360
#: Bytes of a picture in the documentation.
_MOST_BYTES = 80_000


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_barrier_and_asks_no_other_host(
    page: Browser, site: Console, axe_script: str, project: Path, name: str
) -> None:
    for scheme in ("light", "dark"):
        page.prefer(scheme)
        _open(page, site, name)
        _picture(page, project, f"{name}-{scheme}")
        assert page.barriers(axe_script) == [], scheme
        assert page.foreign_requests() == []
        said = page.messages()
        assert [one for one in said if not (name in WITHOUT_KAFKA and one["source"] == "network")] == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_not_wider_than_a_telephone(page: Browser, site: Console, project: Path, name: str) -> None:
    page.width(NARROW)
    _open(page, site, name)
    assert page.sticks_out() == []
    _picture(page, project, f"{name}-narrow")


def _open(page: Browser, site: Console, name: str) -> None:
    if name != "login":
        page.enter_as(site.logged_in("ada" if name in ADMINISTRATION else "vera"))
    page.open(PAGES[name])
    steps.settled(page)
    if name == "search":
        page.click("#lines .open")


def _picture(page: Browser, project: Path, name: str) -> None:
    """Write the picture of a page, where pictures are to be written."""
    if os.environ.get("OBSCTL_GOLDEN") != "write":
        return
    file = project / "docs" / "images" / "console" / f"{name}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(io.BytesIO(page.picture())) as shown:
        shown.convert("RGB").quantize(dither=Image.Dither.NONE).save(file, optimize=True)
    assert file.stat().st_size < _MOST_BYTES


def test_each_page_of_the_navigation_is_looked_at() -> None:
    assert {*NAVIGATION, *ADMINISTRATION} <= set(PAGES)


def test_the_manual_shows_each_page(project: Path) -> None:
    pictures = {f"{name}-{kind}.png" for name in PAGES for kind in ("light", "dark", "narrow")}
    folder = project / "docs" / "images" / "console"
    assert {path.name for path in folder.iterdir()} == pictures
    manual = (project / "docs" / "reference" / "console.md").read_text()
    assert all(f"../images/console/{name}" in manual for name in pictures)
