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
from obsctl.alerter.changelog import Changelog, LeadershipLostError
from obsctl.alerter.clock import EventClock
from obsctl.alerter.config import AlerterConfig
from obsctl.alerter.engine import MOST_KEYS, Engine, Transition
from obsctl.alerter.events import Event
from obsctl.alerter.health import (
    ActiveAlert,
    Attempted,
    ChannelHealth,
    Health,
    Role,
    TopicRead,
    heartbeat_health,
    metrics,
    own_numbers,
    page,
    standby,
)
from obsctl.alerter.heartbeat import Heartbeat
from obsctl.alerter.history.of_attempt import carried
from obsctl.alerter.history.of_turn import of_turn
from obsctl.alerter.history.records import Abandoned
from obsctl.alerter.leadership import Membership
from obsctl.alerter.lines import LineReader
from obsctl.alerter.message import Writer, utc
from obsctl.alerter.metrics import certificate, disk
from obsctl.alerter.metrics.poller import OWN, Poller
from obsctl.alerter.notice import Notices, Watch
from obsctl.alerter.notify.stages import Notifier
from obsctl.alerter.probe import SILENT_S
from obsctl.alerter.reading import Reading
from obsctl.alerter.rules.rule import Log as LineLog
from obsctl.alerter.sample import Tops
from obsctl.alerter.sender import Sender
from obsctl.alerter.silence_follower import SilenceFollower
from obsctl.alerter.source import Record, Source
from obsctl.alerter.state import State, note, transaction
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
#: What was sent before an alerter's end is to be recorded still; Kafka may take so long for it, seconds.
_LAST_ANSWER_S = 10.0
#: The first decisions wait so long for the silences, seconds; beyond, the topic does not exist or has no leader.
_SILENCES_S = 5.0
#: For so long after counts were dropped to keep memory bounded the service is degraded, seconds.
_EVICTION_SHOWN_S = 300.0
#: To the heartbeat a channel that failed cannot deliver when its oldest message has waited so long, seconds.
_UNABLE_S = 60.0


