"""How many more brokers may be lost, and what the loss of some would mean."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import combinations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.checks.kafka_cluster import FLEET, HEALTHY, QUORUM, broker, but, down, partition, voter

from obsctl.checks.kafka.check import loss_check
from obsctl.checks.kafka.headroom import headroom, lose
from obsctl.checks.kafka.judge import judge_loss
from obsctl.checks.kafka.snapshot import KafkaSnapshot, Partition, Quorum
from obsctl.checks.kafka.view import ClusterView
from obsctl.checks.kafka.writes import in_words
from obsctl.core.errors import UsageError
from obsctl.core.report import Severity
from obsctl.fleet.model import Fleet, Host, Kafka, KafkaNode, Topic

FIVE = msgspec.structs.replace(QUORUM, voters=(*QUORUM.voters, voter(4), voter(5)))
SHRUNK = but(
    brokers=(broker(1), broker(2), down(3)), partitions=tuple(partition(n, isr=(1, 2), leader=1) for n in range(3))
)
THIN = but(partitions=(*HEALTHY.partitions, partition(0, topic="thin", leader=3, replicas=(3,), isr=(3,), min_isr=1)))
OFFSETS = but(
    partitions=(
        *HEALTHY.partitions,
        partition(0, topic="__consumer_offsets", internal=True, replicas=(1,), isr=(1,)),
    )
)
LAGGING = msgspec.structs.replace(QUORUM, voters=(voter(1, 0), voter(2), voter(3, 60_000)))


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (HEALTHY, (1, 1, 2, 1)),
        # More voters than brokers' copies allow: the writes are what limits.
        (but(quorum=FIVE), (1, 1, 2, 2)),
        # What does not answer is lost already, as a broker and as a voter.
        (SHRUNK, (0, 0, 1, 0)),
        # In the first seconds the ISR still has the dead one, and it counts for nothing.
        (but(brokers=(broker(1), broker(2), down(3, registered=True))), (0, 0, 1, 0)),
        (but(partitions=(partition(0, isr=(1,)), *HEALTHY.partitions[1:])), (-1, -1, 0, 1)),
        (but(partitions=(partition(0, leader=None, isr=(3,)), *HEALTHY.partitions[1:])), (-1, -1, -1, 1)),
        # A topic that no service uses does not stop the pipeline.
        (THIN, (1, 1, 2, 1)),
        # Without Kafka's own topics the groups stop.
        (OFFSETS, (0, 0, 0, 1)),
        (but(partitions=tuple(partition(n, min_isr=None) for n in range(3))), (None, None, 2, 1)),
        # One that is not known may be the least, and what is none left already is none left with it.
        (but(partitions=(partition(0, min_isr=None), *HEALTHY.partitions[1:])), (None, None, 2, 1)),
        (but(partitions=(partition(0, min_isr=None), partition(1, isr=(1, 2)))), (0, 0, 1, 1)),
        (but(quorum=None), (None, 1, 2, None)),
        (but(quorum=None, brokers=(broker(1), down(2), down(3))), (None, None, None, -1)),
    ],
)  # fmt: skip
def test_how_many_more_may_be_lost(seen: KafkaSnapshot, expected: tuple[int | None, ...]) -> None:
    spare = headroom(ClusterView(FLEET, seen))
    assert (spare.brokers, spare.writes, spare.reads, spare.quorum) == expected


@pytest.mark.parametrize(
    ("seen", "lost", "counts", "quorum"),
    [
        (HEALTHY, [2], (0, 0, 1), True),
        # Without a controller, the partitions of the lost keep no leader, and the third's writes wait for its dead.
        (HEALTHY, [2, 3], (2, 3, 0), False),
        (but(quorum=FIVE), [2, 3], (0, 3, 2), True),
        (but(quorum=FIVE), [1, 2, 3], (3, 3, 0), False),
        (THIN, [3], (1, 1, 1), True),
        # A voter that is behind does not help.
        (but(quorum=LAGGING), [2], (1, 3, 0), False),
        # One that does not answer is lost already.
        (but(brokers=(broker(1), broker(2), down(3, registered=True)), quorum=FIVE), [2], (0, 3, 2), True),
        (HEALTHY, [], (0, 0, 0), True),
    ],
)  # fmt: skip
def test_what_the_loss_of_some_would_mean(
    seen: KafkaSnapshot, lost: list[int], counts: tuple[int, int, int], quorum: bool
) -> None:
    """The counts are of partitions: offline, without writes, with another leader."""
    outcome = lose(ClusterView(FLEET, seen), lost)
    flags = ("offline", "no_writes", "moves")
    assert tuple(sum(getattr(loss, flag) for loss in outcome.partitions) for flag in flags) == counts
    assert outcome.quorum is quorum


@pytest.mark.parametrize(
    ("seen", "lost", "codes"),
    [
        (HEALTHY, [2], {}),
        (
            HEALTHY,
            [2, 3],
            {
                "KAFKA_LOSS_NO_CONTROLLER": Severity.CRITICAL,
                "KAFKA_LOSS_OFFLINE": Severity.CRITICAL,
                "KAFKA_LOSS_STOPS_WRITES": Severity.CRITICAL,
            },
        ),
        (but(quorum=FIVE), [2, 3], {"KAFKA_LOSS_STOPS_WRITES": Severity.CRITICAL}),
        # Foreign topics are not what the pipeline lives by.
        (THIN, [3], {"KAFKA_LOSS_OFFLINE": Severity.WARNING}),
        (but(quorum=None), [2], {"KAFKA_NO_CONTROLLER": Severity.UNKNOWN}),
    ],
)
def test_the_verdict_on_a_loss(seen: KafkaSnapshot, lost: list[int], codes: dict[str, Severity]) -> None:
    assert {f.code: f.severity for f in judge_loss(FLEET, seen, lost)} == codes


def test_the_answer_stands_before_what_is_wrong_already() -> None:
    """With a broker down, both are critical, and the first line is about the loss that was asked about."""
    seen = but(
        brokers=SHRUNK.brokers,
        partitions=SHRUNK.partitions,
        quorum=LAGGING,
    )
    now = datetime(2026, 1, 1, tzinfo=UTC)
    check = loss_check(["node2"])
    line = check.headline(FLEET, seen, check.findings(FLEET, seen), now)
    assert line.startswith("kafka/quorum: without 2 no controller can be elected")


def test_nodes_are_named_by_id_or_by_host() -> None:
    both = [loss_check(names).describe(FLEET, HEALTHY)["loss"]["lost"] for names in (["2"], ["node2"], ["node2", "2"])]
    assert both == [[2], [2], [2]]
    with pytest.raises(UsageError, match="no node node9, 7"):
        loss_check(["node9", "7"]).describe(FLEET, HEALTHY)


NODES = (1, 2, 3, 4, 5)
FIVE_NODES = Fleet(
    hosts=tuple(
        Host(name=f"node{i}", address=f"198.18.0.1{i}", groups=("kafka",), kafka=KafkaNode(node_id=i)) for i in NODES
    ),
    kafka=Kafka(topics=(Topic(name="nginxlog", partitions=3),)),
)


@st.composite
def _partitions(draw: st.DrawFn, number: int) -> Partition:
    replicas = tuple(draw(st.permutations(NODES))[: draw(st.integers(1, 5))])
    isr = tuple(draw(st.lists(st.sampled_from(replicas), unique=True, min_size=1)))
    topic = draw(st.sampled_from(("nginxlog", "nginxlog", "__consumer_offsets", "handmade")))
    return partition(
        number,
        topic=topic,
        internal=topic.startswith("__"),
        replicas=replicas,
        isr=isr,
        leader=draw(st.sampled_from((*isr, *isr, None))),
        min_isr=draw(st.integers(1, 3)),
    )


@st.composite
def _clusters(draw: st.DrawFn) -> KafkaSnapshot:
    votes = draw(st.sampled_from((1, 3, 5)))
    well = [draw(st.sampled_from((100, 100, 60_000, None))) for _ in range(votes - 1)]
    silent = draw(st.sets(st.sampled_from(NODES), max_size=2))
    return but(
        brokers=tuple(down(n, registered=True) if n in silent else broker(n) for n in NODES),
        partitions=tuple(draw(_partitions(n)) for n in range(draw(st.integers(1, 4)))),
        quorum=Quorum(
            leader=1,
            epoch=7,
            high_watermark=500,
            voters=(voter(1, 0), *(voter(n, behind) for n, behind in enumerate(well, 2))),
        ),
    )


def _elects(seen: KafkaSnapshot, gone: set[int]) -> bool:
    assert seen.quorum
    alive = [v for v in seen.quorum.voters if v.node_id not in gone and v.behind_ms is not None and v.behind_ms < 3_000]
    return len(alive) * 2 > len(seen.quorum.voters)


def _writes(p: Partition, gone: set[int]) -> bool:
    """Return whether acks=all is answered once a controller has moved leader and ISR away from those that are gone."""
    assert p.min_isr is not None
    return p.leader is not None and len(set(p.isr) - gone) >= min(p.min_isr, len(p.replicas))


def _may_lose(goes_on: Callable[[set[int]], bool]) -> int:
    """Return the most nodes of which any may be lost, whichever they are; -1 where not even none may be."""
    most = -1
    for count in range(len(NODES) + 1):
        if not all(goes_on(set(lost)) for lost in combinations(NODES, count)):
            break
        most = count
    return most


@given(_clusters())
def test_what_may_be_lost_is_what_every_choice_of_nodes_leaves(seen: KafkaSnapshot) -> None:
    view = ClusterView(FIVE_NODES, seen)
    silent = set(view.silent)
    counted = [p for p in seen.partitions if p.topic != "handmade"]
    if view.stale or not counted:
        assert headroom(view).writes is None
        return
    spare = headroom(view)
    writes = _may_lose(lambda lost: all(_writes(p, silent | lost) for p in counted))
    quorum = _may_lose(lambda lost: _elects(seen, silent | lost))
    assert spare.writes is not None
    assert spare.quorum is not None
    assert spare.brokers is not None
    # Below 0 is how much is missing; that it is too late is all that the choices can say.
    assert [max(-1, left) for left in (spare.writes, spare.quorum, spare.brokers)] == [
        writes,
        quorum,
        min(writes, quorum),
    ]
    if " more node" in in_words(view):
        assert in_words(view).startswith(f"writes continue, {min(writes, quorum)} more node")


@given(_clusters())
def test_the_loss_of_any_nodes_agrees_with_what_may_be_lost(seen: KafkaSnapshot) -> None:
    """What ``whatif`` says of each choice of nodes is what the number, the table and the headline are made of."""
    view = ClusterView(FIVE_NODES, seen)
    spare = headroom(view)
    if view.stale or spare.brokers is None:
        return

    def goes_on(lost: set[int]) -> bool:
        outcome = lose(view, lost)
        return outcome.quorum is True and not any(
            loss.no_writes for loss in outcome.partitions if view.is_ours(loss.partition)
        )

    assert max(-1, spare.brokers) == _may_lose(goes_on)
