"""How old the records are that groups have not read; asked only where the retention may be near.

A single query is enough: a leader returns the first record that is younger than a given time, and unread records
before it are older. The first look already shows whether a group has read everything older than a few minutes; most
groups have, so a cluster whose groups keep up is asked nothing more.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial

from obsctl.checks.ask.by_deadline import ask_until
from obsctl.checks.kafka import wire
from obsctl.checks.kafka.collect import SETTLED_S, BrokerAnswers, settings_of, views_of
from obsctl.checks.lag.rules import EXPIRY_CRITICAL, EXPIRY_WARNING
from obsctl.fleet.model import Host
from obsctl.kafka.access import UNPROTECTED, Access

#: The reported ages of the oldest unread record, as shares of the retention.
_SHARES = (EXPIRY_WARNING, EXPIRY_CRITICAL, 1.0)

_Part = tuple[str, int]


def ask_ages(
    hosts: Sequence[Host],
    broker_answers: Sequence[BrokerAnswers],
    abandoned: Collection[str],
    deadline: float,
    access: Access = UNPROTECTED,
) -> None:
    """Ask the leaders, and add to their answers the first record that is younger than each share of the retention.

    Args:
        hosts: of the brokers, by position as ``broker_answers``.
        abandoned: groups to ignore.
        deadline: on the monotonic clock.
        access: TLS and login for the brokers.
    """
    answered = [answers for answers in broker_answers if not answers.failure and answers.sampled_at]
    wanted = near_retention(answered, abandoned)
    questions = []
    for host, answers in zip(hosts, broker_answers, strict=True):
        led = {part: limit for part, limit in wanted.items() if part in answers.hw}
        if led:
            questions.append(partial(_ask, host, answers, led, deadline, access))
    ask_until(deadline, questions)


def near_retention(answered: Sequence[BrokerAnswers], abandoned: Collection[str] = ()) -> dict[_Part, int]:
    """Return the partitions in which a group may have unread records near the end of their retention.

    Returns:
        partition to its topic's retention, milliseconds.
    """
    by_node = {answers.node_id: answers for answers in answered}
    views = views_of(answered)
    limits = {topic: settings_of(values).deleted_after_ms for one in answered for topic, values in one.settings.items()}
    found = {}
    for group in (group for answers in answered for group in answers.groups if group.name not in abandoned):
        for place in group.committed:
            part = (place.topic, place.partition)
            view, limit = views.get(part), limits.get(place.topic)
            leader = by_node.get(view.leader) if view else None
            if view is None or leader is None or not limit or view.internal or part not in leader.hw:
                continue
            first = max(place.offset, leader.start.get(part, 0))
            # Records after that are only some minutes old.
            young = first >= leader.settled.get(part, 0) and EXPIRY_WARNING * limit > SETTLED_S * 1000
            if first < leader.hw[part] and not young:
                found[part] = limit
    return found


def _ask(host: Host, answers: BrokerAnswers, led: Mapping[_Part, int], deadline: float, access: Access) -> None:
    now_ms = time.time() * 1000
    ages = sorted({(limit, round(share * limit)) for limit in led.values() for share in _SHARES})
    # A new connection: on the first one, the broker may be waiting for a controller that hangs.
    with (
        contextlib.suppress(Exception),
        contextlib.closing(
            wire.Conversation(host.address, host.kafka.broker_port if host.kafka else 0, deadline, access)
        ) as conversation,
    ):
        parts = {limit: sorted(part for part in led if led[part] == limit) for limit, _ in ages}
        replies = conversation.ask(
            [
                wire.offsets(
                    parts[limit],
                    replica=wire.CLIENT_REPLICA,
                    timestamp=round(now_ms - age),
                    isolation=wire.READ_UNCOMMITTED,
                )
                for limit, age in ages
            ]
        )
        for (limit, age), reply in zip(ages, replies, strict=True):
            refused = {
                (topic.name, entry.partition_index)
                for topic in reply.topics
                for entry in topic.partitions
                if entry.error_code
            }
            younger = wire.read_offsets(reply)
            for part in parts[limit]:
                if part not in refused:
                    # If no record is younger, the answer names none.
                    answers.aged.setdefault(part, []).append((age, younger.get(part, answers.hw[part])))
