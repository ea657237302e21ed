"""Requests through the virtual address, rows in the database and the alerters' pages, sampled throughout a drill."""

from __future__ import annotations

import contextlib
import http.client
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from obsctl.checks.ask import database
from obsctl.checks.ask.alerter import NoPageError, ask_alerter
from obsctl.checks.ask.http import words
from obsctl.checks.ask.web import Web, web
from obsctl.checks.health.snapshot import AlerterPage
from obsctl.drill.record import Probe, Sample
from obsctl.fleet.model import Fleet, Host, Vip

#: Requests a second, each on a new connection; and the time limit of a request, seconds.
PER_SECOND = 20
_DEADLINE_S = 2.0
_LANES = 64
_ROWS_EVERY_S = 0.5
_PAGE_EVERY_S = 0.5
_PAGE_DEADLINE_S = 4.0
#: How long before the drill's beginning the search for lines starts, as the hosts' clocks may differ, seconds.
_CLOCKS_S = 300

T = TypeVar("T")


def path_of(drill_id: str, number: int) -> str:
    """Return the path of a request, by which its row is found."""
    return f"/?obscraft-drill={drill_id}-{number}"


class Traffic:
    """Sends requests and samples rows and alerters while its block runs.

    Args:
        fleet: with a VIP.
        drill_id: names the lines.
        alerters: whether to sample the alerters' pages.

    Raises:
        ConfigError: the trusted certificates of nginx cannot be read.
    """

    def __init__(self, fleet: Fleet, drill_id: str, *, alerters: bool) -> None:
        assert fleet.vip is not None  # noqa: S101  the command says so before
        self._fleet, self._vip, self._id = fleet, fleet.vip, drill_id
        self._web = web(fleet.vip)
        self._alerters = fleet.group("consumer") if alerters else ()
        self._began = time.monotonic()
        self._begun_at = time.time()
        self._stopping = threading.Event()
        self._probes: queue.SimpleQueue[tuple[int, Probe]] = queue.SimpleQueue()
        self._rows: list[Sample] = []
        self._pages: list[Sample] = []
        self._threads = [threading.Thread(target=self._send), threading.Thread(target=self._look)]
        if self._alerters:
            self._threads.append(threading.Thread(target=self._ask_alerters))
        self._numbered: dict[int, Probe] = {}

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def at(self) -> float:
        """Seconds since the beginning."""
        return round(time.monotonic() - self._began, 3)

    @property
    def begun_at(self) -> float:
        """The beginning, seconds since the epoch."""
        return self._begun_at

    @property
    def numbered(self) -> dict[int, Probe]:
        """The finished requests with their numbers, in the order of sending."""
        with contextlib.suppress(queue.Empty):
            while True:
                number, probe = self._probes.get_nowait()
                self._numbered[number] = probe
        return {number: self._numbered[number] for number in sorted(self._numbered)}

    @property
    def rows(self) -> tuple[Sample, ...]:
        """The samples of rows."""
        return tuple(self._rows)

    @property
    def pages(self) -> tuple[Sample, ...]:
        """The samples of alerters."""
        return tuple(self._pages)

    def stop(self) -> None:
        """Stop sending, and wait for open requests."""
        self._stopping.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def _send(self) -> None:
        with ThreadPoolExecutor(max_workers=_LANES) as pool:
            number = 0
            while not self._stopping.is_set():
                pool.submit(self._one, number)
                number += 1
                self._stopping.wait(max(0.0, self._began + number / PER_SECOND - time.monotonic()))

    def _one(self, number: int) -> None:
        at = self.at
        self._probes.put((number, request(self._vip, self._web, path_of(self._id, number), at)))

    def _look(self) -> None:
        while True:
            at = self.at
            self._rows.append(Sample(at, count(self._fleet, self._id, self._begun_at)))
            if self._stopping.wait(_ROWS_EVERY_S):
                return

    def _ask_alerters(self) -> None:
        with ThreadPoolExecutor(max_workers=len(self._alerters)) as pool:
            while True:
                at = self.at
                working = list(pool.map(self._works, self._alerters))
                self._pages.append(Sample(at, int(any(working))))
                if self._stopping.wait(_PAGE_EVERY_S):
                    return

    def _works(self, host: Host) -> bool:
        return alerter_works(self._fleet, host)


def request(vip: Vip, asked_by: Web, path: str, at: float) -> Probe:
    """Send a request on a new connection and return the result."""
    began = time.monotonic()
    status, error, balancer = 0, "", ""
    try:
        answer = asked_by.get(vip.address, path, deadline_s=_DEADLINE_S)
        status, balancer = answer.status, answer.getheader(vip.balancer_header) or ""
    except (OSError, http.client.HTTPException) as failure:
        error = words(failure)
    return Probe(at, round(time.monotonic() - began, 4), status, error, balancer)


def count(fleet: Fleet, drill_id: str, begun_at: float) -> int | None:
    """Return the number of rows of the drill's lines; None if the database could not be queried."""

    def question(cursor: Any) -> int:
        cursor.execute(*_query("COUNT(*)", drill_id, begun_at))
        return int(cursor.fetchone()[0])

    return _ask(fleet, question)


class Stored(NamedTuple):
    """The stored lines of a drill.

    Attributes:
        numbers: of the requests that have a row.
        surplus: number of rows beyond one for each of these.
    """

    numbers: set[int]
    surplus: int


def count_stored(fleet: Fleet, drill_id: str, begun_at: float) -> Stored | None:
    """Return the stored lines of the drill; None if the database could not be queried."""

    def question(cursor: Any) -> Stored:
        cursor.execute(*_query("uri, COUNT(*)", drill_id, begun_at, " GROUP BY uri"))
        rows = cursor.fetchall()
        return Stored({int(str(uri).rpartition("-")[2]) for uri, _ in rows}, sum(int(found) - 1 for _, found in rows))

    return _ask(fleet, question)


def alerter_works(fleet: Fleet, host: Host) -> bool:
    """Return whether the alerter of a host reports that it is the active one and healthy."""
    try:
        page = ask_alerter(fleet, host, AlerterPage, deadline_s=_PAGE_DEADLINE_S)
    except NoPageError:
        return False
    return page.role == "active" and page.status == "ok"


def _query(what: str, drill_id: str, begun_at: float, more: str = "") -> tuple[str, tuple[object, ...]]:
    sql = f"SELECT {what} FROM access_log WHERE ts >= TIMESTAMPADD(SECOND, %s, '1970-01-01') AND uri LIKE %s{more}"  # noqa: S608
    return sql, (int(begun_at - _CLOCKS_S), f"/?obscraft-drill={drill_id}-%")


def _ask(fleet: Fleet, question: Callable[[Any], T]) -> T | None:
    try:
        return database.ask(fleet, question)
    except (database.NotAskedError, database.SilentError):
        return None
