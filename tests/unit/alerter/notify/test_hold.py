"""Stage for: an alert must fire for long enough."""

from __future__ import annotations

from tests.unit.alerter.notify.world import T, World, route


def world() -> World:
    return World(route(), for_s={"rate": 30})


def test_an_alert_is_sent_when_it_has_fired_for_so_long() -> None:
    w = world()
    w.start("192.0.2.1")
    (said,) = w.run(60)
    assert 30 <= said.at - T <= 32
    assert said.since == T
    assert w.suppressed == [("for", "30 s", 0)]


def test_one_that_ends_earlier_is_a_record_and_no_message() -> None:
    w = world()
    w.start("192.0.2.1")
    w.run(29)
    w.end("192.0.2.1")
    assert w.run(300) == []
    assert w.suppressed == [("for", "30 s", 0), ("for", "30 s", 1)]
    w.run(4000, step=100)
    assert not w.rows


def test_other_rules_do_not_wait() -> None:
    w = world()
    w.start("192.0.2.1", rule="errors")
    assert len(w.run(2)) == 1


def test_the_time_goes_on_over_a_restart() -> None:
    w = world()
    w.start("192.0.2.1")
    w.run(20)
    w.restart()
    (said,) = w.run(20)
    assert 30 <= said.at - T <= 32


def test_an_end_is_not_held() -> None:
    w = world()
    w.start("192.0.2.1")
    w.run(100)
    w.end("192.0.2.1")
    assert [said.reason for said in w.run(2)] == ["resolved"]


def test_the_news_of_an_earlier_alert_do_not_wait_for_the_next_one() -> None:
    w = world()
    w.start("192.0.2.1")
    w.run(100)
    w.end("192.0.2.1")
    w.now += 0.5
    w.start("192.0.2.1")
    (said,) = w.run(2)
    assert (said.reason, said.started, said.resolved) == ("resolved", 0, 1)
    (said,) = w.run(300)
    assert (said.reason, said.started, said.firing) == ("first", 1, 1)


def test_one_that_is_held_behind_other_news_is_not_forgotten_in_a_restart() -> None:
    w = world()
    w.start("192.0.2.1")
    w.run(100)
    w.end("192.0.2.1")
    w.now += 0.5
    w.start("192.0.2.1")
    w.run(5)
    w.restart()
    assert [said.reason for said in w.run(300)] == ["first"]
