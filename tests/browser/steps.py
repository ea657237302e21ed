"""What several tests do on the pages."""

from __future__ import annotations

from urllib.parse import urlencode

from rig.browser import Browser
from rig.console import Console, password_of


def settled(page: Browser) -> None:
    """Wait until the page shows what it was opened for."""
    ready = {
        "/search": "const line = document.getElementById('progress').textContent;"
        "return document.getElementById('stop').hidden && (line || !document.getElementById('trouble').hidden)",
        "/overview": "return document.querySelector('#charts canvas') && document.querySelector('#layers tbody tr')"
        " && document.querySelector('#shippers tbody tr')",
        "/tail": "return document.getElementById('progress').textContent || !document.getElementById('trouble').hidden",
        "/live": "return document.querySelector('#charts canvas') || !document.getElementById('trouble').hidden",
        "/traffic": "return document.querySelectorAll('#charts canvas').length === 3",
        # The console counts them when it starts.
        "/errors": "return document.querySelector('#errors tbody tr')",
        "/alerts": "return ['firing', 'silences', 'history', 'rules'].every((name) =>"
        " document.getElementById(`${name}-note`).textContent || !document.getElementById(name).hidden)",
        "/quarantine": "return document.getElementById('progress').textContent",
        "/users": "return document.querySelector('#users tbody tr')",
        "/projects": "return document.querySelector('#projects tbody tr')",
        "/audit": "return document.querySelector('#changes tbody tr')",
    }.get(page.path, "return document.readyState === 'complete'")
    page.wait("the page is ready", lambda: page.run(ready))


def log_in(page: Browser, name: str, password: str | None = None) -> None:
    """Fill in the form that the browser shows, and send it."""
    page.write("input[name=name]", name)
    page.write("input[name=password]", password_of(name) if password is None else password)
    page.click(".login button")


def opened(page: Browser, site: Console, path: str, name: str = "vera") -> None:
    """Open a page as a user, and wait until it shows what it was opened for."""
    page.enter_as(site.logged_in(name))
    page.open(path)
    settled(page)


def search(page: Browser, site: Console, name: str = "vera", **asked: str) -> None:
    """Open the search of these parameters as a user, and wait for its end."""
    opened(page, site, f"/search?{urlencode(asked)}", name)


def found(page: Browser, column: str) -> list[str]:
    """Return the texts of a column of the lines that are shown."""
    return page.texts(f"#lines td.{column}")