class Alerter:
    """Reads lines, decides, remembers, and has its senders deliver: the active alerter, for as long as it is.

    Args:
        config: what alerter.yml says.
        state: what an earlier one left, here or on another host.
        changelog: where its changes go.
        membership: says for how long this alerter is the active one.
        silences: of people.
    """

    def __init__(
        self,
        config: AlerterConfig,
        state: State,
        changelog: Changelog,
        membership: Membership,
        silences: SilenceFollower,
    ) -> None:
        self._config = config
        self._state = state
        self._changelog = changelog
        self._membership = membership
        self._silences = silences
        self._stopping = threading.Event()
        self._failure: Exception | None = None
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
        self._senders = [Sender(channel, state, resolve, self._fail, config.templates) for channel in config.channels]
        self._poller = Poller(
            config.metrics.sources,
            config.rules,
            lambda: own_numbers(OWN, self.health(), time.time()),
            every_s=config.metrics.every_s,
            on_failure=self._fail,
        )
        self._heartbeat = (
            None
            if config.heartbeat is None
            else Heartbeat(config.heartbeat, resolve, self._why_no_heartbeat, self._fail)
        )
        self._threads: list[Sender | Poller | Heartbeat] = [*self._senders, self._poller]
        if self._heartbeat is not None:
            self._threads.append(self._heartbeat)
        self._batches = 0
        self._last_event = 0.0
        self._event_time: float | None = None
        self._turned_at = time.monotonic()
        self._alerts: tuple[ActiveAlert, ...] = ()
        self._saved_sources: list[Source | None] = []
        self._saved_at = time.monotonic()

    def stop(self) -> None:
        """End after the batch that is under way."""
        self._stopping.set()

    def run(self) -> None:
        """Work until stopped.

        Raises:
            LeadershipLostError: another alerter is the active one now; what is in memory is worth nothing.
            sqlite3.Error: the state cannot be written; what is in memory is then worth nothing.
        """
        state_log = self._membership.log
        for reading in self._readings:
            reading.start()
        try:
            self._silences.wait(_SILENCES_S)
            self._recover()
            for thread in self._threads:
                thread.start()
            while not self._stopping.is_set():
                self._membership.beat()
                if not self._membership.chosen:
                    raise LeadershipLostError("the group has chosen another alerter, or none")
                if self._membership.log not in {state_log, None}:
                    raise LeadershipLostError("the topic of the state was created again")
                self._batch()
                self._turned_at = time.monotonic()
            if self._failure is not None:
                raise self._failure
            self._save_snapshot()
        finally:
            for reading in self._readings:
                reading.stop()
            for thread in self._threads:
                thread.stop()
            for thread in self._threads:
                if thread.ident is not None:
                    thread.join(timeout=10)

    def health(self) -> Health:
        """Return what /health shows; called from the server's threads."""
        reasons = []
        troubles = [trouble for reading in self._readings if (trouble := reading.trouble()) is not None]
        failing = any(trouble.blind for trouble in troubles)
        reasons += [trouble.reason for trouble in troubles]
        if not failing and (cannot_write := self._membership.trouble()):
            reasons.append(cannot_write)
        waiting_since = self._changelog.waiting_since
        if waiting_since and time.monotonic() - waiting_since > SILENT_S:
            failing = True
            reasons.append(
                f"the state cannot be written to topic {self._config.kafka.topics.state}, so no message can be sent: "
                "obsctl kafka status"
            )
        elif time.monotonic() - self._turned_at > SILENT_S:
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
                    unable_s=round(max(0.0, time.time() - pace.blocked_since), 1)
                    if pace.failures and pace.blocked_since
                    else 0.0,
                    dead=sender.dead.number,
                    attempts=tuple(
                        Attempted(verdict=verdict, code=code, number=number)
                        for (verdict, code), number in sender.attempts.by_outcome.items()
                    ),
                )
            )
            if sender.dead.number:
                reasons.append(
                    f"channel {sender.channel.name}: {sender.dead.number} messages were given up within the last day, "
                    f"the latest one is {sender.dead.latest!r}"
                )
            if pace.failures:
                reasons.append(f"channel {sender.channel.name}: {pace.verdict}: {pace.summary}")
            elif pace.waiting and time.time() - pace.oldest > _WAITS_TOO_LONG_S:
                reasons.append(f"channel {sender.channel.name}: {pace.waiting} messages wait to be delivered")
        reasons += self._unheard()
        pulse = self._heartbeat.pulse if self._heartbeat is not None else None
        if pulse is not None and pulse.failures:
            reasons.append(f"heartbeat: {pulse.verdict}: {pulse.summary}")
        certificates = certificate.days_left(self._config.metrics.certificates, time.time())
        reasons += [f"no certificate can be read in {path}" for path, days in certificates.items() if days is None]
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
            role=Role.ACTIVE,
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
            history_lost=self._changelog.history.lost,
            channels=tuple(channels),
            cluster=found[0].log.cluster if found else "",
            topics={
                source.log.topic: TopicRead(
                    id=source.log.topic_id,
                    positions={str(part): offset for part, offset in sorted(source.positions.copy().items())},
                )
                for source in found
            },
            batches=self._batches,
            keys=self._engine.keys,
            sources=dict(self._poller.problems),
            disk_free=disk.free_shares([self._config.state.parent]),
            certificate_days=certificates,
            heartbeat=heartbeat_health(pulse) if pulse is not None else None,
        )

    def _unheard(self) -> list[str]:
        """Return what is wrong with the topics of silences and history, once that lasts."""
        now = time.monotonic()
        return [
            f"{what}: {part.trouble}"
            for what, part in (("silences", self._silences), ("history", self._changelog.history))
            if part.trouble and now - part.trouble_since > SILENT_S
        ]

    def _why_no_heartbeat(self) -> str:
        """Return why those outside should not think that alerts work; empty when they do."""
        health = self.health()
        if health.status == "failing":
            return health.reason
        if all(channel.unable_s > _UNABLE_S for channel in health.channels):
            return "no channel can deliver" if health.channels else "there is no channel"
        return ""

    def _fail(self, error: Exception) -> None:
        self._failure = error
        self._stopping.set()

    def _recover(self) -> None:
        """Take over what an earlier process left."""
        kept = self._state.load()
        if kept.snapshot and not self._engine.restore(kept.snapshot, time.time()):
            LOG.info("the rules have changed: the lines that still count are read again")
            self._state.drop_snapshot()
        orphans = self._engine.take_over(kept.alerts)
        self._notifier = Notifier(self._config.notifications, kept.entries)
        connection = self._state.connect()
        with transaction(connection):
            abandoned = outbox.recover(connection, self._channels)
            note(
                connection,
                [
                    Abandoned(at=time.time(), channel=channel, message=carried(message))
                    for channel, message in abandoned
                ],
            )
        connection.close()
        for channel, message in abandoned:
            LOG.error(
                "a message is dropped, because its channel is no longer configured",
                extra={"channel": channel, "title": message.title},
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
        seen = self._poller.take()
        if seen is not None:
            transitions += self._engine.observe(seen, now)
        self._batches += 1
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
            silences=self._silences.silences,
            unable_since=self._unable_since(),
        )
        changes, remembered = self._engine.take_changes(), self._notifier.take_changes()
        for problem in decided.problems:
            LOG.warning(problem)
        for (stage, cause, rule), number in Counter((h.stage, h.cause, h.rule) for h in decided.suppressed).items():
            LOG.info("alerts are held back", extra={"stage": stage, "cause": cause, "rule": rule, "alerts": number})
        tops = self._tops.of(alert for about in decided.notifications for alert in about.alerts)
        messages = [(self._writer.message(about, tops), about) for about in decided.notifications]
        records = of_turn([transition.alert for transition in transitions], decided.suppressed, messages, now)
        if not (changes or remembered.saved or remembered.gone or messages or decided.pass_on or records):
            return
        self._state.save(changes, remembered, messages, decided.pass_on, now, records=records)
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


