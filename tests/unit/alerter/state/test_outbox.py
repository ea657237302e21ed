"""Pace, digest, retries and restarts of the outbox, on a clock of the test's own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from obsctl.alerter.channels.outcome import Delivery, Verdict
from obsctl.alerter.messages.message import Kind, Message
from obsctl.alerter.messages.templates import Templates
from obsctl.alerter.state import outbox, pacing
from obsctl.alerter.state.outbox import Parcel
from obsctl.alerter.state.state_file import State
from obsctl.alerter.state.transaction import connect, transaction

OK = Delivery(Verdict.DELIVERED, "0", "errcode 0")


def failed(verdict: Verdict) -> Delivery:
    return Delivery(verdict, "", "no", "do this")


def message(number: int, kind: Kind = Kind.FIRING) -> Message:
    return Message(
        id=f"{number}-{kind}", thread=f"incident-{number}", kind=kind, title=f"[{kind.upper()}] rule key-{number}"
    )


TEMPLATES = Templates()


class Bench:
    """An outbox with one channel and a vendor that does what the test says."""

    def __init__(self, path: Path) -> None:
        State(path).close()
        self.connection: sqlite3.Connection = connect(path)
        self.now = 1_000_000.0
        self.sent: list[tuple[float, Message]] = []

    def put(self, *messages: Message) -> None:
        with transaction(self.connection):
            for one in messages:
                outbox.put(self.connection, one, ["robot"], self.now)

    def claim(self, per_minute: int = 18) -> Parcel | float:
        with transaction(self.connection):
            return outbox.claim(self.connection, "robot", per_minute, self.now, TEMPLATES)

    def settle(self, parcel: Parcel, delivery: Delivery) -> outbox.Pace:
        with transaction(self.connection):
            return outbox.settle(self.connection, "robot", parcel, delivery, self.now)

    def run(self, seconds: float, delivery: Delivery = OK, per_minute: int = 18) -> None:
        """Send what is due until the clock has moved on by so many seconds."""
        end = self.now + seconds
        while self.now <= end:
            parcel = self.claim(per_minute)
            if isinstance(parcel, Parcel):
                self.sent.append((self.now, parcel.message))
                self.settle(parcel, delivery)
            else:
                self.now = max(self.now + 0.01, min(parcel, end + 0.01))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "state.db")
    yield made
    made.connection.close()


def test_a_message_is_sent_once(bench: Bench) -> None:
    bench.put(message(1))
    bench.put(message(1))
    bench.run(600)
    assert [m.title for _, m in bench.sent] == ["[FIRING] rule key-1"]


def test_100_at_once_are_17_and_a_digest_that_names_the_other_83(bench: Bench) -> None:
    bench.put(*(message(n) for n in range(100)))
    bench.run(30)
    assert len(bench.sent) == 18
    last = bench.sent[-1][1]
    assert last.title == "[DIGEST] 83 alert messages: 83 firing, 0 resolved"
    named = {m.title for _, m in bench.sent[:-1]} | set(last.lines[1:])
    assert named == {f"[FIRING] rule key-{n}" for n in range(100)}


def test_no_60_seconds_see_more_than_18_attempts_and_nothing_is_lost(bench: Bench) -> None:
    put = 0
    for _ in range(300):
        bench.put(*(message(put + n) for n in range(5)))
        put += 5
        bench.run(1)
    bench.run(200)
    times = [at for at, _ in bench.sent]
    assert all(later - first > 59.9 for first, later in zip(times, times[18:], strict=False))
    named = set()
    for _, one in bench.sent:
        named |= set(one.lines[1:]) if one.kind is Kind.DIGEST else {one.title}
    assert named == {f"[FIRING] rule key-{n}" for n in range(put)}


def test_a_digest_fits_the_vendor_and_the_rest_comes_with_the_next(bench: Bench) -> None:
    bench.put(*(message(n) for n in range(500)))
    bench.run(130)
    sizes = [len(m.lines) - 1 for _, m in bench.sent if m.kind is Kind.DIGEST]
    assert max(sizes) <= 150
    assert len(bench.sent) - len(sizes) + sum(sizes) == 500


@pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.DELIVERED])
def test_every_failure_is_tried_again_until_delivered(bench: Bench, verdict: Verdict) -> None:
    bench.put(message(1))
    bench.run(1800, failed(verdict))
    assert len(bench.sent) >= 3
    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(bench.sent)]
    assert gaps == sorted(gaps)
    bench.run(700, OK)
    assert outbox.pace(bench.connection, "robot").waiting == 0


def test_a_refusal_is_tried_every_5_minutes_only(bench: Bench) -> None:
    bench.put(message(1))
    bench.run(3000, failed(Verdict.REFUSED))
    assert 10 <= len(bench.sent) <= 11


def test_only_an_unanswered_attempt_is_marked_as_sent_again(bench: Bench) -> None:
    bench.put(message(1))
    bench.run(0, failed(Verdict.UNREACHABLE))
    bench.run(3, failed(Verdict.UNKNOWN))
    bench.run(60, OK)
    texts = ["sent again" in " ".join(m.lines) for _, m in bench.sent]
    assert texts == [False, False, True]


def test_a_message_that_is_refused_does_not_hold_up_the_others(bench: Bench) -> None:
    bench.put(message(1), message(2))
    first = bench.claim()
    assert isinstance(first, Parcel)
    bench.settle(first, failed(Verdict.REFUSED))
    bench.now += 301
    second = bench.claim()
    assert isinstance(second, Parcel)
    assert second.message.thread == "incident-2"


def test_the_resolved_message_waits_for_the_first(bench: Bench) -> None:
    bench.put(message(1), message(1, Kind.RESOLVED))
    first = bench.claim()
    assert isinstance(first, Parcel)
    assert bench.claim() == float("inf")
    bench.settle(first, failed(Verdict.UNREACHABLE))
    bench.run(30)
    assert [m.kind for _, m in bench.sent] == [Kind.FIRING, Kind.RESOLVED]


def test_what_was_under_way_at_a_crash_is_sent_again_and_marked(bench: Bench) -> None:
    bench.put(message(1))
    assert isinstance(bench.claim(), Parcel)
    with transaction(bench.connection):
        assert outbox.recover(bench.connection, ["robot"]) == []
    bench.run(1)
    assert len(bench.sent) == 1
    assert "sent again" in bench.sent[0][1].lines[-1]


def test_the_pace_survives_a_restart(bench: Bench) -> None:
    bench.put(*(message(n) for n in range(100)))
    bench.run(5)
    with transaction(bench.connection):
        outbox.recover(bench.connection, ["robot"])
    bench.put(message(200))
    assert isinstance(bench.claim(), float)


def test_a_restart_tries_a_refusing_channel_at_once_but_not_a_throttled_one(bench: Bench) -> None:
    for verdict, due in ((Verdict.REFUSED, True), (Verdict.THROTTLED, False)):
        bench.put(message(hash(verdict)))
        parcel = bench.claim()
        assert isinstance(parcel, Parcel)
        bench.settle(parcel, failed(verdict))
        with transaction(bench.connection):
            outbox.recover(bench.connection, ["robot"])
        assert isinstance(bench.claim(), Parcel) is due
        if due:
            with transaction(bench.connection):
                outbox.recover(bench.connection, ["robot"])


def test_messages_of_a_channel_that_is_gone_are_named(bench: Bench) -> None:
    bench.put(message(1))
    with transaction(bench.connection):
        ((channel, gone),) = outbox.recover(bench.connection, ["mail"])
    assert (channel, gone.title) == ("robot", "[FIRING] rule key-1")
    assert bench.claim() == float("inf")


def test_a_clock_that_is_set_back_does_not_silence_a_channel(bench: Bench) -> None:
    bench.put(message(1))
    bench.run(0, failed(Verdict.REFUSED))
    bench.now -= 86_400
    bench.run(1)
    assert outbox.pace(bench.connection, "robot").waiting == 0


class Pool(Bench):
    """A channel that is a pool of robots; a vendor that says of each robot what the test wants."""

    robots = ("robot#1", "robot#2", "robot#3")

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.says: dict[str, Delivery] = {}
        self.by: list[tuple[float, str, Message]] = []

    def claim(self, per_minute: int = 18, gap_s: float = 0.0) -> Parcel | float:
        with transaction(self.connection):
            return outbox.claim(
                self.connection, "robot", per_minute, self.now, TEMPLATES, robots=self.robots, gap_s=gap_s
            )

    def settle(self, parcel: Parcel, delivery: Delivery) -> outbox.Pace:
        del delivery
        self.by.append((self.now, parcel.robot, parcel.message))
        with transaction(self.connection):
            outcome = self.says.get(parcel.robot, OK)
            return outbox.settle(self.connection, "robot", parcel, outcome, self.now, robots=self.robots)

    def pace(self) -> outbox.Pace:
        return outbox.pace(self.connection, "robot", self.robots)

    def sent_by(self, robot: str) -> list[float]:
        return [at for at, by, _ in self.by if by == robot]


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    made = Pool(tmp_path / "pool.db")
    yield made
    made.connection.close()


def test_a_pool_spreads_messages_and_each_robot_keeps_its_own_pace(pool: Pool) -> None:
    pool.put(*(message(number) for number in range(200)))
    pool.run(0.5)
    assert [len(pool.sent_by(robot)) for robot in pool.robots] == [18, 18, 18]
    # The last of the pool's attempts means everything that waits, up to its 150.
    assert [one.kind for _, _, one in pool.by].count(Kind.DIGEST) == 1
    assert pool.by[-1][2].kind is Kind.DIGEST
    assert pool.pace().waiting == 0
    pool.put(*(message(number) for number in range(200, 400)))
    pool.run(300)
    for robot in pool.robots:
        for first, nineteenth in zip(pool.sent_by(robot), pool.sent_by(robot)[18:], strict=False):
            assert nineteenth - first >= 60
    assert pool.pace().waiting == 0


@pytest.mark.parametrize("verdict", [Verdict.THROTTLED, Verdict.REFUSED])
def test_a_robot_that_is_throttled_or_refused_rests_while_the_others_go_on(pool: Pool, verdict: Verdict) -> None:
    pool.says["robot#2"] = failed(verdict)
    pool.put(*(message(number) for number in range(30)))
    pool.run(0.5)
    assert pool.pace().waiting == 0
    assert len(pool.sent_by("robot#2")) == 1
    assert (pool.pace().verdict, pool.pace().failures) == (verdict, 1)
    pool.says.clear()
    pool.run(pacing.pause(verdict, 1))
    pool.put(*(message(number) for number in range(30, 36)))
    pool.run(0.5)
    # It is tried again after its pause, and its failure is over.
    assert len(pool.sent_by("robot#2")) > 1
    assert (pool.pace().verdict, pool.pace().failures) == (Verdict.DELIVERED, 0)


def test_a_vendor_that_cannot_be_reached_is_not_tried_by_each_robot_in_turn(pool: Pool) -> None:
    for robot in pool.robots:
        pool.says[robot] = failed(Verdict.UNKNOWN)
    pool.put(message(1))
    pool.run(29)
    # As with one robot: after 10 s, and after 20 s more.
    assert [round(at - pool.by[0][0]) for at, _, _ in pool.by] == [0, 10]
    assert pool.pace().failures == 2


def test_a_pool_of_which_every_robot_rests_waits_for_the_first(pool: Pool) -> None:
    for robot in pool.robots:
        pool.says[robot] = failed(Verdict.THROTTLED)
    pool.put(message(1))
    begun = pool.now
    pool.run(1)
    assert len(pool.by) == 3
    assert pool.claim() == pytest.approx(begun + 60, abs=1)


def test_a_restart_forgets_no_robots_attempts(pool: Pool, tmp_path: Path) -> None:
    pool.put(*(message(number) for number in range(40)))
    for _ in range(40):
        parcel = pool.claim()
        assert isinstance(parcel, Parcel)
        pool.settle(parcel, OK)
    pool.connection.close()
    after = Pool(tmp_path / "pool.db")
    after.put(*(message(number) for number in range(40, 100)))
    after.run(0.5)
    assert [len(pool.sent_by(robot)) + len(after.sent_by(robot)) for robot in pool.robots] == [18, 18, 18]
    after.connection.close()


def test_attempts_of_a_robot_keep_their_distance(pool: Pool) -> None:
    pool.put(*(message(number) for number in range(9)))
    while isinstance(parcel := pool.claim(gap_s=0.25), Parcel) or parcel != float("inf"):
        if isinstance(parcel, Parcel):
            pool.settle(parcel, OK)
        else:
            pool.now = parcel
    for robot in pool.robots:
        assert len(pool.sent_by(robot)) == 3
        assert all(later - earlier >= 0.25 for earlier, later in pairwise(pool.sent_by(robot)))


@pytest.mark.parametrize(("asked", "rest"), [(30.0, 30.0), (0.0, 1.0), (86_400.0, 600.0), (None, 60.0)])
def test_how_long_a_vendor_wants_to_be_left_alone_is_respected(bench: Bench, asked: float | None, rest: float) -> None:
    bench.put(message(1))
    parcel = bench.claim()
    assert isinstance(parcel, Parcel)
    pace = bench.settle(parcel, Delivery(Verdict.THROTTLED, "429", "no", "wait", asked))
    assert pace.next_try == bench.now + rest
    assert bench.claim() == bench.now + rest


def test_what_waits_for_a_channel_goes_to_another_one_as_well(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "state.db")
    with transaction(bench.connection):
        for one in (message(1), message(1, Kind.RESOLVED), message(2)):
            outbox.put(bench.connection, one, ["robot"], bench.now, route="night")
    bench.put(message(3))
    bench.run(1, failed(Verdict.UNREACHABLE))
    with transaction(bench.connection):
        outbox.pass_on(bench.connection, "night", "robot", "pager")
        outbox.pass_on(bench.connection, "night", "robot", "pager")
        assert outbox.pace(bench.connection, "pager").waiting == 3
        first = outbox.claim(bench.connection, "pager", 18, bench.now, TEMPLATES)
    assert isinstance(first, Parcel)
    assert first.message.id == message(1).id
    assert outbox.pace(bench.connection, "robot").waiting == 4


DAY_S = 86_400.0


class Choosy(Bench):
    """A vendor that refuses some messages, by their thread; what becomes of them is looked at after each attempt."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.refused: set[str] = set()
        self.buried: list[str] = []

    def settle(self, parcel: Parcel, delivery: Delivery) -> outbox.Pace:
        no = any(str(number) in self._threads(parcel) for number in self.refused)
        found = super().settle(parcel, failed(Verdict.REFUSED) if no else delivery)
        with transaction(self.connection):
            self.buried += [message.title for message in outbox.bury(self.connection, "robot", self.now)]
        return found

    def _threads(self, parcel: Parcel) -> set[str]:
        marks = ", ".join("?" * len(parcel.rows))
        return {
            row[0] for row in self.connection.execute(f"SELECT thread FROM outbox WHERE id IN ({marks})", parcel.rows)
        }

    def states(self) -> dict[str, str]:
        return dict(self.connection.execute("SELECT message_id, state FROM outbox ORDER BY id").fetchall())


