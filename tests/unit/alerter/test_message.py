"""The texts that people read."""

from __future__ import annotations

from obsctl.alerter.message import Kind, about, channel_test, digest, sent_again
from tests.unit.alerter.builders import T, engine, event, rate, share


def test_the_first_message_has_all_that_somebody_at_night_needs() -> None:
    (start,) = engine(rate(100)).feed([event(n / 20, host=f"node{1 + n % 2}") for n in range(200)], T + 10)
    message = about(start, "obs")
    assert message.kind is Kind.FIRING
    assert message.title == "[FIRING] client-request-rate 203.0.113.9"
    text = "\n".join(message.lines)
    for part in (
        "200 requests in 60 s",
        "threshold: 100 requests",
        "top host: node1 (100), node2 (100)",
        "severity: warning",
        "next: SELECT",
        "client_addr = '203.0.113.9'",
        message.id,
    ):
        assert part in text
    assert message.facts["top"]["host"] == {"node1": 100, "node2": 100}


def test_the_resolved_message_says_how_bad_and_how_long() -> None:
    machine = engine(share(0.1, 10))
    machine.feed([event(n / 10, status=500 if n % 2 else 200) for n in range(100)], T + 10)
    (end,) = machine.tick(T + 200, T + 200)
    message = about(end, "obs")
    assert message.title == "[RESOLVED] server-error-share fleet"
    text = "\n".join(message.lines)
    assert "% of answers with 5xx" in text
    assert "ended: " in text
    assert "next:" not in text


def test_what_a_client_chooses_cannot_draw_or_link() -> None:
    hostile = "x'](http://evil)\n# **big** <img> `"
    (start,) = engine(rate(1)).feed([event(0, client=hostile)], T)
    message = about(start, "obs")
    assert "\n" not in message.title
    text = "\n".join((message.title, *message.lines))
    for part in ("](", "**", "<", "`"):
        assert part not in text


def test_a_test_message_says_that_it_is_one() -> None:
    message = channel_test(T, "app1")
    assert message.title.startswith("[TEST]")
    assert "Nothing is wrong" in message.lines[0]
    assert "app1" in message.lines[1]


def test_a_digest_names_every_message() -> None:
    machine = engine(rate(1))
    messages = [about(t, "obs") for t in machine.feed([event(0, client=f"192.0.2.{n}") for n in range(3)], T)]
    one = digest(messages, T)
    assert one.title == "[DIGEST] 3 alert messages: 3 firing, 0 resolved"
    assert list(one.lines[1:]) == [m.title for m in messages]
    assert sent_again(one).lines[:-1] == one.lines
