"""Brokers that disagree: which view of a partition counts, and what their answers make together."""

from __future__ import annotations

from obsctl.checks.kafka.collect import BrokerAnswers, PartitionView, assemble, freshest
from obsctl.checks.kafka.snapshot import Denied
from obsctl.fleet.model import Host, KafkaNode

HOSTS = [Host(name=f"node{i}", address=f"198.18.0.1{i}", kafka=KafkaNode(node_id=i)) for i in (1, 2, 3)]
MIN_ISR_2 = {"t": {"min.insync.replicas": "2"}}
TWO = {1: "198.18.0.11:9092", 2: "198.18.0.12:9092"}
ONE = {1: "198.18.0.11:9092"}


def answers(node_id: int, **parts: object) -> BrokerAnswers:
    """Return the answers of a broker that has answered everything."""
    return BrokerAnswers(node_id, **{"failure": "", "broken_off": "", **parts})  # type: ignore[arg-type]


def view(leader: int, epoch: int, isr: tuple[int, ...]) -> PartitionView:
    return PartitionView(topic="t", partition=0, leader=leader, leader_epoch=epoch, replicas=(1, 2, 3), isr=isr)


def test_a_higher_leader_epoch_wins_although_it_is_alone() -> None:
    new = view(2, 5, (2, 3))
    assert freshest({1: view(1, 4, (1, 2, 3)), 2: new, 3: view(1, 4, (1, 2, 3))}) is new


def test_the_leaders_own_view_of_its_isr_wins() -> None:
    own = view(2, 5, (1, 2))
    assert freshest({1: view(2, 5, (1, 2, 3)), 2: own, 3: view(2, 5, (1, 2, 3))}) is own


def test_a_resumed_broker_with_the_old_isr_is_outvoted() -> None:
    # The leader 2 does not answer; 3 was just resumed and still believes that it is in sync.
    assert freshest({1: view(2, 5, (1, 2)), 3: view(2, 5, (1, 2, 3))}).isr == (1, 2)


def test_a_resumed_leader_that_was_replaced_does_not_count() -> None:
    assert freshest({1: view(1, 4, (1, 2, 3)), 2: view(2, 5, (2, 3)), 3: view(2, 5, (2, 3))}).leader == 2


def test_the_answers_come_together() -> None:
    key = ("t", 0)
    one = answers(
        1,
        cluster_id="c",
        listed=TWO,
        views=[view(1, 5, (1, 2))],
        leo={key: 10},
        settings={"t": {"min.insync.replicas": "2"}},
    )
    one.start, one.lso, one.hw = {key: 0}, {key: 8}, {key: 9}
    two = answers(2, cluster_id="c", listed=TWO, views=[view(1, 5, (1, 2))], leo={key: 9})
    snapshot = assemble(HOSTS, [one, two, BrokerAnswers(3, failure="connection refused")])
    (partition,) = snapshot.partitions
    assert partition.leo == {1: 10, 2: 9, 3: None}
    assert (partition.start, partition.lso, partition.hw, partition.min_isr) == (0, 8, 9, 2)
    assert [broker.registered for broker in snapshot.brokers] == [True, True, False]
    assert [broker.answered for broker in snapshot.brokers] == [True, True, False]


def test_offsets_of_a_leader_that_is_silent_are_unknown_not_zero() -> None:
    two = answers(2, listed=TWO, views=[view(1, 5, (1, 2))], leo={("t", 0): 9})
    (partition,) = assemble(
        HOSTS, [BrokerAnswers(1, failure="no answer"), two, BrokerAnswers(3, failure="no answer")]
    ).partitions
    assert (partition.leader, partition.hw, partition.leo) == (1, None, {1: None, 2: 9, 3: None})


def test_an_answer_that_broke_off_is_an_error() -> None:
    one = answers(1, listed=ONE, views=[view(1, 5, (1,))], broken_off="closed the connection")
    (fault,) = assemble(HOSTS[:1], [one]).errors
    assert (fault.code, fault.object) == ("KAFKA_ANSWER_CUT", "broker/1")


def test_a_refused_quorum_is_an_error_only_if_nobody_told() -> None:
    one, two = answers(1, listed=ONE, quorum_refused=35), answers(2, listed=ONE)
    assert [fault.code for fault in assemble(HOSTS[:2], [one, two]).errors] == ["KAFKA_QUORUM_UNREADABLE"]


def test_a_quorum_that_our_user_may_not_see_is_a_right_that_is_missing() -> None:
    one, two = answers(1, listed=ONE, quorum_refused=31), answers(2, listed=ONE)
    seen = assemble(HOSTS[:2], [one, two])
    assert (seen.errors, seen.denied) == ((), (Denied(resource="cluster", operation="Describe"),))


def test_a_broker_that_has_said_nothing_yet_does_not_count_as_answering() -> None:
    (broker,) = assemble(HOSTS[:1], [BrokerAnswers(1)]).brokers
    assert (broker.answered, broker.failure) == (False, "no answer in time")


def test_what_is_refused_names_broker_and_question() -> None:
    one = answers(1, listed=ONE, views=[view(1, 5, (1,))])
    one.refused = {("DescribeLogDirs", 56): [""], ("ListOffsets", 6): [f"t-{n}" for n in range(6)]}
    assert [(f.code, f.object, f.summary) for f in assemble(HOSTS[:1], [one]).errors] == [
        ("KAFKA_ANSWER_REFUSED", "broker/1", "refuses DescribeLogDirs: KAFKA_STORAGE_ERROR (error 56)"),
        (
            "KAFKA_ANSWER_REFUSED",
            "broker/1",
            "refuses ListOffsets for t-0, t-1, t-2, t-3 and 2 more: NOT_LEADER_FOR_PARTITION (error 6)",
        ),
    ]


def test_rights_that_are_missing_are_put_together_over_brokers_and_questions() -> None:
    one, two = answers(1, listed=ONE), answers(2, listed=ONE)
    one.refused = {("DescribeLogDirs", 31): [""], ("ListOffsets", 29): ["a-b-0", "a-b-1"], ("OffsetFetch", 30): ["g"]}
    two.refused = {("Metadata", 29): ["t"], ("DescribeConfigs", 29): ["t"], ("ListOffsets", 6): ["t-1"]}
    seen = assemble(HOSTS[:2], [one, two])
    assert seen.denied == (
        Denied(resource="cluster", operation="Describe"),
        Denied(resource="group", operation="Describe", names=("g",)),
        Denied(resource="topic", operation="Describe", names=("a-b", "t")),
        Denied(resource="topic", operation="DescribeConfigs", names=("t",)),
    )
    assert [fault.code for fault in seen.errors] == ["KAFKA_ANSWER_REFUSED"]