@pytest.fixture
def choosy(tmp_path: Path) -> Iterator[Choosy]:
    made = Choosy(tmp_path / "choosy.db")
    yield made
    made.connection.close()


def test_a_refused_message_holds_up_no_other_one(choosy: Choosy) -> None:
    choosy.refused = {"incident-1"}
    choosy.put(message(1))
    for number in range(2, 40):
        choosy.put(message(number))
        put = choosy.now
        choosy.run(30)
        assert choosy.sent[-1][1].thread in {f"incident-{number}", "incident-1"}
        assert [at - put for at, one in choosy.sent if one.thread == f"incident-{number}"] == [0]
    tried = [at for at, one in choosy.sent if one.thread == "incident-1"]
    assert all(later - earlier >= 300 for earlier, later in pairwise(tried))
    assert len(tried) >= 4


def test_a_channel_that_delivers_others_is_not_blocked_by_the_one_that_is_refused(choosy: Choosy) -> None:
    choosy.refused = {"incident-1"}
    choosy.put(message(1))
    put = choosy.now
    choosy.run(10)
    assert outbox.pace(choosy.connection, "robot").blocked_since == put, "it may be the channel"
    choosy.put(message(2))
    choosy.run(600)
    pace = outbox.pace(choosy.connection, "robot")
    assert (pace.waiting, pace.oldest, pace.blocked_since) == (1, put, 0)
    assert pace.failures > 0
    choosy.refused = {"incident-1", "incident-3"}
    choosy.put(message(3))
    later = choosy.now
    choosy.run(10)
    assert outbox.pace(choosy.connection, "robot").blocked_since == later


