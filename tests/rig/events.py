"""Server-sent events as a browser reads them."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from rig.waiting import wait_for


class Events:
    """The events of one stream, collected by a thread.

    Attributes:
        seen: names and data, in their order.
        over: whether the stream has ended.
    """

    def __init__(self, answer: requests.Response) -> None:
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/event-stream")
        self.seen: list[tuple[str, Any]] = []
        self.over = False
        self._answer = answer
        self._socket = answer.raw.connection.sock
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        name = ""
        try:
            for line in self._answer.iter_lines(chunk_size=1):
                key, _, value = line.decode().partition(": ")
                if key == "event":
                    name = value
                elif key == "data":
                    self.seen.append((name, json.loads(value)))
        except (requests.RequestException, AttributeError, ValueError):
            pass  # closed by us, or by the server
        self.over = True

    def all(self, name: str) -> list[Any]:
        """Return the data of the events of a name."""
        return [data for event, data in list(self.seen) if event == name]

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Return the lines of all events ``lines``."""
        return [line for data in self.all("lines") for line in data["lines"]]

    def wait(self, name: str, number: int = 1, seconds: float = 60.0) -> Any:
        """Return the data of an event of a name, once there are so many of them."""
        wait_for(
            lambda: f"{number} events {name}: {self.seen[-5:]}", lambda: len(self.all(name)) >= number, seconds=seconds
        )
        return self.all(name)[number - 1]

    def close(self) -> None:
        """Hang up, as a browser does."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # the reader, which waits in it, does not hear of a close
        self._thread.join(10)
        self._answer.close()


@contextmanager
def events(browser: requests.Session, url: str, **parameters: str) -> Iterator[Events]:
    """Open a stream of events."""
    made = Events(browser.get(url, params=parameters, stream=True, timeout=60))
    try:
        yield made
    finally:
        made.close()
