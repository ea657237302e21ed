"""Samples again the partitions whose replicas differ in their end offsets, to distinguish stuck replicas from slow
ones.

A follower fetches what its leader has within milliseconds, so most differences in the first sample are gone in the
second, soon after. The others are sampled a third time: a replica that has not advanced by then, although records were
waiting all the time, does not fetch. A cluster without differences is not sampled again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Sequence
from functools import partial

from obsctl.checks.ask.by_deadline import ask_until
from obsctl.checks.kafka import wire
from obsctl.checks.kafka.collect import BrokerAnswers, views_of
from obsctl.fleet.model import Host
from obsctl.kafka.access import UNPROTECTED, Access

#: Times of the further looks, seconds after the first one. The last look is after a fetcher's pause of one second
#: (``replica.fetch.backoff.ms``).
_SOON_S = 0.15
_LAST_S = 1.2
#: Time limit for the requests of a look, seconds.
_ROUND_S = 0.3


def look_again(hosts: Sequence[Host], broker_answers: Sequence[BrokerAnswers], access: Access = UNPROTECTED) -> None:
    """Look at most twice, and add the later ends to the brokers' answers.

    It has its own time limit, which begins with the first look: with less time the looks would prove nothing.

    Args:
        hosts: of the brokers, by position as ``broker_answers``.
    """
    answered = [answers for answers in broker_answers if not answers.failure and answers.sampled_at]
    open_ = unsettled(answered)
    if not open_:
        return
    first = max(answers.sampled_at for answers in answered)
    for after in (_SOON_S, _LAST_S):
        time.sleep(max(0.0, first + after - time.monotonic()))
        _look(hosts, broker_answers, open_, first + after + _ROUND_S, access)
        open_ = {key for key in open_ if not _caught_up(key, answered)}
        if not open_:
            return


def unsettled(answered: Sequence[BrokerAnswers]) -> set[tuple[str, int]]:
    """Return the partitions with a replica, or a high watermark, behind the leader's log end."""
    by_node = {answers.node_id: answers for answers in answered}
    found = set()
    for key, view in views_of(answered).items():
        leader = by_node.get(view.leader)
        head = leader.leo.get(key) if leader else None
        if leader is None or head is None:
            continue
        ends = [by_node[node].leo.get(key, head) for node in view.replicas if node in by_node]
        if min([leader.hw.get(key, head), *ends]) < head:
            found.add(key)
    return found


def _caught_up(key: tuple[str, int], answered: Sequence[BrokerAnswers]) -> bool:
    """Return whether the later ends reach what the leader had at the first look."""
    head = max((answers.leo[key] for answers in answered if key in answers.leo), default=0)
    ends = [answers.later_leo.get(key, -1) for answers in answered if key in answers.leo]
    marks = [answers.later_hw[key] for answers in answered if key in answers.later_hw]
    return bool(marks) and min([*ends, *marks]) >= head


def _look(
    hosts: Sequence[Host],
    broker_answers: Sequence[BrokerAnswers],
    partitions: Collection[tuple[str, int]],
    deadline: float,
    access: Access,
) -> None:
    questions = []
    for host, answers in zip(hosts, broker_answers, strict=True):
        held = sorted(key for key in partitions if key in answers.leo)
        if held and not answers.failure:
            questions.append(partial(_ask, host, answers, held, deadline, access))
    ask_until(deadline, questions)


def _ask(host: Host, answers: BrokerAnswers, held: Sequence[tuple[str, int]], deadline: float, access: Access) -> None:
    # A conversation of its own: on the first one, the broker may be waiting for a controller that hangs.
    with (
        contextlib.suppress(Exception),
        contextlib.closing(
            wire.Conversation(host.address, host.kafka.broker_port if host.kafka else 0, deadline, access)
        ) as conversation,
    ):
        plain = wire.READ_UNCOMMITTED
        led = [key for key in held if key in answers.hw]
        ends, marks = conversation.ask(
            [
                wire.offsets(held, replica=wire.DEBUG_REPLICA, timestamp=wire.LATEST, isolation=plain),
                wire.offsets(led, replica=wire.CLIENT_REPLICA, timestamp=wire.LATEST, isolation=plain),
            ]
        )
        answers.later_leo, answers.later_hw = wire.read_offsets(ends), wire.read_offsets(marks)
        answers.later_at = time.monotonic()
