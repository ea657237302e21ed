"""Sends many requests through the VIP, records who answered, and reads the balancers' configuration."""

from __future__ import annotations

import http.client
import secrets
import threading
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple

from obsctl.checks.ask import ssh
from obsctl.checks.ask.at_once import AtOnce
from obsctl.checks.ask.http import get, refusal_of, words
from obsctl.checks.ask.web import Scheme, Web, backend_tls, web
from obsctl.checks.balance import model, stopping, upstream
from obsctl.checks.balance.snapshot import BackendTally, BalancerConfig, BalancerSnapshot
from obsctl.checks.percentile import percentile
from obsctl.checks.web_refusal import Refusal
from obsctl.checks.wire.send import key_of, signed
from obsctl.core.errors import ConfigError, MissingDependencyError
from obsctl.core.report import Fault
from obsctl.core.secrets import Secret, resolve
from obsctl.fleet.model import Fleet, Host, Vip
from obsctl.lines.formats.line import PROBE

HEADER = "X-Backend-Server"
#: Header of answers to probes: ``asked`` and the addresses that nginx tried (nginx.conf.j2 of the role).
_ASKED_HEADER = "X-Obscraft-Probe"
#: Time limit of a request, seconds: more than the second that the balancer allows for connecting to a dead back end.
REQUEST_DEADLINE_S = 2.0
#: Time limit of the whole run, seconds.
RUN_DEADLINE_S = 60.0
#: After this many unanswered requests in a row the address counts as dead.
HOPELESS_IN_A_ROW = 2
#: The same after something has answered: a VIP that moves is silent for about three seconds.
LOST_IN_A_ROW = 4
#: The least number of rounds over all back ends; fewer requests prove nothing.
MIN_REQUESTS = 600
REQUESTS_PER_WORKER_AND_BACKEND = 20
#: Nginx starts one worker per core. With a shared zone their number does not matter; without one each worker takes
#: turns of its own.
ASSUMED_WORKERS = 2
#: Time limit for reading a balancer's configuration over ssh, seconds.
SSH_DEADLINE_S = 4.0
#: While all goes well, how often the answers are checked, seconds, besides the checkpoints of the model.
_LOOK_EVERY_S = 0.25
_MARK = "--- workers"
# Only a part leaves the host, because nginx's configuration includes the secret of tests.
_QUESTION = (
    "PATH=$PATH:/usr/sbin:/sbin; export LC_ALL=C; "
    "{ nginx -T || sudo -n nginx -T || cat /etc/nginx/nginx.conf; } 2>/dev/null | "
    f"{upstream.FILTER}; "
    f"echo '{_MARK}'; ps -o args= --ppid \"$(systemctl show -p MainPID nginx | sed 's/.*=//')\" "
    "| grep -c 'nginx: worker process$'"
)

Say = Callable[[str], None]


def default_requests(fleet: Fleet) -> int:
    """Return how many requests give a fair picture: 20 for each worker and back end, at least 600."""
    return max(MIN_REQUESTS, REQUESTS_PER_WORKER_AND_BACKEND * ASSUMED_WORKERS * len(fleet.group("backend")))


class _Answer(NamedTuple):
    """Who answered, according to the answer's headers.

    Attributes:
        backend: the name that the back end gives itself; empty for none.
        asked: addresses that nginx tried, the one that answered last; empty if nginx does not say.
        balancer: the name that the balancer gives itself; empty for none.
        probe: whether nginx treated the request as a probe.
    """

    backend: str
    asked: tuple[str, ...]
    balancer: str
    probe: bool
    status: int
    took_ms: float


@dataclass
class _Answers:
    """The answers of one back end from one address."""

    good: int = 0
    bad: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    #: Times in milliseconds: of answers for which nginx tried no other address before, and of the others.
    times: list[float] = field(default_factory=list)
    later_times: list[float] = field(default_factory=list)

    def note(self, answer: _Answer) -> None:
        if answer.status >= 500:
            self.bad += 1
        else:
            self.good += 1
        self.statuses[str(answer.status)] += 1
        (self.times if len(answer.asked) <= 1 else self.later_times).append(answer.took_ms)


#: Key: name, address, whether the balancer named itself, and for an answer without a name the status, which
#: distinguishes refusals by a limit, nginx's own answers and those of a stranger.
_Key = tuple[str, str, bool, int]


