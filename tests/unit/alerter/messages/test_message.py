"""The texts that people read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from obsctl.alerter.alerts import Alert, Level
from obsctl.alerter.evaluation.engine import Engine
from obsctl.alerter.evaluation.line_sample import Tops
from obsctl.alerter.messages.message import Kind, Message, Writer, channel_test, digest, sent_again
from obsctl.alerter.messages.templates import Templates
from obsctl.alerter.notify.of_rules import notification_plan
from obsctl.alerter.notify.options import NotifyOptions
from obsctl.alerter.notify.stages import Notifier
from obsctl.alerter.rules.metric import Metric
from obsctl.alerter.rules.rule import Rule
from obsctl.alerter.windows.observation import Number, observation
from obsctl.lines.event import Event
from tests.unit.alerter.builders import T, engine, event, rate, share

ENGLISH = Templates()


class Night:
    """An engine, the stages behind it, and the messages that come out."""

    def __init__(self, *rules: Rule, zone: tzinfo = UTC) -> None:
        self.machine: Engine = engine(*rules)
        self._writer = Writer(rules, Templates(zone=zone))
        self._notifier = Notifier(notification_plan(NotifyOptions(), rules, ["robot"]))
        self._tops = Tops(self.machine.top)
        self.messages: list[Message] = []

    def go(self, first: int, last: int, events: Sequence[Event] = ()) -> list[Message]:
        """Let the seconds pass, and return what was said meanwhile."""
        already = len(self.messages)
        for second in range(first, last + 1):
            now = float(T + second)
            due = [e for e in events if now - 1 < e.time <= now]
            changed = self.machine.feed(due, now) + self.machine.tick(now - 5, now)
            self.messages += self.said([one.alert for one in changed], now)
        return self.messages[already:]

    def said(self, changed: Sequence[Alert], now: float) -> list[Message]:
        """Return what is said when these alerts have changed."""
        decided = self._notifier.turn(changed, self.machine.firing, now)
        tops = self._tops.of(alert for about in decided.notifications for alert in about.alerts)
        return [self._writer.message(about, tops) for about in decided.notifications]


def burst(count: int = 200, *, client: str = "203.0.113.9", start: float = 0.1) -> list[Event]:
    return [event(start + n / 40, client=client, host=f"node{1 + n % 2}", uri=f"/{n % 3}") for n in range(count)]


def test_a_message_about_the_pipeline_itself_speaks_of_no_lines_and_no_window() -> None:
    rule = Metric(name="behind", metric="obsctl_consumer_behind_seconds", above=120, resolve_after_s=10)
    night = Night(rule)
    texts: list[str] = []
    for second, value in ((0, 600.0), (10, 600.0), (20, 0.0), (30, 0.0), (90, 0.0)):
        seen = observation(T + second, {"consumer-app1": [Number(rule.metric, {"source": "consumer-app1"}, value)]})
        changed = [one.alert for one in night.machine.observe(seen, T + second)]
        for alerts, now in ((changed, T + second), ([], T + second + 2)):
            texts += ["\n".join([said.title, *said.lines]) for said in night.said(alerts, now)]
    first, last = texts
    assert first.startswith("[FIRING] behind consumer-app1: obsctl_consumer_behind_seconds 600 (limit above 120)\n")
    assert "threshold: obsctl_consumer_behind_seconds above 120 for each source" in first
    assert "next: obsctl health" in first
    assert last.startswith("[RESOLVED] behind consumer-app1: after 10 s, peak: obsctl_consumer_behind_seconds 600\n")
    assert "log lines" not in first + last


def test_the_first_message_has_all_that_somebody_at_night_needs() -> None:
    (message,) = Night(rate(100)).go(0, 10, burst())
    assert message.kind is Kind.FIRING
    assert message.title == "[FIRING] client-request-rate 203.0.113.9: 157 requests in 60 s (limit 100)"
    text = "\n".join(message.lines)
    for part in (
        "157 requests in 60 s",
        "threshold: 100 requests",
        "sample: the last 157 lines read, of which 157 are in this window and 157 counted here (100.0 %)",
        "top host: node",
        "top uri: /",
        "severity: warning",
        "next: obsctl search client_addr:203.0.113.9 --since 11m",
        "incident: ",
        "look closer: obsctl alert why ",
        "silence: obsctl alert silence add 'rule:client-request-rate AND client_addr:203.0.113.9' --for 1h",
    ):
        assert part in text
    (alert,) = message.facts["alerts"]
    assert alert["labels"] == {"client_addr": "203.0.113.9"}
    # What stands beside the count is of the same moment.
    assert sum(alert["top"]["host"].values()) == alert["hits"] == 157


def test_the_resolved_message_says_how_bad_and_how_long() -> None:
    night = Night(share(0.1, 10))
    first, last = night.go(0, 200, [event(n / 10, status=500 if n % 2 else 200) for n in range(100)])
    assert first.thread == last.thread
    assert first.id != last.id
    assert last.kind is Kind.RESOLVED
    assert first.title == (
        "[FIRING] CRITICAL server-error-share fleet: 50.0 % of 20 answers with 5xx in 60 s (limit 10 %)"
    )
    assert last.title.startswith("[RESOLVED] server-error-share fleet: after 1 min ")
    text = "\n".join(last.lines)
    assert "% of answers with 5xx" in text
    assert "ended: " in text
    assert "next:" not in text
    assert last.facts["duration_s"] > 0


def test_several_alerts_of_a_rule_are_one_message() -> None:
    night = Night(rate(100))
    lines = [line for n in range(30) for line in burst(120, client=f"192.0.2.{n}")]
    (message,) = night.go(0, 8, lines)
    assert message.title.startswith("[FIRING] client-request-rate: 30 alerts, worst 192.0.2.")
    assert sum(line.startswith("client-request-rate 192.0.2.") for line in message.lines) == 20
    assert any(line.startswith("silence: obsctl alert silence add rule:client-request-rate ") for line in message.lines)
    assert "and 10 more" in message.lines
    assert any(line.startswith("incidents: ") and line.endswith("and 25 more") for line in message.lines)
    assert message.facts["started"] == 30
    (resolved,) = night.go(9, 300)
    assert resolved.title.startswith("[RESOLVED] client-request-rate: all 30 have ended after 57 s")


def test_what_comes_later_is_an_update() -> None:
    night = Night(rate(100))
    messages = night.go(
        0, 130, burst() + [line for at in (20, 60, 100) for line in burst(client="192.0.2.7", start=at)]
    )
    assert [message.kind for message in messages] == [Kind.FIRING, Kind.UPDATE]
    assert messages[1].title.startswith("[UPDATE] client-request-rate")


def test_what_was_over_before_it_could_be_said_is_one_message() -> None:
    night = Night(rate(100))
    night.machine.feed(burst(), T + 200)
    (message,) = night.go(200, 204)
    assert message.title.startswith(
        "[STARTED AND ENDED] client-request-rate 203.0.113.9: after 3 s, peak: 200 requests in 60 s"
    )
    assert any(line.startswith("ended: ") for line in message.lines)


def test_what_a_client_chooses_cannot_draw_or_link() -> None:
    hostile = "x'](http://evil)\n# **big** <img> `"
    (message,) = Night(rate(1)).go(0, 3, [event(0.5, client=hostile, uri=hostile)])
    assert "\n" not in message.title
    text = "\n".join((message.title, *message.lines))
    for part in ("](", "**", "<", "`"):
        assert part not in text


def test_a_test_message_says_that_it_is_one() -> None:
    message = channel_test(T, "app1", ENGLISH)
    assert message.title.startswith("[TEST]")
    assert "Nothing is wrong" in message.lines[0]
    assert "app1" in message.lines[1]


def test_a_digest_names_every_message_and_has_the_worst_severity() -> None:
    messages = [
        Message(id=str(n), kind=Kind.FIRING, title=f"[FIRING] rule {n}", facts={"severity": level.value})
        for n, level in enumerate((Level.INFO, Level.CRITICAL, Level.WARNING))
    ]
    messages.append(Message(id="4", kind=Kind.RESOLVED, title="[RESOLVED] rule 0"))
    one = digest(messages, T, ENGLISH)
    assert one.title == "[DIGEST] 4 alert messages: 3 firing, 1 resolved"
    assert list(one.lines[1:]) == [m.title for m in messages]
    assert one.facts["severity"] == "critical"
    assert digest(messages[3:], T, ENGLISH).facts["severity"] == ""
    assert sent_again(one, ENGLISH).lines[:-1] == one.lines


def test_times_are_those_of_the_site() -> None:
    night = Night(rate(100), zone=ZoneInfo("Asia/Shanghai"))
    (message,) = night.go(0, 10, burst())
    assert any(line.startswith("started: 2027-01-15 16:00:0") and "+08:00" in line for line in message.lines)
    assert message.facts["since"].startswith("2027-01-15T08:00:0")
