"""Sends each plan's requests and follows them: to Kafka, to the alerter, to the channels."""

from __future__ import annotations

import collections
import contextlib
import heapq
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import msgspec

from obsctl.checks.ask.watch import Watch
from obsctl.checks.ask.web import Web, web
from obsctl.checks.wire.send import NotATestError, send
from obsctl.checks.wire.snapshot import RuleSeen, WireSnapshot
from obsctl.core.report import Fault
from obsctl.core.rule_test import RUN_LENGTH, Burst, Plan, Request, RunOnPage, TestsOnPage
from obsctl.core.secrets import Secret
from obsctl.fleet.model import Fleet, Vip

#: Time between two requests for an alerter's page, seconds.
_PAGE_EVERY_S = 1.0
_WAIT_S = 0.1
#: After this many requests in a row without the right answer, sending stops.
_HOPELESS = 20
#: The mark in a record, whose ``message`` is the line as a JSON string.
_mark = re.compile(rb'\\"obscraft_test\\":\\"([a-z0-9]{8,32})\\"').search
#: Final states of a message, and verdicts that only a person can change.
_SETTLED = frozenset(("delivered", "abandoned", "dead"))
_PERMANENT = frozenset(("refused", "redirected"))

#: Shows the progress to a person.
Say = Callable[[str], None]


class _Page(msgspec.Struct, frozen=True):
    """The fields of an alerter's page that are read."""

    tests: TestsOnPage = TestsOnPage()


@dataclass
class Test:
    """A running test of one rule.

    Attributes:
        plan: its requests.
        mark: of their lines.
        deadline_s: its time limit, seconds.
        lock: must be held to change one of the following attributes, which :class:`RuleSeen` describes.
    """

    __test__ = False  # pytest: no test of its own

    plan: Plan
    mark: str
    deadline_s: float
    lock: threading.Lock = field(default_factory=threading.Lock)
    began: float = 0.0
    sent: int = 0
    answered: int = 0
    answered_at: float = 0.0
    wrong: collections.Counter[str] = field(default_factory=collections.Counter)
    lines: int = 0
    shipped_at: float = 0.0
    run: RunOnPage | None = None

    @property
    def late(self) -> bool:
        """Whether its time limit is exceeded."""
        return bool(self.began) and time.time() - self.began > self.deadline_s

    @property
    def over(self) -> bool:
        """Whether it is finished: each channel has accepted or refused its message."""
        channels = self.run.channels if self.run is not None else ()
        return bool(channels) and all(
            one.state in _SETTLED or (one.attempts > 0 and one.verdict in _PERMANENT) for one in channels
        )

    def note(self, wrong: str) -> None:
        """Record an answer; empty for the right one."""
        with self.lock:
            if wrong:
                self.wrong[wrong] += 1
                return
            self.answered += 1
            self.answered_at = self.answered_at or time.time()

    def seen(self) -> RuleSeen:
        """Return the results so far."""
        with self.lock:
            return RuleSeen(
                rule=self.plan.rule,
                mark=self.mark,
                planned=self.plan.count,
                sent=self.sent,
                answered=self.answered,
                wrong=dict(self.wrong),
                began=self.began,
                answered_at=self.answered_at,
                lines=self.lines,
                shipped_at=self.shipped_at,
                run=self.run,
                deadline_s=self.deadline_s,
            )