class _Run:
    """The state that the lanes share.

    Args:
        fleet: with a VIP.
        wanted: requests.
        deadline: of the run, by the monotonic clock.
        say: shows progress to a person.
    """

    def __init__(self, fleet: Fleet, wanted: int, deadline: float, say: Say) -> None:
        self._fleet, self._say = fleet, say
        self.left = wanted
        self._wanted = wanted
        self._deadline = deadline
        self._began = time.monotonic()
        self.lock = threading.Lock()
        self.sent = 0
        self.failures: Counter[str] = Counter()
        self.refusal: Refusal | None = None
        self._failed_in_a_row = 0
        self._failed = 0
        self.answers: dict[_Key, _Answers] = {}
        self.retried: Counter[str] = Counter()
        self.balancers: Counter[str] = Counter()
        self.unmarked = 0
        self.late = False
        self.lost = False
        self.ended = ""
        self.configs: tuple[BalancerConfig, ...] | None = None
        self._asking: dict[str, Future[str]] | None = None
        self._pool = AtOnce(len(fleet.group("backend")))
        self._looked_at = 0.0
        self._fresh_failure = False

    def take(self) -> bool:
        """Return whether to send one more request."""
        with self.lock:
            if self.lost or self.ended or not self.left:
                return False
            if self._failed_in_a_row >= (LOST_IN_A_ROW if self.answers else HOPELESS_IN_A_ROW):
                self.lost = True
                return False
            self.ended = self._reason()
            if self.ended:
                return False
            if time.monotonic() > self._deadline:
                self.late = True
                return False
            self.left -= 1
            self.sent += 1
            return True

    def answered(self, answer: _Answer) -> None:
        """Record an answer."""
        with self.lock:
            self._failed_in_a_row = 0
            address = answer.asked[-1] if answer.asked else ""
            key = (answer.backend, address, bool(answer.balancer), 0 if answer.backend else answer.status)
            self.answers.setdefault(key, _Answers()).note(answer)
            self.retried.update(answer.asked[:-1])
            if len(answer.asked) > 1:
                self.ask_directly()
            self.unmarked += not answer.probe
            if answer.balancer:
                self.balancers[answer.balancer] += 1
            if answer.status >= 500:
                self._fail()
        self._say(self._progress())

    def failed(self, reason: str, refusal: Refusal | None = None) -> None:
        """Record a request without an answer."""
        with self.lock:
            self.refusal = refusal or self.refusal
            self._failed_in_a_row += 1
            self.failures[reason] += 1
            self._fail()
        self._say(self._progress())

    def ask_directly(self) -> None:
        """Start asking the back ends directly."""
        if self._asking is None:
            backends = self._fleet.group("backend")
            self._asking = {host.name: self._pool.submit(_healthz, self._fleet, host) for host in backends}

    def direct(self, *, wait: bool = False) -> dict[str, str]:
        """Return why back ends that were asked directly did not answer; empty for those that did."""
        asking = self._asking or {}
        return {name: answer.result() for name, answer in asking.items() if wait or answer.done()}

    def tallies(self) -> tuple[BackendTally, ...]:
        """Return the counted answers."""
        medians = {key: percentile(seen.times, 0.5) for key, seen in self.answers.items() if key[0]}
        return tuple(
            _tally(key, seen, [value for other, value in medians.items() if other != key and value is not None])
            for key, seen in sorted(self.answers.items())
        )

    def close(self) -> None:
        """Send no more requests."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _fail(self) -> None:
        self._failed += 1
        self._fresh_failure = True
        self.ask_directly()

    def _reason(self) -> str:
        """Return why the run can end. While all goes well this is not evaluated after each answer, to save time."""
        now = time.monotonic()
        answered = sum(seen.good + seen.bad for key, seen in self.answers.items() if key[0])
        due = now - self._looked_at >= _LOOK_EVERY_S
        if not (self._fresh_failure or due or answered <= model.LOOK_AFTER[0] or answered in model.LOOK_AFTER):
            return ""
        self._looked_at, self._fresh_failure = now, False
        expected = None
        if self.configs is not None:
            expected = model.expectation(self._fleet, self.configs, self.balancers)
        progress = stopping.Progress(
            sent=self.sent,
            failed=self._failed,
            tallies=self.tallies(),
            direct=self.direct(),
            expected=expected,
            took_s=now - self._began,
        )
        return stopping.reason(progress)

    def _progress(self) -> str:
        counts = Counter[str]()
        for (name, *_), seen in list(self.answers.items()):
            counts[name or "(unnamed)"] += seen.good + seen.bad
        each = " · ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        failed = f" · {self._failed} failed" if self._failed else ""
        return f"{self.sent} of {self._wanted} requests · {each}{failed}"


def collect_balancer(
    fleet: Fleet,
    *,
    requests: int | None = None,
    lanes: int = 1,
    keepalive: bool = False,
    scheme: Scheme = "",
    run_deadline_s: float = RUN_DEADLINE_S,
    say: Say = lambda _: None,
) -> BalancerSnapshot:
    """Send the requests through the fleet's VIP and count the answers; ends early if the result is clear.

    Args:
        requests: how many; by default :func:`default_requests`.
        lanes: how many at the same time. With more than one, ``least_conn`` prefers the quicker back end, so an uneven
            share does not prove a fault then.
        scheme: how nginx is asked; empty for as the inventory says.
        keepalive: whether each lane sends all its requests on one connection, hence to one worker of nginx.
        run_deadline_s: after this time no further request is sent, seconds.
        say: shows progress to a person.

    Raises:
        MissingDependencyError: there is no ssh client.
        ConfigError: nginx does not answer that way, or the trusted certificates cannot be read.
    """
    wanted = requests or default_requests(fleet)
    if fleet.vip is None:
        fault = Fault(code="VIP_NOT_CONFIGURED", object="vip", summary="the inventory names no VIP (fleet_vip)")
        return BalancerSnapshot(target="", wanted=wanted, sent=0, errors=(fault,))
    vip = fleet.vip
    asked_by = web(vip, scheme)
    key, unmarked = _key(vip)
    run = _Run(fleet, wanted, time.monotonic() + run_deadline_s, say)
    mark = PROBE + secrets.token_hex(8)
    missing: list[MissingDependencyError] = []
    reading = threading.Thread(target=_read_configs, args=(fleet, run, missing), daemon=True)
    threads = [
        threading.Thread(
            target=_lane, args=(vip, asked_by, run, key, mark), kwargs={"keepalive": keepalive}, daemon=True
        )
        for _ in range(lanes)
    ]
    for thread in (reading, *threads):
        thread.start()
    for thread in threads:
        thread.join(run_deadline_s + 2 * REQUEST_DEADLINE_S)
    reading.join(SSH_DEADLINE_S + 1)
    if missing:
        raise missing[0]
    configs = run.configs or ()
    if model.expectation(fleet, configs, run.balancers).of_one_client:
        run.ask_directly()
    direct = run.direct(wait=True)
    run.close()
    with run.lock:
        answered = sum(seen.good + seen.bad for seen in run.answers.values())
        if key is not None and answered and run.unmarked:
            unmarked = "nginx did not recognise them as probes: it has an older configuration or another secret"
        return BalancerSnapshot(
            target=f"{vip.address}:{asked_by.port}",
            scheme=asked_by.scheme,
            wanted=wanted,
            sent=run.sent,
            failures=dict(sorted(run.failures.items())),
            refusal=run.refusal,
            lost=run.lost,
            backends=run.tallies(),
            lanes=lanes,
            keepalive=keepalive,
            late=run.late,
            ended=run.ended,
            marked=not unmarked,
            unmarked=unmarked,
            retried=dict(sorted(run.retried.items())),
            balancers=dict(sorted(run.balancers.items())),
            direct=direct,
            configs=configs,
        )


def _key(vip: Vip) -> tuple[Secret | None, str]:
    """Return the key that signs the requests, or why they cannot be signed."""
    if vip.log_format != "json":
        return None, f"nginx writes its log in the format {vip.log_format}, which has no field for a mark"
    if not vip.test_secret:
        return None, "the inventory does not name the secret that signs them (nginx_test_secret)"
    try:
        return key_of(resolve(vip.test_secret)), ""
    except ConfigError as error:
        return None, str(error)


def _lane(vip: Vip, asked_by: Web, run: _Run, key: Secret | None, mark: str, *, keepalive: bool) -> None:
    kept = asked_by.kept(vip.address) if keepalive else None
    while run.take():
        headers = signed(mark, key, time.time()) if key is not None else {}
        started = time.monotonic()
        try:
            if kept is not None:
                answer = kept.get("/", deadline_s=REQUEST_DEADLINE_S, headers=headers)
            else:
                answer = asked_by.get(vip.address, "/", deadline_s=REQUEST_DEADLINE_S, headers=headers)
        except (OSError, http.client.HTTPException) as error:
            run.failed(words(error), refusal_of(error))
        else:
            run.answered(_read(answer, vip.balancer_header, (time.monotonic() - started) * 1000))
    if kept is not None:
        kept.close()


def _read(answer: http.client.HTTPResponse, balancer_header: str, took_ms: float) -> _Answer:
    said = answer.getheader(_ASKED_HEADER)
    kind, _, addresses = (said or "").partition(" ")
    # nginx writes ", " between servers, and " : " where it passed a request on to another group of servers. If it has
    # no server to try, it writes the group's name.
    asked = [address.strip() for address in addresses.replace(" : ", ", ").split(",")]
    return _Answer(
        backend=(answer.getheader(HEADER) or "").strip(),
        asked=tuple(address for address in asked if ":" in address),
        balancer=(answer.getheader(balancer_header) or "").strip() if balancer_header else "",
        probe=kind == "asked",
        status=answer.status,
        took_ms=took_ms,
    )


def _read_configs(fleet: Fleet, run: _Run, missing: list[MissingDependencyError]) -> None:
    nodes = fleet.group("lb")
    backends = upstream.addresses(fleet)
    try:
        with AtOnce(len(nodes)) as pool:
            configs = tuple(pool.map(lambda node: read_balancer(node, backends), nodes))
    except MissingDependencyError as error:
        missing.append(error)
        configs = ()
    with run.lock:
        run.configs = configs


def read_balancer(node: Host, backends: dict[str, str]) -> BalancerConfig:
    """Read over ssh the part of a balancer's nginx configuration that decides about balancing.

    Args:
        node: the balancer.
        backends: from :func:`obsctl.checks.balance.upstream.addresses`.

    Raises:
        MissingDependencyError: there is no ssh client.
    """
    answer = ssh.run(node, _QUESTION, deadline_s=SSH_DEADLINE_S)
    if answer.failure:
        return BalancerConfig(node=node.name, failure=answer.failure)
    text, mark, workers = answer.output.partition(_MARK)
    if not mark:
        return BalancerConfig(node=node.name, failure="its shell did not print nginx's configuration")
    if not text.strip():
        return BalancerConfig(node=node.name, failure=f"{node.ssh.user or 'this account'} may not run nginx -T there")
    count = workers.strip()
    return upstream.read_config(node.name, text, backends, int(count) if count.isdigit() else 0)


def _healthz(fleet: Fleet, host: Host) -> str:
    """Return why a back end does not answer a direct request; empty if it does."""
    port = host.backend.port if host.backend else upstream.BACKEND_PORT
    try:
        get(host.address, port, "/healthz", deadline_s=REQUEST_DEADLINE_S, tls=backend_tls(fleet))
    except ConfigError as error:
        return str(error)
    except (OSError, http.client.HTTPException) as error:
        return words(error)
    return ""


def _tally(key: _Key, seen: _Answers, others: Sequence[float]) -> BackendTally:
    name, address, balancer, _ = key
    timed = sorted(seen.times)
    times = timed or sorted(seen.later_times)
    reference = model.reference_ms(others)
    histogram = Counter(bisect_left(model.TIMES_MS, took) for took in timed)
    return BackendTally(
        name=name,
        answers=seen.good,
        errors=seen.bad,
        p50_ms=round(percentile(times, 0.50) or 0.0, 2),
        p99_ms=round(percentile(times, 0.99) or 0.0, 2),
        upstream=address,
        balancer=balancer,
        statuses=dict(sorted(seen.statuses.items())),
        slower=0 if reference is None else len(timed) - bisect_right(timed, reference),
        timed=len(timed),
        times=tuple(histogram[place] for place in range(len(model.TIMES_MS) + 1)),
    )