class Service:
    """One of the alerters of a fleet: stands by until it is chosen, and is the active one for as long as it is chosen.

    Args:
        config: what alerter.yml says.

    Raises:
        ConfigError: the state file cannot be used.
        RefusedError: another process holds it.
    """

    def __init__(self, config: AlerterConfig) -> None:
        self._config = config
        self._state = State(config.state)
        self._membership = Membership(config.kafka)
        # Also one that stands by follows them: what it decides first after a take-over must not wait for them.
        self._silences = SilenceFollower(config.kafka.bootstrap, config.kafka.topics.silences)
        self._stopping = threading.Event()
        self._alerter: Alerter | None = None
        notices = Notices(
            config.state.with_name("notice.json"),
            config.kafka.member,
            [channel.name for channel in config.channels],
            config.templates,
        )
        self._notices = Watch(notices, config.channels, resolve, self._why_failing)
        #: When this alerter was the active one last, monotonic seconds.
        self._active_at = 0.0

    def stop(self) -> None:
        """End after the batch that is under way."""
        self._stopping.set()
        if self._alerter is not None:
            self._alerter.stop()

    def run(self) -> None:
        """Work until stopped.

        Raises:
            ConfigError: the health address cannot be used; or the state in Kafka is of another release.
            sqlite3.Error: the state cannot be written; what is in memory is then worth nothing.
        """
        server = self._serve()
        self._membership.start()
        self._silences.start()
        self._notices.start()
        try:
            while not self._stopping.is_set():
                if self._membership.wait(_WAIT_S):
                    self._lead()
        finally:
            self._notices.stop()
            self._silences.stop()
            self._membership.stop()
            self._membership.join(timeout=10)
            server.stop()
            self._state.close()

    def health(self) -> Health:
        """Return what /health shows; called from the server's threads."""
        alerter = self._alerter
        return alerter.health() if alerter is not None else standby(self._membership.trouble())

    def _why_failing(self) -> str:
        health = self.health()
        return health.reason if health.status == "failing" else ""

    def _lead(self) -> None:
        """Be the active alerter until stopped or until another one is."""
        LOG.info("this alerter is the active one now")
        changelog = Changelog(self._config.kafka, self._beat)
        try:
            changelog.fence()
            self._state.follow(changelog, changelog.read())
            alerter = Alerter(self._config, self._state, changelog, self._membership, self._silences)
            self._alerter = alerter
            if self._stopping.is_set():
                return
            alerter.run()
        except LeadershipLostError as error:
            if not self._stopping.is_set():
                LOG.warning("this alerter is not the active one any more", extra={"reason": str(error)})
                self._membership.rejoin()
        finally:
            self._alerter = None
            self._state.unfollow()
            changelog.close()

    def _beat(self) -> None:
        """Go on waiting for Kafka, but not much longer than this alerter is the active one."""
        self._membership.beat()
        now = time.monotonic()
        if not self._stopping.is_set() and self._membership.chosen:
            self._active_at = now
        elif now - self._active_at > _LAST_ANSWER_S:
            raise LeadershipLostError("Kafka did not answer before this alerter's end")

    def _serve(self) -> Server:
        address, port = self._config.health.address, self._config.health.port
        try:
            return Server(
                address,
                port,
                health=lambda: page(self.health()),
                metrics=lambda: metrics(self.health(), time.time()),
            )
        except OSError as error:
            raise ConfigError(
                f"the health address {address}:{port} cannot be used: {error.strerror}",
                hint="another program has the port; set health.port (the role's consumer_alert_metrics_port)",
            ) from None


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
    for route in config.notifications.single if len(config.channels) > 1 else ():
        LOG.warning(
            "a route has one channel alone: that it cannot deliver would be reported to itself",
            extra={"route": route, "hint": "name another channel as the route's fail_over, or add one to its channels"},
        )
    service = Service(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: service.stop())
    service.run()
    return ExitCode.OK


if __name__ == "__main__":
    main()
