"""The pages of errors and of the quarantine: what is chosen is the address, and the browser's way back restores it."""

from __future__ import annotations

import pytest

from rig.browser import Browser
from rig.console import Console
from tests.browser import steps


@pytest.mark.parametrize(
    ("opened", "field", "chosen"),
    [("/errors?since=6h", "order", "recent"), ("/quarantine?since=7d", "reason", "parse")],
)
def test_what_is_chosen_is_the_address(page: Browser, site: Console, opened: str, field: str, chosen: str) -> None:
    steps.opened(page, site, opened, "olga")
    before = page.one(f"[name={field}]").get_property("value")
    page.choose(f"[name={field}]", chosen)
    page.click("#go")
    page.wait("the choice", lambda: page.asked.get(field) == chosen)
    steps.settled(page)
    page.driver.back()
    page.wait("the address before", lambda: field not in page.asked)
    assert page.one(f"[name={field}]").get_property("value") == before
    page.driver.forward()
    page.wait("the choice again", lambda: page.one(f"[name={field}]").get_property("value") == chosen)
    page.choose("[name=since]", "")
    assert page.one("[name=begin]").is_displayed()
