"""The start page: its parts fail for themselves, and say again what they said before."""

from __future__ import annotations

from rig.browser import Browser
from rig.console import Console
from tests.browser import steps

#: Has a page repeat its questions when `again` is called, and not after a minute.
_BY_HAND = """
    const asks = [];
    window.setInterval = (ask) => asks.push(ask);
    window.again = () => asks.forEach((ask) => ask());
"""


def test_what_is_said_about_the_shippers_comes_back_after_an_outage(page: Browser, site: Console) -> None:
    with page.running_first(_BY_HAND):
        steps.opened(page, site, "/overview")
    before = page.one("#shippers-note").text
    assert before
    page.run("window.real = fetch; window.fetch = () => Promise.reject(new Error('unplugged')); again()")
    page.wait("the outage", lambda: "unplugged" in page.one("#shippers-note").text)
    page.run("window.fetch = real; again()")
    page.wait("what it said before", lambda: page.one("#shippers-note").text == before)
