"""The alerter's process: ``obsctl-alerter --config /etc/obsctl/alerter.yml``."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from obsctl import __version__
from obsctl.alerter import config as settings
from obsctl.alerter import outbox
from obsctl.alerter.clock import EventClock
from obsctl.alerter.config import AlerterConfig
from obsctl.alerter.engine import MOST_KEYS, Engine, Transition
from obsctl.alerter.events import Event
from obsctl.alerter.health import ActiveAlert, ChannelHealth, Health, TopicRead, metrics, page
from obsctl.alerter.lines import LineReader
from obsctl.alerter.message import Writer, utc
from obsctl.alerter.notify.stages import Notifier
from obsctl.alerter.reading import SILENT_S, Reading
from obsctl.alerter.rules.rule import Log as LineLog
from obsctl.alerter.sample import Tops
from obsctl.alerter.sender import Sender
from obsctl.alerter.source import Record, Source
from obsctl.alerter.state import State, connect, transaction
from obsctl.alerter.templates_check import check_templates
from obsctl.core import journal
from obsctl.core.errors import ConfigError, ExitCode, ObsctlError
from obsctl.core.secrets import redact, resolve
from obsctl.core.serve import Server
from obsctl.lines.client_address import TrustedProxies

LOG = logging.getLogger("obsctl.alerter")

#: Records taken at once; a batch is one transaction.
_BATCH = 2000
#: How long to wait for records, seconds: part of the time from a line to its message.
_WAIT_S = 0.2
#: How often the windows are written, seconds: so much is read again at the most after a crash.
_SNAPSHOT_EVERY_S = 30.0
#: A message that waits longer makes the service degraded, seconds.
_WAITS_TOO_LONG_S = 60.0
#: For so long after counts were dropped to keep memory bounded the service is degraded, seconds.
_EVICTION_SHOWN_S = 300.0


class Alerter:
    """Reads lines, decides, remembers, and has its senders deliver."""

    def __init__(self, config: AlerterConfig) -> None:
        self._config = config
        self._state = State(config.state)
        self._stopping = threading.Event()
        self._failed = False
        self._engine = Engine(config.rules, lateness_s=config.lateness_s, ahead_s=config.ahead_s)
        logs = {rule.log for rule in config.rules}
        topics = [config.kafka.topics.access] + ([config.kafka.topics.error] if LineLog.ERROR in logs else [])
        self._readings = [
            Reading(config.kafka, topic, self._state, EventClock(config.shipping_s), config.lateness_s)
            for topic in topics
        ]
        self._lines = LineReader(TrustedProxies(config.trusted_proxies), config.error_log_timezone)
        self._writer = Writer(config.rules, config.database, config.templates)
        self._notifier = Notifier(config.notifications)
        self._channels = [channel.name for channel in config.channels]
        self._tops = Tops(self._engine.top)
        self._senders = [
            Sender(channel, config.state, resolve, self._fail, config.templates) for channel in config.channels
        ]
        self._last_event = 0.0
        self._event_time: float | None = None
        self._turned_at = time.monotonic()
        self._alerts: tuple[ActiveAlert, ...] = ()
        self._saved_sources: list[Source | None] = []
        self._saved_at = time.monotonic()

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
        for reading in self._readings:
            reading.start()
        self._recover()
        for sender in self._senders:
            sender.start()
        try:
            while not self._stopping.is_set():
                self._batch()
                self._turned_at = time.monotonic()
            self._save_snapshot()
        finally:
            for reading in self._readings:
                reading.stop()
            for sender in self._senders:
                sender.stop()
            for sender in self._senders:
                sender.join(timeout=10)
            server.stop()
            self._state.close()
        return ExitCode.BUG if self._failed else ExitCode.OK

    def health(self) -> Health:
        """Return what /health shows; called from the server's threads."""
        reasons = []
        troubles = [trouble for reading in self._readings if (trouble := reading.trouble()) is not None]
        failing = any(trouble.blind for trouble in troubles)
        reasons += [trouble.reason for trouble in troubles]
        if time.monotonic() - self._turned_at > SILENT_S:
            failing = True
            reasons.append(
                f"no batch was finished for {SILENT_S:g} s; is the disk that holds {self._config.state} full or slow?"
            )
        channels = []
        for sender in self._senders:
            pace = sender.pace
            channels.append(
                ChannelHealth(
                    name=sender.channel.name,
                    type=sender.channel.type,
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
                reasons.append(f"channel {sender.channel.name}: {pace.verdict}: {pace.summary}")
            elif pace.waiting and time.time() - pace.oldest > _WAITS_TOO_LONG_S:
                reasons.append(f"channel {sender.channel.name}: {pace.waiting} messages wait to be delivered")
        evicted = self._engine.evicted
        for rule, forgotten in evicted.items():
            if forgotten.at and time.time() - forgotten.at < _EVICTION_SHOWN_S:
                reasons.append(
                    f"rule {rule}: more than {MOST_KEYS:,} keys at a time; the counts of {forgotten.keys:,} keys with "
                    "the fewest lines were dropped"
                )
        sources = [reading.source for reading in self._readings]
        found = [source for source in sources if source is not None]
        skipped = self._engine.skipped
        clock = self._event_time
        return Health(
            status="failing" if failing else "degraded" if reasons else "ok",
            reason="; ".join(reasons),
            lag=sum(source.lag for source in found) if all(s is not None and s.ends for s in sources) else None,
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
            evicted={rule: forgotten.keys for rule, forgotten in evicted.items()},
            alerts=self._alerts,
            suppressed=dict(self._notifier.suppressed),
            channels=tuple(channels),
            cluster=found[0].log.cluster if found else "",
            topics={
                source.log.topic: TopicRead(
                    id=source.log.topic_id,
                    positions={str(part): offset for part, offset in sorted(source.positions.copy().items())},
                )
                for source in found
            },
        )

    def _serve(self) -> Server:
        address, port = self._config.health.address, self._config.health.port
        try:
            return Server(address, port, health=lambda: page(self.health()), metrics=lambda: metrics(self.health()))
        except OSError as error:
            raise ConfigError(
                f"the health address {address}:{port} cannot be used: {error.strerror}",
                hint="another program has the port; set health.port (the role's consumer_alert_metrics_port)",
            ) from None

    def _fail(self) -> None:
        self._failed = True
        self._stopping.set()

    def _recover(self) -> None:
        """Take over what an earlier process left."""
        kept = self._state.load()
        if kept.snapshot and not self._engine.restore(kept.snapshot, time.time()):
            LOG.info("the rules have changed: the lines that still count are read again")
            self._state.drop_snapshot()
        orphans = self._engine.take_over(kept.alerts)
        self._notifier = Notifier(self._config.notifications, kept.entries)
        connection = connect(self._config.state)
        with transaction(connection):
            abandoned = outbox.recover(connection, self._channels)
        connection.close()
        for channel, title in abandoned:
            LOG.error(
                "a message is dropped, because its channel is no longer configured",
                extra={"channel": channel, "title": title},
            )
        self._save(orphans)
        self._show_alerts()
        if kept.alerts:
            LOG.info("alerts taken over", extra={"alerts": len(kept.alerts), "firing": len(self._engine.firing)})

    def _batch(self) -> None:
        """Read lines, count them, see what starts and what has ended, and keep it."""
        events: list[Event] = []
        for reading, wait_s in zip(self._readings, (_WAIT_S, 0.0), strict=False):
            records = reading.turn(_BATCH, wait_s)
            events += self._events(reading, records)
        now = time.time()
        transitions = self._engine.feed(events, now)
        clocks = [reading.clock.now(now) for reading in self._readings]
        self._event_time = None if None in clocks else min(clock for clock in clocks if clock is not None)
        transitions += self._engine.tick(self._event_time, now)
        self._save(transitions)
        sources = [reading.source for reading in self._readings]
        if sources != self._saved_sources or time.monotonic() - self._saved_at > _SNAPSHOT_EVERY_S:
            self._save_snapshot()

    def _events(self, reading: Reading, records: list[Record]) -> Iterator[Event]:
        now = time.time()
        for record in records:
            event = self._lines.event(record.value)
            if event is not None:
                reading.clock.read(record.partition, min(event.time, now))
                if event.time <= now + self._config.ahead_s:
                    self._last_event = max(self._last_event, event.time)
                yield event

    def _save(self, transitions: list[Transition]) -> None:
        """Let the stages decide what is to be said, and write alerts and messages."""
        now = time.time()
        decided = self._notifier.turn(
            [transition.alert for transition in transitions],
            self._engine.firing,
            now,
            unable_since=self._unable_since(),
        )
        changes, remembered = self._engine.take_changes(), self._notifier.take_changes()
        for problem in decided.problems:
            LOG.warning(problem)
        for (stage, cause, rule), number in Counter((h.stage, h.cause, h.rule) for h in decided.suppressed).items():
            LOG.info("alerts are held back", extra={"stage": stage, "cause": cause, "rule": rule, "alerts": number})
        tops = self._tops.of(alert for about in decided.notifications for alert in about.alerts)
        messages = [(self._writer.message(about, tops), about) for about in decided.notifications]
        if not (changes or remembered.saved or remembered.gone or messages or decided.pass_on):
            return
        self._state.save(changes, remembered, messages, decided.pass_on, now)
        if changes:
            self._show_alerts()
        for message, about in messages:
            LOG.info(
                message.title,
                extra={
                    "group": message.thread,
                    "kind": message.kind.value,
                    "channels": about.channels,
                    "lines": message.lines,
                },
            )
        if messages or decided.pass_on:
            for sender in self._senders:
                sender.wake()

    def _show_alerts(self) -> None:
        """Let /health show what is on now."""
        firing = self._engine.firing.values()
        self._alerts = tuple(
            ActiveAlert(rule=a.rule, labels=a.labels, incident=a.incident, started=a.started) for a in firing
        )

    def _unable_since(self) -> dict[str, float]:
        """Return the channels that cannot deliver, and since when their oldest message waits."""
        return {
            sender.channel.name: sender.pace.oldest
            for sender in self._senders
            if sender.pace.failures and sender.pace.waiting
        }

    def _save_snapshot(self) -> None:
        """Write the windows with the positions that they belong to; at once when another log is read."""
        sources = [reading.source for reading in self._readings]
        reached = [(source.log, source.positions) for source in sources if source is not None]
        self._state.save_snapshot(self._engine.snapshot(), self._engine.firing.values(), reached)
        self._saved_sources, self._saved_at = sources, time.monotonic()


def main(argv: Sequence[str] | None = None) -> None:
    """Run the alerter and exit with its code, one of those that ``obsctl`` has."""
    parser = argparse.ArgumentParser(prog="obsctl-alerter", description="Turn access-log lines into alerts.")
    parser.add_argument("--config", type=Path, default=Path("/etc/obsctl/alerter.yml"), help="configuration (YAML)")
    parser.add_argument("--check", action="store_true", help="only check the configuration and its secrets")
    parser.add_argument("--log-level", choices=["debug", "info", "warning", "error"], default="info")
    parser.add_argument("--version", action="version", version=__version__)
    arguments = parser.parse_args(argv)
    try:
        config = settings.load(arguments.config)
        check_templates(config.rules, config.database, config.templates)
        if arguments.check:
            for channel in config.channels:
                channel.open(resolve)
            sys.exit(int(ExitCode.OK))
    except ConfigError as error:
        hint = f"hint: {redact(error.hint)}\n" if error.hint else ""
        sys.stderr.write(f"obsctl-alerter: {redact(str(error))}\n{hint}")
        sys.exit(int(ExitCode.CONFIG))
    journal.start(logging.getLevelNamesMapping()[arguments.log_level.upper()])
    try:
        sys.exit(int(_run(config)))
    except ObsctlError as error:
        LOG.critical("the alerter cannot start", extra={"error": str(error), "hint": error.hint})
        sys.exit(int(error.exit_code))
    except Exception:
        # What is in memory is worth nothing once the state cannot be written: systemd starts a new process.
        LOG.exception("the alerter cannot go on")
        sys.exit(int(ExitCode.BUG))


def _run(config: AlerterConfig) -> ExitCode:
    for channel in config.channels:
        try:
            channel.open(resolve)
        except ConfigError as error:
            # Loud, but no reason not to watch: the other channels work, and the secret is read again each time.
            LOG.error(  # noqa: TRY400 - no traceback near secrets
                "a channel cannot be used", extra={"channel": channel.name, "error": str(error), "hint": error.hint}
            )
    alerter = Alerter(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: alerter.stop())
    return alerter.run()


if __name__ == "__main__":
    main()
