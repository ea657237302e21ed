"""A project in the browser: an administrator makes it, and its member sees its lines and no others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rig.browser import Browser
from rig.console import Console
from tests.browser import steps
from tests.browser.lines import ACCESS


@pytest.fixture
def _afterwards(site: Console) -> Iterator[None]:
    yield
    with site.rows() as cursor:
        cursor.execute("DELETE FROM console_member")
        cursor.execute("DELETE FROM console_project WHERE name = 'failures'")


@pytest.mark.usefixtures("_afterwards")
def test_a_member_sees_the_lines_of_the_project_and_no_others(page: Browser, site: Console) -> None:
    steps.opened(page, site, "/projects", "ada")
    page.write("#project [name=name]", "failures")
    page.write("#project [name=access]", "status:502")
    member = next(one for one in page.all("#project [name=members] option") if one.text == "vera")
    member.click()
    page.click("#project button")
    page.wait("the project", lambda: "failures" in page.texts("#projects td:first-child"))

    steps.search(page, site, log="access", filter="host:node1", since="6h")
    failures = [line.uri for line in ACCESS if line.status == 502 and line.host == "node1"]
    assert steps.found(page, "uri") == failures[: len(steps.found(page, "uri"))]
    assert set(steps.found(page, "status")) == {"502"}
    # What a person writes cannot lead out of it.
    steps.search(page, site, log="access", filter="status:200 OR NOT status:502", since="6h")
    assert steps.found(page, "status") == []
    steps.search(page, site, log="error", since="6h")
    assert steps.found(page, "level") == []
