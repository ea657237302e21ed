"""Whether a site's templates can render every message that the configured rules can produce.

A template that works for one message may fail for another: a misspelled name in a branch fails only there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from obsctl.alerter.alerts import Alert, AlertState, Level, Measure, incident_of
from obsctl.alerter.evaluation.line_sample import Top
from obsctl.alerter.messages.message import Writer, channel_test, digest, sent_again
from obsctl.alerter.messages.template_variables import NoticeView
from obsctl.alerter.messages.templates import TemplateFaultError, Templates
from obsctl.alerter.notify.notification import Notification, Reason
from obsctl.alerter.rules.rule import Rule
from obsctl.core.errors import ConfigError

#: The time of the sample alerts, seconds since the epoch: 2027-01-15 08:00:00 UTC.
AT = 1_800_000_000
_PEAK = Measure(0.5, 60, 120)
_LASTED_S = 200


def check_templates(rules: Sequence[Rule], templates: Templates) -> None:
    """Render a message of each kind about each rule, a digest and a test, if the site has templates of its own.

    Args:
        rules: the configured ones.
        templates: to be tested.

    Raises:
        ConfigError: a site's template fails; with file and line.
    """
    if not templates.customized:
        return
    strict = templates.raising()
    writers = (Writer(rules, strict), Writer((), strict))
    try:
        for rule in rules:
            # An alert may outlive its rule.
            for writer in writers:
                for about in samples(rule):
                    writer.message(about, {alert.incident: TOP for alert in about.alerts})
                    writer.message(about, {})
                writer.rule_test(next(samples(rule)), {}, "0123456789ab")
        for notice in NOTICES:
            strict.line("notice_title", notice)
            strict.lines("notice_body", notice)
        for severity in (None, *Level):
            message = channel_test(AT, "app1", strict, severity)
        sent_again(digest([message, message], AT, strict), strict)
    except TemplateFaultError as fault:
        raise ConfigError(
            str(fault), hint="docs/reference/alert-messages.md lists the variables of a template"
        ) from None


#: Of each kind.
NOTICES = tuple(
    NoticeView(kind=kind, member="app1", reason="-", since=AT, over_at=AT + _LASTED_S if kind == "resolved" else 0)
    for kind in ("firing", "repeat", "resolved")
)
#: What a sample shows.
TOP = Top(
    kept=10_000,
    lines=120,
    hits=60,
    values={
        "host": (("node1", 40), ("node2", 20)),
        "uri": (("/login", 60),),
        "client_addr": (("203.0.113.9", 60),),
        "upstream_addr": (("192.0.2.11:8080", 60),),
    },
)


def samples(rule: Rule) -> Iterator[Notification]:
    """Yield a notification of each reason about one alert, and one about 30, of which 20 are listed."""
    for reason in Reason:
        for total in (1, 30):
            for firing in {
                Reason.RESOLVED: (False,),
                Reason.DIGEST: (True, False),
            }.get(reason, (True,)):
                alerts = tuple(_alert(rule, number, firing=firing) for number in range(min(total, 20)))
                yield Notification(
                    id="41c02f9a77d1e0b3",
                    thread="28d6058cc28f4f10",
                    reason=reason,
                    route="default",
                    labels={"rule": rule.name},
                    severity=rule.severity,
                    at=AT + _LASTED_S + 60,
                    since=AT,
                    ended=0 if firing else AT + _LASTED_S,
                    started=total if reason is Reason.FIRST else 0,
                    resolved=0 if firing else total,
                    firing=total if firing else 0,
                    repeat=1 if reason is Reason.REPEAT else 0,
                    total=total,
                    alerts=alerts,
                )


def _alert(rule: Rule, number: int, *, firing: bool) -> Alert:
    labels = dict.fromkeys(rule.fields, f"203.0.113.{number + 1}")
    return Alert(
        rule=rule.name,
        kind=rule.kind,
        severity=rule.severity,
        labels=labels,
        incident=incident_of(rule.name, tuple(labels.values()), AT),
        state=AlertState.FIRING if firing else AlertState.ENDED,
        started=AT,
        last_true=AT + _LASTED_S,
        peak=_PEAK,
        ended=0 if firing else AT + _LASTED_S + rule.resolve_after_s,
    )
