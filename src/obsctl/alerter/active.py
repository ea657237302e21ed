"""The active alerter: it reads lines, decides, stores its state, and has its senders deliver messages."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator

from obsctl.alerter.config import AlerterConfig
from obsctl.alerter.delivery.heartbeat import Heartbeat
from obsctl.alerter.delivery.history_of_attempt import carried
from obsctl.alerter.delivery.sender import Sender
from obsctl.alerter.evaluation.engine import MOST_KEYS, Changes, Engine, Transition
from obsctl.alerter.evaluation.event_clock import EventClock
from obsctl.alerter.evaluation.line_sample import Tops
from obsctl.alerter.health import (
    ActiveAlert,
    Attempted,
    ChannelHealth,
    Health,
    Role,
    TopicRead,
    heartbeat_health,
    own_numbers,
)
from obsctl.alerter.history.of_turn import of_turn
from obsctl.alerter.history.records import Abandoned
from obsctl.alerter.input.record_source import Record, Source
from obsctl.alerter.input.topic_follower import TopicFollower
from obsctl.alerter.input.topic_probe import SILENT_S
from obsctl.alerter.leadership import Membership
from obsctl.alerter.messages.message import Writer, utc
from obsctl.alerter.metrics import machine
from obsctl.alerter.metrics.certificate import Certificates
from obsctl.alerter.metrics.poller import OWN, Poller
from obsctl.alerter.notify import memory
from obsctl.alerter.notify.stages import Notifier
from obsctl.alerter.rules.rule import Log
from obsctl.alerter.silences.follower import SilenceFollower
from obsctl.alerter.state import outbox
from obsctl.alerter.state.changelog import Changelog, LeadershipLostError
from obsctl.alerter.state.state_file import State
from obsctl.alerter.state.transaction import note, transaction
from obsctl.alerter.wire.runs import Runs
from obsctl.core.rule_test import Arrival
from obsctl.core.secrets import resolve
from obsctl.lines.client_address import TrustedProxies
from obsctl.lines.event import Event
from obsctl.lines.line_reader import LineReader

LOG = logging.getLogger("obsctl.alerter")

#: The largest number of records in a batch; a batch is one transaction.
_BATCH = 2000
#: How long to wait for records, seconds: part of the time from a line to its message.
_WAIT_S = 0.2
#: How often the windows are written, seconds: after a crash, at most the lines of this time are read again.
_SNAPSHOT_EVERY_S = 30.0
#: A message that waits longer makes the service degraded, seconds.
_WAITS_TOO_LONG_S = 60.0
#: How long the first decisions wait for the silences, seconds; after that, their topic does not exist or has no
#: leader.
_SILENCES_S = 5.0
#: How long the service is degraded after counts were dropped to keep memory bounded, seconds.
_EVICTION_SHOWN_S = 300.0
#: The heartbeat takes a failed channel for unable to deliver once its oldest message has waited this long, seconds.
_UNABLE_S = 60.0


class Alerter:
    """Reads lines, decides, stores its state, and has its senders deliver, while this alerter is the active one.

    Args:
        config: what alerter.yml says.
        state: what the previous active alerter stored, on this host or another one.
        changelog: where changes of the state are written.
        membership: says for how long this alerter is the active one.
        silences: follows the silences that people made.
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
        topics = [config.kafka.topics.access] + ([config.kafka.topics.error] if Log.ERROR in logs else [])
        self._followers = [
            TopicFollower(config.kafka, topic, self._state, EventClock(config.shipping_s), config.lateness_s)
            for topic in topics
        ]
        self._lines = LineReader(
            TrustedProxies(config.trusted_proxies), config.error_log_timezone, native=config.native
        )
        self._writer = Writer(config.rules, config.templates)
        self._notifier = Notifier(config.notifications)
        self._tests = Runs(config.rules, config.notifications, lateness_s=config.lateness_s, ahead_s=config.ahead_s)
        self._channels = [channel.name for channel in config.channels]
        self._tops = Tops(self._engine.top)
        self._senders = [Sender(channel, state, resolve, self._fail, config.templates) for channel in config.channels]
        certificates = Certificates(config.metrics.certificates)
        self._poller = Poller(
            config.metrics.sources,
            config.rules,
            lambda: own_numbers(OWN, self.health(), time.time()),
            lambda: machine.look([config.state.parent], certificates, time.time()),
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
            LeadershipLostError: another alerter is the active one now; what is in memory must be discarded.
            sqlite3.Error: the state cannot be written; what is in memory must be discarded.
        """
        state_log = self._membership.log
        for follower in self._followers:
            follower.start()
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
            for follower in self._followers:
                follower.stop()
            for thread in self._threads:
                thread.stop()
            for thread in self._threads:
                if thread.ident is not None:
                    thread.join(timeout=10)

    def health(self) -> Health:
        """Return what /health shows; called from the server's threads."""
        reasons = []
        troubles = [trouble for follower in self._followers if (trouble := follower.trouble()) is not None]
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
                f"no batch was finished for {SILENT_S:g} s; check whether the disk that holds "
                f"{self._config.state} is full or slow"
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
                    f"channel {sender.channel.name}: {sender.dead.number} messages were abandoned within the last day; "
                    f"the latest one is {sender.dead.latest!r}"
                )
            if pace.failures:
                reasons.append(f"channel {sender.channel.name}: {pace.verdict}: {pace.summary}")
            elif pace.waiting and time.time() - pace.oldest > _WAITS_TOO_LONG_S:
                reasons.append(f"channel {sender.channel.name}: {pace.waiting} messages are waiting to be delivered")
        reasons += self._unheard()
        pulse = self._heartbeat.pulse if self._heartbeat is not None else None
        if pulse is not None and pulse.failures:
            reasons.append(f"heartbeat: {pulse.verdict}: {pulse.summary}")
        seen = self._poller.machine
        certificates = seen.certificate_days
        reasons += [f"no certificate can be read in {path}" for path, days in certificates.items() if days is None]
        evicted = self._engine.evicted
        for rule, forgotten in evicted.items():
            if forgotten.at and time.time() - forgotten.at < _EVICTION_SHOWN_S:
                reasons.append(
                    f"rule {rule}: more than {MOST_KEYS:,} keys at a time; the counts of {forgotten.keys:,} keys with "
                    "the fewest lines were dropped"
                )
        sources = [follower.source for follower in self._followers]
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
            disk_free=seen.disk_free,
            certificate_days=certificates,
            heartbeat=heartbeat_health(pulse) if pulse is not None else None,
            tests=self._tests.page(time.time()),
            read_by=self._lines.read_by,
        )

    def _unheard(self) -> list[str]:
        """Return what is wrong with the topics of silences and history, once it has lasted for a while."""
        now = time.monotonic()
        return [
            f"{what}: {part.trouble}"
            for what, part in (("silences", self._silences), ("history", self._changelog.history))
            if part.trouble and now - part.trouble_since > SILENT_S
        ]

    def _why_no_heartbeat(self) -> str:
        """Return why the heartbeat must not be sent; empty when alerting works."""
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
        """Take over what an earlier process stored."""
        kept = self._state.load()
        if kept.snapshot and not self._engine.restore(kept.snapshot, time.time()):
            LOG.info("the rules have changed: the lines that are still within a window are read again")
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
        """Read a batch of lines, count them, and store which conditions have started or ended."""
        events: list[Event] = []
        for follower, wait_s in zip(self._followers, (_WAIT_S, 0.0), strict=False):
            records = follower.turn(_BATCH, wait_s)
            events += self._events(follower, records)
        now = time.time()
        transitions = self._engine.feed(events, now)
        clocks = [follower.clock.now(now) for follower in self._followers]
        self._event_time = None if None in clocks else min(clock for clock in clocks if clock is not None)
        transitions += self._engine.tick(self._event_time, now)
        seen = self._poller.take()
        if seen is not None:
            transitions += self._engine.observe(seen, now)
        self._batches += 1
        self._save(transitions)
        self._save_tests()
        sources = [follower.source for follower in self._followers]
        if sources != self._saved_sources or time.monotonic() - self._saved_at > _SNAPSHOT_EVERY_S:
            self._save_snapshot()

    def _events(self, follower: TopicFollower, records: list[Record]) -> Iterator[Event]:
        now = time.time()
        events = self._lines.events([record.value for record in records])
        for record, event in zip(records, events, strict=True):
            if event is not None and event.mark:
                self._tests.take(event, now)
            elif event is not None:
                follower.clock.read(record.partition, min(event.time, now))
                if event.time <= now + self._config.ahead_s:
                    self._last_event = max(self._last_event, event.time)
                yield event

    def _save(self, transitions: list[Transition]) -> None:
        """Let the stages decide which messages are due, and write alerts and messages."""
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
            LOG.info("alerts are suppressed", extra={"stage": stage, "cause": cause, "rule": rule, "alerts": number})
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

    def _save_tests(self) -> None:
        """Put the messages of tests into the outbox: nothing else of a test is stored."""
        now = time.time()
        decided = self._tests.turn(self._event_time, now, self._unable_since(), self._arrivals)
        messages = [(self._writer.rule_test(one.about, one.tops, one.mark), one.about) for one in decided]
        if not messages:
            return
        self._state.save(Changes(), memory.Changes({}, ()), messages, (), now)
        for message, about in messages:
            LOG.info(message.title, extra={"kind": message.kind.value, "channels": about.channels})
        for sender in self._senders:
            sender.wake()

    def _arrivals(self, message_id: str) -> list[Arrival]:
        paces = {sender.channel.name: sender.pace for sender in self._senders}
        return [
            Arrival(
                channel=channel,
                state=state,
                at=settled,
                attempts=attempts,
                verdict=paces[channel].verdict if channel in paces else "",
                summary=paces[channel].summary if channel in paces else "",
            )
            for channel, state, attempts, settled in self._state.progress(message_id)
        ]

    def _show_alerts(self) -> None:
        """Give /health the alerts that are firing now."""
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
        """Write the windows with the positions that they belong to; at once when the topic was created again."""
        sources = [follower.source for follower in self._followers]
        reached = [(source.log, source.positions) for source in sources if source is not None]
        self._state.save_snapshot(self._engine.snapshot(), self._engine.firing.values(), reached)
        self._saved_sources, self._saved_at = sources, time.monotonic()
