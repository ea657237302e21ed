"""The alerter's process: ``obsctl-alerter --config /etc/obsctl/alerter.yml``."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
import time
from collections.abc import Sequence
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import NoReturn

from obsctl.alerter import outbox
from obsctl.alerter.clock import EventClock
from obsctl.alerter.config import AlerterConfig, load_config
from obsctl.alerter.engine import MOST_KEYS, Changes, Engine, Transition
from obsctl.alerter.health import ActiveAlert, ChannelHealth, Health, serve
from obsctl.alerter.lines import LineReader
from obsctl.alerter.message import about, utc
from obsctl.alerter.sender import Sender
from obsctl.alerter.source import Probe, Record, Source, Topic
from obsctl.alerter.state import State, connect, transaction
from obsctl.core import journal
from obsctl.core.errors import ConfigError, ExitCode, ObsctlError
from obsctl.core.secrets import redact, resolve
from obsctl.lines.client_address import TrustedProxies

LOG = logging.getLogger("obsctl.alerter")

#: Records taken at once; a batch is one transaction.
_BATCH = 2000
#: How long to wait for records, seconds: part of the time from a line to its message.
_WAIT_S = 0.2
_COMMIT_EVERY_S = 5.0
#: Kafka counts as gone when it has not answered for this long, seconds.
_SILENT_S = 30.0
#: A message that waits longer makes the service degraded, seconds.
_WAITS_TOO_LONG_S = 60.0
#: For so long after counts were dropped for want of room the service is degraded, seconds.
_EVICTION_TOLD_S = 300.0


class Alerter:
    """Reads lines, decides, remembers, and has its senders deliver."""

    def __init__(self, config: AlerterConfig) -> None:
        self._config = config
        self._state = State(config.state)
        self._stopping = threading.Event()
        self._failed = False
        self._engine = Engine(config.rules, lateness_s=config.lateness_s, ahead_s=config.ahead_s)
        self._clock = EventClock(config.shipping_s)
        self._lines = LineReader(TrustedProxies(config.trusted_proxies))
        self._channels = [spec.name for spec in config.channels]
        self._senders = [Sender(spec, config.state, resolve, self._fail) for spec in config.channels]
        self._source: Source | None = None
        self._cluster = ""
        self._last_event = 0.0
        self._event_time: float | None = None
        self._answered_at = float("-inf")
        self._turned_at = time.monotonic()
        self._alerts: tuple[ActiveAlert, ...] = ()

    def stop(self) -> None:
        """End after the batch that is under way."""
        self._stopping.set()

    def run(self) -> ExitCode:
        """Work until stopped.

        Raises:
            ConfigError: the health address cannot be used.
            sqlite3.Error: the state cannot be written; what is in memory is then worth nothing.
        """
        server = self._serve()
        probe = Probe(self._config.kafka)
        probe.start()
        self._recover()
        for sender in self._senders:
            sender.start()
        try:
            source = self._connect(probe)
            if source is not None:
                self._read(source, probe)
        finally:
            probe.stop()
            for sender in self._senders:
                sender.stop()
            for sender in self._senders:
                sender.join(timeout=10)
            server.shutdown()
            self._state.close()
        return ExitCode.BUG if self._failed else ExitCode.OK

    def health(self) -> Health:
        """Return what /health shows; called from the server's threads."""
        source = self._source
        reasons = []
        failing = False
        if source is None or time.monotonic() - self._answered_at > _SILENT_S:
            failing = True
            reasons.append(f"Kafka does not answer for topic {self._config.kafka.topics.access}")
        if time.monotonic() - self._turned_at > _SILENT_S:
            failing = True
            reasons.append("no batch was finished for a while")
        channels = []
        for sender in self._senders:
            pace = sender.pace
            channels.append(
                ChannelHealth(
                    name=sender.spec.name,
                    type=sender.spec.type,
                    waiting=pace.waiting,
                    oldest=pace.oldest,
                    verdict=pace.verdict,
                    code=pace.code,
                    summary=pace.summary,
                    at=pace.at,
                    failures=pace.failures,
                    next_try=pace.next_try,
                )
            )
            if pace.failures:
                reasons.append(f"channel {sender.spec.name}: {pace.verdict}: {pace.summary}")
            elif pace.waiting and time.time() - pace.oldest > _WAITS_TOO_LONG_S:
                reasons.append(f"channel {sender.spec.name}: {pace.waiting} messages wait")
        evicted = self._engine.evicted
        for rule, forgotten in evicted.items():
            if forgotten.at and time.time() - forgotten.at < _EVICTION_TOLD_S:
                reasons.append(
                    f"rule {_name(rule)}: more than {MOST_KEYS:,} clients at a time; the counts of {forgotten.keys:,} "
                    "with the fewest requests were dropped"
                )
        skipped = self._engine.skipped
        clock = self._event_time
        return Health(
            status="failing" if failing else "degraded" if reasons else "ok",
            reason="; ".join(reasons),
            lag=source.lag if source is not None and source.ends else None,
            behind_s=None if clock is None else round(max(0.0, time.time() - clock), 1),
            last_event_at=utc(self._last_event) if self._last_event else "",
            counted=self._engine.counted,
            firing=len(self._alerts),
            waiting=sum(channel.waiting for channel in channels),
            skipped={
                "late": skipped.late,
                "ahead": skipped.ahead,
                "repeated": skipped.repeated,
                "unreadable": self._lines.unreadable,
            },
            evicted={_name(rule): forgotten.keys for rule, forgotten in evicted.items()},
            alerts=self._alerts,
            channels=tuple(channels),
            cluster={
                "id": self._cluster,
                "positions": {str(p): offset for p, offset in sorted(source.positions.items())} if source else {},
            },
        )

    def _serve(self) -> ThreadingHTTPServer:
        address, port = self._config.health.address, self._config.health.port
        try:
            return serve(address, port, self.health)
        except OSError as error:
            raise ConfigError(f"the health address {address}:{port} cannot be used: {error.strerror}") from None

    def _fail(self) -> None:
        self._failed = True
        self._stopping.set()

    def _recover(self) -> None:
        """Take up what an earlier process left."""
        now = time.time()
        kept = self._state.load(self._engine.keep_from(now))
        orphans = self._engine.restore(kept.cells, kept.alerts, now)
        connection = connect(self._config.state)
        with transaction(connection):
            abandoned = outbox.recover(connection, self._channels)
        connection.close()
        for channel, title in abandoned:
            LOG.error("not delivered, because channel %s is no longer configured: %s", channel, title)
        self._save(orphans, {})
        if kept.alerts:
            LOG.info("%d alerts taken over, %d of them on", len(kept.alerts), len(self._engine.firing))

    def _connect(self, probe: Probe) -> Source | None:
        """Wait for Kafka; return the source at its start, or None when stopped before."""
        topic = None
        while topic is None:
            if self._stopping.wait(_WAIT_S):
                return None
            self._turned_at = time.monotonic()
            topic = next((answer for answer in reversed(probe.take()) if answer.ends), None)
            self._save(self._engine.tick(None, time.time()), {})
        name = self._config.kafka.topics.access
        kept = self._state.positions(topic.cluster, name)
        # Nothing was ever read here: begin at the end. A partition that is new since then begins at its start.
        positions = topic.ends if not kept else dict.fromkeys(topic.ends, 0) | kept
        self._cluster = topic.cluster
        source = Source(self._config.kafka)
        source.start(positions)
        self._source = source
        self._learn(source, topic)
        self._save([], positions)
        LOG.info(
            "reading %s of cluster %s from %s: %s",
            name,
            topic.cluster,
            "where it was left" if kept else "its end",
            ", ".join(f"{p}@{offset}" for p, offset in sorted(positions.items())),
        )
        return source

    def _read(self, source: Source, probe: Probe) -> None:
        committed_at = 0.0
        try:
            while not self._stopping.is_set():
                records = source.read(_BATCH, _WAIT_S)
                for topic in probe.take():
                    self._learn(source, topic)
                self._batch(source, records)
                self._turned_at = time.monotonic()
                if self._turned_at - committed_at > _COMMIT_EVERY_S:
                    committed_at = self._turned_at
                    source.commit(source.positions)
        finally:
            source.close()

    def _learn(self, source: Source, topic: Topic) -> None:
        if topic.cluster != self._cluster:
            # The positions belong to another log now; a new process starts from what the state knows of it.
            LOG.error("the brokers now belong to cluster %s, not to %s", topic.cluster, self._cluster)
            self._fail()
            return
        self._answered_at = time.monotonic()
        new = topic.ends.keys() - source.positions.keys()
        if new:
            source.add(set(new))
        for partition in topic.ends:
            self._clock.track(partition)
        source.learn(topic)

    def _batch(self, source: Source, records: list[Record]) -> None:
        """Count the records, see what starts and what has ended, and keep all of it in one transaction."""
        now = time.time()
        events = []
        for record in records:
            event = self._lines.event(record.value)
            if event is not None:
                events.append(event)
                self._clock.read(record.partition, min(event.time, now))
                if event.time <= now + self._config.ahead_s:
                    self._last_event = max(self._last_event, event.time)
        transitions = self._engine.feed(events, now, self._state.known(event.identity for event in events))
        for partition, moment in source.reached().items():
            self._clock.caught_up(partition, moment)
        self._event_time = self._clock.now(now)
        transitions += self._engine.tick(self._event_time, now)
        moved = {record.partition for record in records}
        self._save(transitions, {p: source.positions[p] for p in moved})

    def _save(self, transitions: list[Transition], positions: dict[int, int]) -> None:
        changes: Changes = self._engine.take_changes()
        if not (changes or transitions or positions):
            return
        messages = [about(transition) for transition in transitions]
        topic = self._config.kafka.topics.access
        self._state.save(
            changes=changes,
            positions={(self._cluster, topic, p): offset for p, offset in positions.items()},
            messages=messages,
            channels=self._channels,
            now=time.time(),
        )
        self._alerts = tuple(
            ActiveAlert(rule=_name(a.rule_id), key=a.key, incident=a.incident, started=a.started)
            for a in self._engine.firing
        )
        for message in messages:
            LOG.info("%s; %s", message.title, "; ".join(message.lines))
        if messages:
            for sender in self._senders:
                sender.wake()


