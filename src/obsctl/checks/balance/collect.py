"""Send many requests through the VIP, each on a new connection, and note who answered."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from obsctl.checks.ask.http import get, words
from obsctl.checks.balance.snapshot import BackendTally, BalancerSnapshot
from obsctl.core.report import Fault
from obsctl.fleet.model import Fleet

HEADER = "X-Backend-Server"
#: For one request, in seconds: above the balancer's own second that it gives a dead back end to connect.
REQUEST_DEADLINE_S = 2.0
#: For the whole run, in seconds.
RUN_DEADLINE_S = 60.0
#: So many unanswered requests in a row, and the address is taken for dead.
HOPELESS_IN_A_ROW = 2
#: The same once something has answered: a VIP that moves is silent for about three seconds.
LOST_IN_A_ROW = 4
#: So many failed answers with no good one, and more of them would show nothing new.
ONLY_ERRORS = 30
#: Each is a turn on all back ends; fewer than this many requests say nothing.
MIN_REQUESTS = 600
REQUESTS_PER_WORKER_AND_BACKEND = 20
#: Nginx starts a worker a core. With a shared zone their number does not matter; without one each keeps its own turn.
ASSUMED_WORKERS = 2


def default_requests(fleet: Fleet) -> int:
    """Return how many requests give a fair picture: 20 for each worker and back end, at least 600."""
    return max(MIN_REQUESTS, REQUESTS_PER_WORKER_AND_BACKEND * ASSUMED_WORKERS * len(fleet.group("backend")))


@dataclass
class _Run:
    """The state that the lanes share."""

    left: int
    deadline: float
    lock: threading.Lock = field(default_factory=threading.Lock)
    sent: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    failed_in_a_row: int = 0
    answers: dict[str, list[float]] = field(default_factory=dict)
    errors: dict[str, list[float]] = field(default_factory=dict)
    late: bool = False
    lost: bool = False

    def take(self) -> bool:
        """Return whether one more request is to be sent."""
        with self.lock:
            some_answered = bool(self.answers or self.errors)
            if self.failed_in_a_row >= (LOST_IN_A_ROW if some_answered else HOPELESS_IN_A_ROW):
                self.lost = True
                return False
            if not self.answers and sum(map(len, self.errors.values())) >= ONLY_ERRORS:
                return False
            if self.left and time.monotonic() > self.deadline:
                self.late = True
                return False
            if not self.left:
                return False
            self.left -= 1
            self.sent += 1
            return True

    def answered(self, backend: str, status: int, took_ms: float) -> None:
        """Note an answer."""
        with self.lock:
            self.failed_in_a_row = 0
            (self.errors if status >= 500 else self.answers).setdefault(backend, []).append(took_ms)

    def failed(self, reason: str) -> None:
        """Note a request without an answer."""
        with self.lock:
            self.failed_in_a_row += 1
            self.failures[reason] += 1


def collect_balancer(
    fleet: Fleet, *, requests: int | None = None, lanes: int = 1, run_deadline_s: float = RUN_DEADLINE_S
) -> BalancerSnapshot:
    """Send the requests through the fleet's VIP and tally the answers.

    Args:
        requests: how many; by default :func:`default_requests`.
        lanes: how many at the same time. More than one makes ``least_conn`` prefer the quicker back end, so an
            uneven share is then no proof of a fault.
        run_deadline_s: seconds after which no further request is sent.
    """
    wanted = requests or default_requests(fleet)
    if fleet.vip is None:
        fault = Fault(code="VIP_NOT_CONFIGURED", object="vip", summary="the inventory names no VIP (fleet_vip)")
        return BalancerSnapshot(target="", wanted=wanted, sent=0, errors=(fault,))
    address, port = fleet.vip.address, fleet.vip.port
    run = _Run(left=wanted, deadline=time.monotonic() + run_deadline_s)
    threads = [threading.Thread(target=_lane, args=(address, port, run), daemon=True) for _ in range(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(run_deadline_s + 2 * REQUEST_DEADLINE_S)
    return _snapshot(f"{address}:{port}", wanted, run, run_deadline_s)


def _lane(address: str, port: int, run: _Run) -> None:
    while run.take():
        started = time.monotonic()
        try:
            answer = get(address, port, "/", deadline_s=REQUEST_DEADLINE_S)
        except (OSError, http.client.HTTPException) as error:
            run.failed(words(error))
        else:
            took_ms = (time.monotonic() - started) * 1000
            run.answered((answer.getheader(HEADER) or "").strip(), answer.status, took_ms)


def _snapshot(target: str, wanted: int, run: _Run, run_deadline_s: float) -> BalancerSnapshot:
    with run.lock:
        faults = []
        if run.late:
            summary = f"only {run.sent} of {wanted} requests fitted into {run_deadline_s:.0f} s"
            faults.append(Fault(code="LB_RUN_CUT", object="vip", summary=summary))
        return BalancerSnapshot(
            target=target,
            wanted=wanted,
            sent=run.sent,
            failures=dict(sorted(run.failures.items())),
            lost=run.lost,
            backends=tuple(_tally(name, run) for name in sorted({*run.answers, *run.errors})),
            errors=tuple(faults),
        )


def _tally(name: str, run: _Run) -> BackendTally:
    good, bad = run.answers.get(name, []), run.errors.get(name, [])
    times = sorted(good + bad)
    return BackendTally(
        name=name,
        answers=len(good),
        errors=len(bad),
        p50_ms=round(_percentile(times, 0.50), 2),
        p99_ms=round(_percentile(times, 0.99), 2),
    )


def _percentile(ordered: list[float], share: float) -> float:
    """Return the nearest-rank percentile of a sorted, non-empty list."""
    rank = -(-len(ordered) * share // 1)
    return ordered[max(0, int(rank) - 1)]