def test_a_channel_that_refuses_everything_is_tried_every_5_minutes_only(choosy: Choosy) -> None:
    choosy.refused = {f"incident-{number}" for number in range(50)}
    choosy.put(*(message(number) for number in range(50)))
    choosy.run(3600)
    # The second refusal shows that it is not the message.
    assert len(choosy.sent) <= 14
    choosy.refused = set()
    choosy.run(900)
    assert set(choosy.states().values()) == {"delivered"}


def test_a_message_that_was_refused_for_a_day_is_given_up_and_the_next_one_is_not(choosy: Choosy) -> None:
    choosy.refused = {"incident-1"}
    choosy.put(message(1))
    choosy.run(DAY_S - 600)
    assert choosy.buried == []
    choosy.put(message(1, Kind.RESOLVED), message(2))
    choosy.run(1000)
    assert choosy.buried == ["[FIRING] rule key-1"]
    choosy.refused = set()
    choosy.run(700)
    assert choosy.states() == {"1-firing": "dead", "1-resolved": "delivered", "2-firing": "delivered"}
    assert outbox.pace(choosy.connection, "robot").waiting == 0
    assert outbox.dead_letters(choosy.connection, "robot", choosy.now) == outbox.DeadLetters(1, "[FIRING] rule key-1")
    assert outbox.dead_letters(choosy.connection, "other", choosy.now).number == 0
    attempts = len(choosy.sent)
    choosy.run(DAY_S)
    assert len(choosy.sent) == attempts
    assert outbox.dead_letters(choosy.connection, "robot", choosy.now).number == 0


