"""Sends marked requests and follows each one's line: to Kafka, to its row, to the alerter."""

from __future__ import annotations

import datetime
import http.client
import re
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from obsctl.checks.ask import database
from obsctl.checks.ask.at_once import AtOnce
from obsctl.checks.ask.http import words
from obsctl.checks.ask.watch import Watch
from obsctl.checks.ask.web import Scheme, Web, web
from obsctl.checks.logs.collect import look
from obsctl.checks.logs.host_script import written_at
from obsctl.checks.logs.snapshot import HostLogs, LineSeen, LogsSnapshot
from obsctl.core.decoding import UndecodableError, decode_json
from obsctl.core.errors import ConfigError
from obsctl.core.nearest import did_you_mean
from obsctl.core.report import Fault
from obsctl.core.utc import calendar
from obsctl.fleet.model import Fleet
from obsctl.kafka.topic_log import Record
from obsctl.store.mysql import questions

#: Each request has its own path below this one. Its line must be stored, so it is an ordinary line.
PATH = "/obscraft-verify/"
BACKEND_HEADER = "X-Backend-Server"
DEADLINE_S = 30.0
#: Time limit of a request, seconds: more than the second that the balancer allows for connecting to a dead back end.
_REQUEST_S = 2.5
#: The most requests per back end, until each has answered.
TRIES_PER_BACKEND = 6
_POLL_S = 0.05
#: Time between two looks for rows, and how long a connection is used for them, seconds.
ROW_EVERY_S, _ROW_SESSION_S = 0.02, 4.0
_BLIND_ROW_EVERY_S = 1.0
#: How much a host's clock may be wrong, if it is unknown, seconds.
_CLOCKS_S = 60.0
_mark = re.compile(PATH.replace("/", r"\\?/").encode() + rb"([0-9a-f]{16})").search

Say = Callable[[str], None]


class Target(NamedTuple):
    """The destination of a request.

    Attributes:
        host: the balancer; empty for the one that holds the virtual address.
        address: of it.
        web: how to reach it.
    """

    host: str
    address: str
    web: Web

    @property
    def socket(self) -> str:
        """Address and port."""
        return f"{self.address}:{self.web.port}"


def targets(fleet: Fleet, host: str = "", scheme: Scheme = "") -> tuple[Target, ...]:
    """Return the destinations: each balancer, or only the virtual address if nginx listens only there.

    Args:
        host: only this balancer.
        scheme: how nginx is asked; empty for as the inventory says.

    Raises:
        ConfigError: there is no destination, nginx does not serve that scheme, or the trusted certificates cannot be
            read.
    """
    if fleet.vip is None:
        raise ConfigError(
            "the inventory names no VIP, so nginx's port is unknown",
            hint="set fleet_vip, or choose another inventory with --inventory",
        )
    asked_by = web(fleet.vip, scheme)
    found = tuple(Target(one.name, one.address, asked_by) for one in fleet.group("lb") if host in ("", one.name))
    if not found:
        names = [one.name for one in fleet.group("lb")]
        hint = did_you_mean(host, names, f"the group lb has: {', '.join(names) or 'none'}")
        raise ConfigError(f"there is no balancer {host}", hint=hint)
    if not fleet.vip.exclusive:
        return found
    if host:
        raise ConfigError(
            f"nginx listens only on the virtual address, so no request can be sent to {host} itself",
            hint="without --host the request goes through the virtual address; obsctl verify logs --passive checks "
            "each host",
        )
    return (Target("", fleet.vip.address, asked_by),)


@dataclass
class _Line:
    """One request and its line, while it is followed; see :class:`LineSeen`."""

    seen: LineSeen
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, **found: Any) -> None:
        """Record new facts."""
        with self.lock:
            self.seen = msgspec.structs.replace(self.seen, **found)


