"""Alerts, their history and silences, read from the alerters' topics in Kafka; no alerter needs to run for this."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from obsctl.alerter.history.as_data import as_data as story_as_data
from obsctl.alerter.history.records import AnyRecord, Started
from obsctl.alerter.history.starts import EARLIER_S, Starts, starts
from obsctl.alerter.history.story import Relevant, incidents_of, next_step, of_rule, story
from obsctl.alerter.history.topic import KEPT_S, Past
from obsctl.alerter.notify import alert_filter, silences
from obsctl.alerter.notify.filters import ReadFilter
from obsctl.alerter.notify.silences import Silence, Silences
from obsctl.alerter.rules.registry import KINDS
from obsctl.alerter.rules.rule import Rule
from obsctl.alerter.silences import topic as silence_topic
from obsctl.alerter.state.changelog import read_rows
from obsctl.alerter.state.standing import Standing, standing
from obsctl.console.config import FleetConfig, KafkaConfig
from obsctl.console.kept import Answer, Kept, KeptEach
from obsctl.core.config_file import InvalidValueError
from obsctl.core.errors import ConfigError
from obsctl.fleet import load
from obsctl.fleet.model import Fleet
from obsctl.kafka.topic_log import NotAnsweredError, TopicMissingError

#: How long a page waits for Kafka, seconds.
WAIT_S = 4.5
#: How long an answer is reused, seconds.
_FRESH_S = 3.0
#: Time limit for reading the history, seconds; later records are left out, and the answer says so.
_READING_S = 4.0
#: What is read for everything about one alert, and the time limit for it, both in seconds: all of the history, or its
#: last day where that takes too long.
_WHOLE, _LAST_DAY = (KEPT_S, 2.5), (86_400.0, 1.0)
#: How many answers about the history are kept, and how many are read from it at the same time.
_KEPT, _AT_ONCE = 32, 4


class Recorded(NamedTuple):
    """A part of the history.

    Attributes:
        records: the latest ones, in order.
        earlier: how many earlier ones are left out.
        unreadable: records of another version, or none at all.
        whole: false where the time did not suffice, and later ones are missing.
        started: alerts that started, by rule.
    """

    records: tuple[AnyRecord, ...]
    earlier: int
    unreadable: int
    whole: bool
    started: Counter[str]


class Told(NamedTuple):
    """What the history has about an alert.

    Attributes:
        story: as ``obsctl alert why`` gives it; None if the history does not have the alert.
        whole: false where the time sufficed only for the last day.
    """

    story: dict[str, Any] | None
    whole: bool


class Alerts:
    """Reads and writes the alerters' topics.

    Args:
        kafka: the brokers and the topics.
        fleet: says where the rules are.
    """

    def __init__(self, kafka: KafkaConfig, fleet: FleetConfig) -> None:
        self._kafka, self._fleet = kafka, fleet
        self._standing: Kept[list[Standing] | None] = Kept(self._read_standing, _FRESH_S)
        self._silences: Kept[Silences] = Kept(self._read_silences, _FRESH_S)
        self._history: KeptEach[Recorded] = KeptEach(_KEPT, _AT_ONCE, _FRESH_S)
        self._stories: KeptEach[Told] = KeptEach(_KEPT, _AT_ONCE, _FRESH_S)

    def standing(self) -> Answer[list[Standing] | None]:
        """Return the alerts in the alerters' state, firing ones first; None if no alerter has written a state."""
        return self._standing.get(WAIT_S)

    def silences(self) -> Answer[Silences]:
        """Return all silences."""
        return self._silences.get(WAIT_S)

    def history(self, since: str, begin: Callable[[], float], rule: str, limit: int) -> Answer[Recorded]:
        """Return what the alerters decided, and the results.

        Args:
            since: the beginning as given by the caller; answers are kept by this text.
            begin: returns the beginning at the time of reading, seconds since the epoch.
            rule: only records about this rule's alerts; empty for all.
            limit: the most records, the latest ones.
        """
        return self._history.get((since, rule, limit), lambda: self._read_history(begin(), rule, limit), WAIT_S)

    def story(self, incident: str) -> Answer[Told]:
        """Return everything about an alert."""
        return self._stories.get(incident, lambda: self._read_story(incident), WAIT_S)

    def starts(self, rule: str, begin: float, end: float) -> Starts:
        """Return a rule's alerts that really started between two times, in seconds since the epoch.

        Raises:
            TopicMissingError: the cluster has no topic of the history.
            NotAnsweredError: the brokers do not answer.
        """
        past = Past(self._kafka.brokers, self._kafka.topics.history, begin - EARLIER_S)
        return starts(past, rule, begin, end, seconds=_READING_S)

    def silence(
        self,
        filter: str,  # noqa: A002 - the word of the commands and of the stored entry
        read: ReadFilter,
        *,
        ends: float,
        author: str,
        reason: str,
        dry_run: bool,
    ) -> Silence:
        """Silence alerts, as ``obsctl alert silence add`` does.

        Args:
            filter: which alerts, in the filter language.
            read: parses the filter; from :meth:`filters`.
            ends: until when, seconds since the epoch.
            author: who does it.
            reason: why.
            dry_run: only check it.

        Raises:
            QueryError: the filter cannot be read.
            UsageError: no reason, or an end that is in the past or too far away.
            RefusedError: there are too many.
            TopicMissingError: the cluster has no topic of silences.
            NotAnsweredError: the brokers do not answer; the silence may or may not be stored.
        """
        before = self._read_silences()
        after, made = silences.add(
            before, filter=filter, ends=ends, author=author, reason=reason, now=time.time(), read=read
        )
        if not dry_run:
            silence_topic.write(self._kafka.brokers, self._kafka.topics.silences, before, after)
            self._silences.forget()
        return made

    def end_silence(self, silence_id: str, author: str) -> Silence:
        """End a silence now.

        Raises:
            UsageError: there is no silence with this id, or it has ended.
            TopicMissingError: the cluster has no topic of silences.
            NotAnsweredError: the brokers do not answer; the silence may or may not have been ended.
        """
        before, now = self._read_silences(), time.time()
        after = silences.expire(before, silence_id, author=author, now=now)
        silence_topic.write(self._kafka.brokers, self._kafka.topics.silences, before, silences.remembered(after, now))
        self._silences.forget()
        return next(one for one in after if one.id == silence_id)

    def filters(self) -> ReadFilter:
        """Return the function that parses a filter over the alerts of the fleet's rules.

        Raises:
            ConfigError: the rules cannot be read.
        """
        return alert_filter.reader(
            dict.fromkeys(field for rule in rules_of(document(self._fleet)) for field in rule.fields)
        )

    def _read_standing(self) -> list[Standing] | None:
        rows = read_rows(self._kafka.brokers, self._kafka.topics.state)
        return None if rows is None else standing(rows)

    def _read_silences(self) -> Silences:
        return silence_topic.read(self._kafka.brokers, self._kafka.topics.silences).silences()

    def _read_history(self, begin: float, rule: str, limit: int) -> Recorded:
        past = Past(self._kafka.brokers, self._kafka.topics.history, begin)
        found: deque[AnyRecord] = deque(maxlen=limit)
        started: Counter[str] = Counter()
        count, ends, whole = 0, time.monotonic() + _READING_S, True
        for record in of_rule(past, rule or None):
            count += 1
            found.append(record)
            if isinstance(record, Started):
                started[record.alert.rule] += 1
            if time.monotonic() > ends:
                whole = False
                break
        records = tuple(sorted(found, key=lambda record: record.at))
        return Recorded(records, count - len(found), past.unreadable, whole, started)

    def _read_story(self, incident: str) -> Told:
        now, whole = time.time(), True
        try:
            known = self._read_about(incident, now, *_WHOLE)
        except TimeoutError:
            whole = False
            known = self._read_last_day(incident, now)
        found = story(known, incident)
        if found is None:
            return Told(None, whole)
        try:
            kept = self._read_silences()
        except TopicMissingError:
            kept = ()
        return Told(story_as_data(found, incident, next_step(found, kept, now)), whole)

    def _read_last_day(self, incident: str, now: float) -> list[AnyRecord]:
        try:
            return self._read_about(incident, now, *_LAST_DAY)
        except TimeoutError:
            raise NotAnsweredError("the history of the last day could not be read in time") from None

    def _read_about(self, incident: str, now: float, age_s: float, seconds: float) -> list[AnyRecord]:
        """Return the records that may be about an alert, in the order of events.

        Args:
            incident: of the alert, or the thread of a group.
            now: seconds since the epoch.
            age_s: only records that are no older.
            seconds: time limit, from the first record on.

        Raises:
            TimeoutError: there are more than can be read in this time.
        """
        ends = math.inf

        def records(names: set[str]) -> list[AnyRecord]:
            nonlocal ends
            relevant, found = Relevant(names), []
            for record in Past(self._kafka.brokers, self._kafka.topics.history, now - age_s):
                ends = min(ends, time.monotonic() + seconds)
                if relevant.takes(record):
                    found.append(record)
                if time.monotonic() > ends:
                    raise TimeoutError
            return sorted(found, key=lambda record: record.at)

        known = records({incident})
        incidents = incidents_of(known, incident)
        return records(incidents) if incidents else known


def document(config: FleetConfig) -> Fleet:
    """Return the fleet.

    Raises:
        ConfigError: the fleet's document is missing or invalid.
    """
    path = Path(config.document)
    if not path.is_file():
        raise ConfigError(f"there is no {path}", hint="playbooks/consumer.yml writes it")
    return load.load(load.FleetSource(path, "console.yml"))


def rules_of(fleet: Fleet) -> list[Rule]:
    """Return the fleet's rules.

    Raises:
        ConfigError: they cannot be read.
    """
    try:
        return KINDS.read(fleet.alert_rules, "consumer_alert_rules")
    except InvalidValueError as fault:
        raise ConfigError(f"the fleet's alert rules: {fault.key}: {fault}", hint=fault.hint) from None