def test_a_day_without_attempts_kills_no_message(choosy: Choosy) -> None:
    """The alerter was off, or the vendor could not be reached: that is no refusal."""
    choosy.refused = {"incident-1"}
    choosy.put(message(1))
    choosy.run(600)
    choosy.now += 2 * DAY_S
    choosy.run(600)
    assert choosy.buried == []
    choosy.run(3000)
    assert choosy.buried == ["[FIRING] rule key-1"]


def test_an_unreachable_vendor_kills_no_message(bench: Bench) -> None:
    bench.put(message(1))
    bench.run(2 * DAY_S, failed(Verdict.UNREACHABLE))
    with transaction(bench.connection):
        assert outbox.bury(bench.connection, "robot", bench.now) == []


def test_refusals_survive_a_restart(choosy: Choosy, tmp_path: Path) -> None:
    choosy.refused = {"incident-1"}
    choosy.put(message(1))
    choosy.run(DAY_S - 600)
    choosy.connection.close()
    after = Choosy(tmp_path / "choosy.db")
    after.refused, after.now = choosy.refused, choosy.now
    with transaction(after.connection):
        outbox.recover(after.connection, ["robot"])
    after.run(1200)
    assert after.buried == ["[FIRING] rule key-1"]
    after.connection.close()


def test_an_attempt_that_a_crash_cut_off_is_no_refusal(choosy: Choosy) -> None:
    choosy.refused = {"incident-1"}
    choosy.put(message(1))
    for _ in range(30):
        assert isinstance(choosy.claim(), Parcel)
        with transaction(choosy.connection):
            outbox.recover(choosy.connection, ["robot"])
        choosy.now += DAY_S / 20
    choosy.run(1)
    assert choosy.buried == []
    choosy.run(3600)
    assert choosy.buried == []
    choosy.run(DAY_S)
    assert choosy.buried == ["[FIRING] rule key-1"]