class Follower:
    """Sends requests and follows their lines while its block runs.

    Args:
        fleet: with a VIP.
        with_alerter: whether to follow lines until the alerter has evaluated them.
    """

    def __init__(self, fleet: Fleet, *, with_alerter: bool) -> None:
        self._fleet, self._with_alerter = fleet, with_alerter
        self._lines: dict[str, _Line] = {}
        self._watch = Watch(fleet)

    def __enter__(self) -> Follower:
        self._watch.__enter__()
        self._watch.lines(_mark, self._take_record)
        self._watch.also(self._watch_rows)
        if self._with_alerter:
            self._watch.alerters(
                _AlerterPage,
                lambda page, *_: self._take_page(page),
                every_s=_POLL_S,
                wanted=lambda: bool(self._unevaluated()),
            )
        return self

    def __exit__(self, *error: Any) -> None:
        self._watch.__exit__(*error)

    def send(self, target: Target) -> LineSeen:
        """Send one request and start following its line."""
        name = secrets.token_hex(8)
        line = _Line(LineSeen(id=name, target=target.socket, host=target.host, sent=time.time()))
        self._lines[name] = line
        header = self._fleet.vip.balancer_header if self._fleet.vip else ""
        try:
            answer = target.web.get(target.address, PATH + name, deadline_s=_REQUEST_S)
        except (OSError, http.client.HTTPException) as error:
            line.note(failure=words(error))
        else:
            line.note(
                answered=time.time(),
                status=answer.status,
                host=(answer.getheader(header) if header else None) or target.host,
                backend=(answer.getheader(BACKEND_HEADER) or "").strip(),
            )
        return line.seen

    def wait(self, until: float, say: Say) -> None:
        """Wait until each line has its row and was evaluated, but not beyond a time of the monotonic clock."""
        while time.monotonic() < until and (left := [line for line in self._lines.values() if self._goes_on(line)]):
            say(f"{len(left)} of {len(self._lines)} lines in transit")
            time.sleep(_POLL_S)

    def result(self) -> tuple[tuple[LineSeen, ...], tuple[Fault, ...]]:
        """Return the lines, and the sources that could not be queried."""
        faults = (
            Fault(code="LOGS_HOP_NOT_ASKED", object=name, summary=why) for name, why in self._watch.failures.items()
        )
        return tuple(line.seen for line in self._lines.values()), tuple(faults)

    def _goes_on(self, line: _Line) -> bool:
        """Whether more may be learnt about a line."""
        seen = line.seen
        if seen.failure:
            return False
        if not seen.stored and "database" not in self._watch.failures:
            return True
        if not seen.kafka:
            return not seen.stored and not self._blind
        return self._with_alerter and not seen.evaluated and self._alerter_answers()

    @property
    def _blind(self) -> bool:
        """Whether the topic cannot be read."""
        return any(name.startswith("topic/") for name in list(self._watch.failures))

    def _alerter_answers(self) -> bool:
        hosts = self._fleet.group("consumer")
        return bool(hosts) and any(f"obsctl-alerter/{host.name}" not in self._watch.failures for host in hosts)

    def _take_record(self, name: str, record: Record, now: float) -> None:
        line = self._lines.get(name)
        if line is not None and not line.seen.kafka:
            written, read = _times(record.value or b"")
            line.note(kafka=now, partition=record.partition, offset=record.offset, written=written, read=read)

    def _watch_rows(self) -> None:
        while not self._watch.stopping.is_set():
            try:
                database.ask(self._fleet, self._look_for_rows)
            except database.NotAskedError as error:
                self._watch.failures["database"] = str(error)
                return
            except database.SilentError as error:
                self._watch.failures["database"] = str(error)
                self._watch.stopping.wait(1.0)
            else:
                self._watch.failures.pop("database", None)

    def _look_for_rows(self, cursor: Any) -> None:
        ends = time.monotonic() + _ROW_SESSION_S
        blind = self._blind
        while time.monotonic() < ends and not self._watch.stopping.wait(_BLIND_ROW_EVERY_S if blind else ROW_EVERY_S):
            waiting = [line for line in list(self._lines.values()) if not line.seen.failure and not line.seen.stored]
            if not blind:
                waiting = [line for line in waiting if line.seen.kafka]
            if not waiting:
                continue
            rows = rows_of(cursor, [line.seen for line in waiting])
            now = time.time()
            for line in waiting:
                if PATH + line.seen.id in rows:
                    line.note(stored=now)

    def _unevaluated(self) -> list[_Line]:
        return [line for line in list(self._lines.values()) if line.seen.kafka and not line.seen.evaluated]

    def _take_page(self, page: _AlerterPage) -> None:
        read = page.topics.get(self._fleet.alerter.access_topic, _TopicRead())
        for line in self._unevaluated():
            if read.positions.get(str(line.seen.partition), 0) > line.seen.offset:
                line.note(evaluated=time.time())


class _TopicRead(msgspec.Struct, frozen=True):
    positions: dict[str, int] = {}


class _AlerterPage(msgspec.Struct, frozen=True):
    """The part of an alerter's page that is read: the next offset of each partition."""

    topics: dict[str, _TopicRead] = {}


class _Event(msgspec.Struct, frozen=True):
    """The part of a record that is read: its line, and when the shipper read it."""

    message: str = ""
    read: datetime.datetime | None = msgspec.field(default=None, name="@timestamp")


def _times(value: bytes) -> tuple[float, float]:
    """Return when nginx wrote a record's line and when the shipper read it, by the host's clock; 0 if unknown."""
    try:
        event = decode_json(value, _Event)
    except UndecodableError:
        return 0.0, 0.0
    return written_at(event.message) or 0.0, event.read.timestamp() if event.read else 0.0