def own_address(address: str, port: int) -> str:
    """Return this machine's source address for requests to a target; empty if there is no route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way, contextlib.suppress(OSError):
        way.connect((address, port))
        return str(way.getsockname()[0])
    return ""


def run_tests(
    fleet: Fleet,
    plans: Sequence[Plan],
    key: Secret,
    *,
    deadline_s: float,
    per_second: int,
    lanes: int,
    say: Say = lambda _: None,
) -> WireSnapshot:
    """Send the plans' requests and wait for their messages.

    An interrupted run sends nothing more; the alerter still evaluates the requests that were sent, and then forgets
    them.

    Args:
        fleet: with a VIP.
        plans: one for each rule.
        key: signs the requests.
        deadline_s: time limit of a rule from its first request to its channels' answers.
        per_second: requests, at the most.
        lanes: of them under way at a time.
        say: shows progress to a person.
    """
    assert fleet.vip is not None  # noqa: S101  the command says so before
    run = secrets.token_hex(RUN_LENGTH // 2)
    tests = [Test(plan, run + plan.digest, deadline_s) for plan in plans]
    by_mark = {test.mark: test for test in tests}
    asked_by = web(fleet.vip)
    sender = _Sender(fleet.vip, asked_by, key, per_second=per_second, lanes=lanes)
    with Watch(fleet) as watch:
        watch.lines(_mark, lambda mark, _, now: _take_line(by_mark, mark, now))
        watch.alerters(_Page, lambda page, *when: take_page(page.tests, by_mark, *when), every_s=_PAGE_EVERY_S)
        sender.run(tests, say)
        while not sender.stopped and (
            open_ones := [test.plan.rule for test in tests if test.sent and not test.over and not test.late]
        ):
            say(f"waiting for the messages of {', '.join(open_ones)}")
            time.sleep(_WAIT_S)
    return WireSnapshot(
        target=f"{fleet.vip.address}:{asked_by.port}",
        stopped=sender.stopped,
        rules=tuple(test.seen() for test in tests),
        errors=tuple(_unheard(fleet, watch.failures)),
    )


class _Sender:
    """Sends bursts one after the other, each at its time or later.

    Attributes:
        stopped: why sending stopped; empty if it did not.
    """

    def __init__(self, vip: Vip, asked_by: Web, key: Secret, *, per_second: int, lanes: int) -> None:
        self._vip, self._asked_by, self._key = vip, asked_by, key
        self._per_second, self._lanes = per_second, lanes
        self._stopping = threading.Event()
        self._in_a_row = 0
        self.stopped = ""

    def run(self, tests: Sequence[Test], say: Say) -> None:
        """Send all bursts of all tests; a test begins with its first burst."""
        began = time.monotonic()
        due = [(began, number, 0) for number in range(len(tests))]
        with ThreadPoolExecutor(max_workers=self._lanes) as pool:
            try:
                while due and not self.stopped:
                    at, number, burst = heapq.heappop(due)
                    test = tests[number]
                    while (left := at - time.monotonic()) > 0 and not test.late:
                        say(f"{test.plan.rule}: the next requests follow in {left:.0f} s")
                        time.sleep(min(left, _WAIT_S))
                    if test.late:
                        continue
                    bursts = test.plan.bursts
                    say(f"{test.plan.rule}: {bursts[burst].count} requests")
                    started = time.monotonic()
                    self._send(test, bursts[burst], pool)
                    if burst + 1 < len(bursts):
                        heapq.heappush(due, (started + bursts[burst + 1].at_s - bursts[burst].at_s, number, burst + 1))
            except BaseException:
                # Open requests are finished; waiting ones are not sent.
                self._stopping.set()
                raise

    def _send(self, test: Test, burst: Burst, pool: ThreadPoolExecutor) -> None:
        began = time.monotonic()
        futures: list[Future[None]] = []
        for number, request in enumerate(_each(burst)):
            while (left := began + number / self._per_second - time.monotonic()) > 0:
                time.sleep(left)
            if self.stopped or test.late:
                break
            if not test.began:
                test.began = time.time()
                # First a single request, to know whether nginx treats it as a test before the next one is sent.
                self._one(test, request)
                continue
            futures.append(pool.submit(self._one, test, request))
        for future in futures:
            future.result()

    def _one(self, test: Test, request: Request) -> None:
        if self.stopped or self._stopping.is_set():
            return
        with test.lock:
            test.sent += 1
        try:
            wrong = send(self._vip.address, self._asked_by, request, test.mark, self._key)
        except NotATestError as error:
            wrong = self.stopped = str(error)
        test.note(wrong)
        self._in_a_row = self._in_a_row + 1 if wrong else 0
        if self._in_a_row >= _HOPELESS and not self.stopped:
            self.stopped = f"{_HOPELESS} requests in a row did not get the requested answer: {wrong}"


def _each(burst: Burst) -> Iterator[Request]:
    for request in burst.requests:
        for _ in range(burst.times):
            yield request


def _unheard(fleet: Fleet, failures: Mapping[str, str]) -> Iterator[Fault]:
    """Yield the hops that could not be queried: the topic, or the alerters if none of them answers."""
    alerters = {host.name: failures.get(f"obsctl-alerter/{host.name}") for host in fleet.group("consumer")}
    for name, failure in failures.items():
        if name.startswith("topic/"):
            yield Fault(code="ALERT_TEST_HOP_NOT_ASKED", object=name, summary=failure)
    if all(alerters.values()):
        said = "; ".join(f"{name}: {failure}" for name, failure in alerters.items()) or "the group consumer has no host"
        yield Fault(code="ALERT_TEST_HOP_NOT_ASKED", object="obsctl-alerter", summary=said)


def _take_line(tests: Mapping[str, Test], mark: str, now: float) -> None:
    test = tests.get(mark)
    if test is not None:
        with test.lock:
            test.lines += 1
            test.shipped_at = test.shipped_at or now


def take_page(page: TestsOnPage, tests: dict[str, Test], asked: float, answered: float) -> None:
    """Process an alerter's page, converting its times to this machine's clock.

    Args:
        page: its content.
        tests: by mark.
        asked: when it was asked, seconds since the epoch.
        answered: when the answer was there.
    """
    # A difference of the clocks that is smaller than the request's duration cannot be determined.
    offset_s = (asked + answered) / 2 - page.now
    offset_s = 0.0 if abs(offset_s) <= (answered - asked) / 2 else offset_s
    for run in page.runs:
        test = tests.get(run.mark)
        if test is not None:
            with test.lock:
                test.run = msgspec.structs.replace(
                    run,
                    seen_at=_moved(run.seen_at, offset_s),
                    true_at=_moved(run.true_at, offset_s),
                    decided_at=_moved(run.decided_at, offset_s),
                    channels=tuple(msgspec.structs.replace(one, at=_moved(one.at, offset_s)) for one in run.channels),
                )


def _moved(at: float, offset_s: float) -> float:
    return at + offset_s if at else 0.0