def test_dead_letters_are_kept_for_a_month(choosy: Choosy) -> None:
    choosy.refused = {"incident-1"}
    choosy.put(message(1))
    choosy.run(DAY_S + 600)
    for days, there in ((29, True), (31, False)):
        choosy.now += (days - 2) * DAY_S if there else 3 * DAY_S
        choosy.put(message(days))
        choosy.run(1)
        assert ("1-firing" in choosy.states()) is there


def test_a_digest_leaves_out_what_rests_and_what_waits_for_it(choosy: Choosy) -> None:
    choosy.refused = {"incident-1"}
    choosy.put(message(1), message(1, Kind.RESOLVED), *(message(number) for number in range(2, 60)))
    choosy.run(1)
    assert choosy.sent[-1][1].kind is Kind.DIGEST
    assert not [line for line in choosy.sent[-1][1].lines if "key-1" in line.split()]
    assert {state for number, state in choosy.states().items() if not number.startswith("1-")} == {"delivered"}


def test_a_message_is_tried_by_each_robot_of_a_pool_before_it_rests(pool: Pool) -> None:
    for robot in pool.robots:
        pool.says[robot] = failed(Verdict.REFUSED)
    pool.put(message(1))
    pool.run(1)
    assert sorted(robot for _, robot, _ in pool.by) == sorted(pool.robots)
    pool.says.clear()
    pool.put(message(2))
    pool.run(1)
    assert pool.by[-1][2].thread == "incident-2", "the first one rests, no robot does"