def _name(rule_id: str) -> str:
    return rule_id.partition(":")[2]


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the alerter; exit codes as ``obsctl`` has them."""
    parser = argparse.ArgumentParser(prog="obsctl-alerter", description="Turns access-log lines into alerts.")
    parser.add_argument("--config", type=Path, default=Path("/etc/obsctl/alerter.yml"), help="default: %(default)s")
    parser.add_argument("--check-config", action="store_true", help="check the file (not the secrets) and exit")
    parser.add_argument("--log-level", choices=["debug", "info", "warning", "error"], default="info")
    options = parser.parse_args(argv)
    journal.start(logging.getLevelNamesMapping()[options.log_level.upper()])
    try:
        config = load_config(options.config)
        if options.check_config:
            sys.exit(ExitCode.OK)
        sys.exit(_run(config))
    except ObsctlError as error:
        LOG.critical("%s%s", redact(str(error)), f"; hint: {redact(error.hint)}" if error.hint else "")
        sys.exit(error.exit_code)
    except Exception:
        # What is in memory is worth nothing once the state cannot be written: systemd starts a new process.
        LOG.exception("the alerter cannot go on")
        sys.exit(ExitCode.BUG)


def _run(config: AlerterConfig) -> ExitCode:
    for spec in config.channels:
        try:
            spec.open(resolve)
        except ConfigError as error:
            # Loud, but no reason not to watch: the other channels work, and the secret is read again each time.
            LOG.error("%s; hint: %s", redact(str(error)), redact(error.hint))  # noqa: TRY400 - no traceback near secrets
    alerter = Alerter(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: alerter.stop())
    return alerter.run()


if __name__ == "__main__":
    main()
