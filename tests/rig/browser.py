"""Chromium without a window, as a person uses it: what is on the page, the keyboard, the mouse, and what went wrong."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import requests
from selenium import webdriver
from selenium.webdriver.chrome.remote_connection import ChromeRemoteConnection
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.command import Command
from selenium.webdriver.remote.webelement import WebElement

from rig.console import Console
from rig.ending import with_us
from rig.ports import free_port
from rig.waiting import wait_for

T = TypeVar("T")

#: The pages are looked at in this size, in pixels.
WIDTH, HEIGHT = 1280, 800
#: A press of the tab key more, and the element cannot be reached.
_MOST_TABS = 60


def missing_browser() -> str:
    """Return why no browser can be started here, or an empty string."""
    absent = [package for package, program in _PROGRAMS.items() if shutil.which(program) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


_PROGRAMS = {"chromium": "chromium", "chromium-driver": "chromedriver"}


class Browser:
    """A running browser.

    Args:
        driver: the way to it.
        downloads: folder where files arrive that are saved.
    """

    def __init__(self, driver: webdriver.Remote, downloads: Path) -> None:
        self.driver = driver
        self.downloads = downloads
        self.site = ""
        self._devtools("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))

    def fresh(self, console: Console) -> None:
        """Begin as somebody who has never been on this console: no cookie, no message, light, wide."""
        self.site = console.url
        self.driver.get("about:blank")
        self._devtools("Network.clearBrowserCookies")
        for file in self.downloads.iterdir():
            file.unlink()
        self.prefer("light")
        self.width(WIDTH)
        self.messages()

    def _devtools(self, command: str, **parameters: Any) -> Any:
        return self.driver.execute("executeCdpCommand", {"cmd": command, "params": parameters})["value"]

    # -- what a person sets up

    def prefer(self, scheme: str) -> None:
        """Prefer pages of a scheme, ``light`` or ``dark``."""
        self._devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def width(self, pixels: int) -> None:
        """Have a window of this width."""
        self._devtools(
            "Emulation.setDeviceMetricsOverride", width=pixels, height=HEIGHT, deviceScaleFactor=1, mobile=False
        )

    def enter_as(self, session: requests.Session) -> None:
        """Take over the login of a session without a page."""
        for cookie in session.cookies:
            self._devtools("Network.setCookie", name=cookie.name, value=cookie.value, url=self.site, httpOnly=True)

    @contextlib.contextmanager
    def running_first(self, script: str) -> Iterator[None]:
        """Run a script in each page that is opened meanwhile, before those of the page."""
        made = self._devtools("Page.addScriptToEvaluateOnNewDocument", source=script)
        try:
            yield
        finally:
            self._devtools("Page.removeScriptToEvaluateOnNewDocument", identifier=made["identifier"])

    # -- what is on the page

    def open(self, path: str) -> None:
        """Go to an address of the console."""
        self.driver.get(self.site + path)

    @property
    def path(self) -> str:
        """The path that the address names now."""
        return urlsplit(str(self.driver.current_url)).path

    @property
    def asked(self) -> dict[str, str]:
        """The parameters that the address has now."""
        query = urlsplit(str(self.driver.current_url)).query
        return {name: value for name, (value,) in parse_qs(query, keep_blank_values=True).items()}

    def run(self, script: str, *values: Any) -> Any:
        """Return what a function's body in the page returns; the values are its ``arguments``."""
        return self.driver.execute_script(script, *values)

    def one(self, selector: str) -> WebElement:
        """Return the element that fits, as soon as it is visible."""

        def visible() -> WebElement | None:
            return next((found for found in self.all(selector) if found.is_displayed()), None)

        return self.wait(f"{selector} is visible", visible)

    def all(self, selector: str) -> list[WebElement]:
        """Return the elements that fit now."""
        return list(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def texts(self, selector: str) -> list[str]:
        """Return the texts of the elements that fit now, in one look."""
        found = self.run("return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)", selector)
        return list(found)

    def click(self, selector: str) -> None:
        """Click an element, as soon as it is visible."""
        self.one(selector).click()

    def write(self, selector: str, text: str) -> None:
        """Replace the text of a field."""
        field = self.one(selector)
        field.clear()
        field.send_keys(text)

    def choose(self, selector: str, value: str) -> None:
        """Choose an entry of a list, by its value."""
        self.one(f'{selector} option[value="{value}"]').click()

    def press(self, *keys: str) -> None:
        """Press keys where the focus is."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def tab_to(self, selector: str) -> None:
        """Press the tab key until an element that fits has the focus."""
        for _ in range(_MOST_TABS):
            self.press(Keys.TAB)
            if self.run("return document.activeElement.matches(arguments[0])", selector):
                return
        raise AssertionError(f"{selector} cannot be reached by the tab key")

    def drag(self, element: WebElement, begin: float, end: float) -> None:
        """Drag with the mouse over an element, between two shares of its width."""
        width = element.size["width"]
        mouse = ActionChains(self.driver, duration=50).move_to_element(element)
        mouse.move_by_offset(round((begin - 0.5) * width), 0).click_and_hold()
        mouse.move_by_offset(round((end - begin) * width), 0).release().perform()

    def wait(self, what: str, probe: Callable[[], T | None]) -> T:
        """Return what a look gives as soon as it gives something."""
        return wait_for(lambda: f"{what}; the page says: {self.texts('main')}", probe, seconds=30.0)  # type: ignore[return-value]

    def downloaded(self, name: str) -> Path:
        """Return a file that was saved, as soon as it is whole."""
        file = self.downloads / name
        wait_for(f"{name} arrives", file.exists, seconds=30.0)
        return file

    # -- what went wrong

    def messages(self) -> list[dict[str, Any]]:
        """Return the browser's log since the last look: errors of scripts, breaches of the policy, refusals."""
        return list(self.driver.execute(Command.GET_LOG, {"type": "browser"})["value"])

    def foreign_requests(self) -> list[str]:
        """Return what this page has loaded from elsewhere."""
        loaded = self.run("return performance.getEntries().map((one) => one.name).filter((name) => name.includes(':'))")
        return [name for name in loaded if not name.startswith(f"{self.site}/")]

    def sticks_out(self) -> list[str]:
        """Return the elements that make the page wider than the window."""
        found = self.run("""
            const root = document.documentElement;
            if (root.scrollWidth <= root.clientWidth) return [];
            return [...document.body.querySelectorAll("*")]
              .filter((one) => one.getBoundingClientRect().right > root.clientWidth && !one.closest(".scroll *"))
              .map((one) => `${one.tagName}#${one.id}.${one.className}`);
        """)
        return list(found)

    def barriers(self, axe: str) -> list[str]:
        """Return what axe-core finds on this page that is serious or critical.

        Args:
            axe: its script.
        """
        self.run(f"if (!window.axe) {{ {axe} }}")
        found = self.driver.execute_async_script(
            "axe.run(document, {resultTypes: ['violations']}).then((result) => arguments[0](result.violations))"
        )
        return [
            f"{one['id']}: {one['help']}: {node['html'][:200]} ({node['failureSummary']})"
            for one in found
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]

    def picture(self) -> bytes:
        """Return the page as a PNG."""
        return bytes(self.driver.get_screenshot_as_png())


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Run a browser.

    Args:
        folder: for its profile and its downloads.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    (downloads := folder / "downloads").mkdir()
    with (folder / "driver.log").open("wb") as log, subprocess.Popen(
        with_us([_PROGRAMS["chromium-driver"], f"--port={port}"]), stdout=log, stderr=log
    ) as driver_process:  # fmt: skip
        try:

            def ready() -> bool:
                with contextlib.suppress(requests.RequestException):
                    return bool(requests.get(f"{url}/status", timeout=5).json()["value"]["ready"])
                return False

            wait_for("chromedriver is ready", ready)
            driver = webdriver.Remote(ChromeRemoteConnection(url), options=_options(folder))  # type: ignore[arg-type]
            try:
                yield Browser(driver, downloads)
            finally:
                driver.quit()
        finally:
            driver_process.terminate()


def _options(folder: Path) -> webdriver.ChromeOptions:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which(_PROGRAMS["chromium"]) or ""
    for argument in (
        "--headless=new", "--disable-background-networking", "--disable-component-update", "--disable-gpu",
        "--disable-dev-shm-usage", "--no-first-run", "--lang=en-US", f"--user-data-dir={folder / 'profile'}",
        # It ends when the driver does, whatever ends that.
        "--remote-debugging-pipe",
    ):  # fmt: skip
        options.add_argument(argument)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return options