def rows_of(cursor: Any, lines: Sequence[LineSeen]) -> set[str]:
    """Return the URIs of the lines that have a row."""
    uris = tuple(PATH + line.id for line in lines)
    if all(line.written for line in lines):
        cursor.execute(questions.ROWS_OF_URIS, (tuple(_utc(line.written) for line in lines), uris))
    else:
        # Kafka could not be queried, so neither the lines' times nor the hosts' clocks are known.
        sent = [line.sent for line in lines]
        between = (_utc(min(sent) - _CLOCKS_S), _utc(max(sent) + _CLOCKS_S))
        cursor.execute(questions.ROWS_OF_URIS_BETWEEN, (*between, uris))
    return {str(row[0]) for row in cursor.fetchall()}


def _utc(moment: float) -> datetime.datetime:
    return calendar(round(moment, 3)).replace(tzinfo=None)


def follow(
    fleet: Fleet,
    *,
    deadline_s: float = DEADLINE_S,
    host: str = "",
    scheme: Scheme = "",
    say: Say = lambda _: None,
) -> LogsSnapshot:
    """Follow one line of each balancer, and further ones until each back end has answered.

    Args:
        deadline_s: time limit for the lines, seconds.
        host: only this balancer.
        scheme: how nginx is asked; empty for as the inventory says.
        say: shows progress to a person.

    Raises:
        ConfigError: there is nothing to send to.
        MissingDependencyError: there is no ssh client.
    """
    to = targets(fleet, host, scheme)
    with Follower(fleet, with_alerter=True) as follower:
        ends = time.monotonic() + deadline_s
        answers = [follower.send(target) for target in to]
        backends = {one.name for one in fleet.group("backend")}
        alive = [target for target, answer in zip(to, answers, strict=True) if not answer.failure]
        for number in range(TRIES_PER_BACKEND * len(backends)):
            if not alive or backends <= {answer.backend for answer in answers} or time.monotonic() > ends:
                break
            answers.append(follower.send(alive[number % len(alive)]))
        follower.wait(ends, say)
    lines, faults = follower.result()
    return _explained(fleet, lines, faults, deadline_s)


def trace(fleet: Fleet, *, number: int = 10, deadline_s: float = DEADLINE_S, say: Say = lambda _: None) -> LogsSnapshot:
    """Follow some lines one after the other, through the balancers in turn, to their rows.

    Args:
        number: of requests.
        deadline_s: what each line has, seconds.
        say: shows progress to a person.

    Raises:
        ConfigError: there is nothing to send to.
        MissingDependencyError: there is no ssh client.
    """
    to = targets(fleet)
    with Follower(fleet, with_alerter=False) as follower:
        for turn in range(number):
            say(f"line {turn + 1} of {number}")
            follower.send(to[turn % len(to)])
            follower.wait(time.monotonic() + deadline_s, lambda _: None)
    lines, faults = follower.result()
    return _explained(fleet, lines, faults, deadline_s)


def _explained(fleet: Fleet, lines: Sequence[LineSeen], faults: Sequence[Fault], deadline_s: float) -> LogsSnapshot:
    """Return the snapshot; for lines that did not reach Kafka, find their place on their hosts."""
    lost = {line.host for line in lines if not line.failure and not line.kafka}
    hosts = [host for host in fleet.hosts if host.name in lost]
    kafka_asked = not any(fault.object.startswith("topic/") for fault in faults)
    looks: dict[str, HostLogs] = {}
    if hosts and kafka_asked:
        marks = {host.name: [line.id for line in lines if line.host == host.name and not line.kafka] for host in hosts}
        with AtOnce(len(hosts)) as pool:
            looks = {seen.name: seen for seen in pool.map(lambda host: look(host, marks[host.name]), hosts)}
    return LogsSnapshot(
        hosts=tuple(looks.values()),
        lines=tuple(_placed(line, looks.get(line.host)) for line in lines),
        deadline_s=deadline_s,
        errors=tuple(faults),
    )


def _placed(line: LineSeen, host: HostLogs | None) -> LineSeen:
    """Return a line that did not reach Kafka, with its place on its host."""
    if host is None or host.failure or line.kafka or line.failure:
        return line
    place = next((mark for mark in host.last.marks if mark.id == line.id), None)
    if place is None:
        return msgspec.structs.replace(line, in_file=False)
    key = (place.device, place.inode)
    reader = next((file for file in host.last.opened if file.key == key), None)
    return msgspec.structs.replace(
        line, in_file=True, read_by_shipper=reader is not None and reader.position > place.offset
    )
