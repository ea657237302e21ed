"""``obsctl ack``: acknowledge an event that cannot be undone, so that it is no longer a warning."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from obsctl.cli import codes
from obsctl.cli.commands import Command, examples, group
from obsctl.cli.person import login_name
from obsctl.cli.settings import note
from obsctl.core.errors import ConfigError, ExitCode, UsageError
from obsctl.core.layout import Layout
from obsctl.core.nearest import did_you_mean
from obsctl.core.utc import timestamp

if TYPE_CHECKING:
    from obsctl.core.acknowledgement import Acknowledgement
    from obsctl.core.report import Finding
    from obsctl.fleet.model import Fleet

ack = group(
    "ack",
    help="Acknowledge a loss or a notice: it is still shown, but is no longer a warning.",
    epilog=examples(
        "obsctl ack list",
        "obsctl ack add CONSUMER_RECORDS_LOST topic/nginxlog --reason 'db1 was down'",
        "obsctl ack rm CONSUMER_RECORDS_LOST topic/nginxlog",
    ),
)

_LAYOUTS = (Layout("acknowledgements", "", ("code", "object", "author", "created", "reason"), ("number",)),)
_Code = Annotated[str, typer.Argument(metavar="CODE", help="The finding's code, such as CONSUMER_RECORDS_LOST.")]
_Object = Annotated[str, typer.Argument(metavar="OBJECT", help="The object, as the finding names it.")]


@ack.command("list", cls=Command, epilog=examples("obsctl ack list", "obsctl ack list -o json"))
def list_(ctx: typer.Context) -> ExitCode:
    """List the acknowledgements, latest first."""
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start
    from obsctl.kafka import acknowledgements

    start = Start()
    fleet, topic = _place(ctx)
    with _asking(fleet):
        found = acknowledgements.read(fleet.brokers(), topic)
    if not found:
        note(ctx, "nothing is acknowledged")
    publish(ctx, start.report("ack list", {"acknowledgements": [_row(one) for one in found]}), _LAYOUTS)
    return ExitCode.OK


@ack.command(
    "add",
    cls=Command,
    epilog=examples(
        "obsctl ack add CONSUMER_RECORDS_LOST topic/nginxlog --reason 'db1 was down'",
        "obsctl ack add CONSUMER_NOTICE notice/nginxlog --reason 'created by hand'",
    ),
)
def add(
    ctx: typer.Context,
    code: _Code,
    object_: _Object,
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why it is acknowledged, for others to read.")],
    author: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who does this (default: your login name).")
    ] = None,
) -> ExitCode:
    """Acknowledge a finding: from now on it is information, with your name and the reason.

    It becomes a warning again when its number grows, or when it happens again. Checks the consumer first, so that you
    acknowledge the current numbers. The acknowledgement is stored in Kafka, so that every control node sees it.
    """
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start
    from obsctl.core.acknowledgement import made, refuse_state
    from obsctl.kafka import acknowledgements

    start = Start()
    code = codes.page_of(code).stem
    refuse_state(code)
    fleet, topic = _place(ctx)
    finding = _chosen(_found(fleet), code, object_)
    one = made(finding, author=author or login_name(), reason=reason, now=time.time())
    with _asking(fleet):
        acknowledgements.write(fleet.brokers(), topic, one)
    note(ctx, f"to take it back: obsctl ack rm {code} {object_}")
    publish(ctx, start.report("ack add", {"acknowledgements": [_row(one)]}), _LAYOUTS)
    return ExitCode.OK


@ack.command("rm", cls=Command, epilog=examples("obsctl ack rm CONSUMER_RECORDS_LOST topic/nginxlog"))
def remove(ctx: typer.Context, code: _Code, object_: _Object) -> ExitCode:
    """Remove an acknowledgement: the finding is a warning again."""
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start
    from obsctl.kafka import acknowledgements

    start = Start()
    code = codes.page_of(code).stem
    fleet, topic = _place(ctx)
    with _asking(fleet):
        found = acknowledgements.read(fleet.brokers(), topic)
        one = next((one for one in found if (one.code, one.object) == (code, object_)), None)
        if one is None:
            named = f"{code} {object_}"
            known = [f"{one.code} {one.object}" for one in found]
            hint = did_you_mean(named, known, "obsctl ack list shows what is")
            raise UsageError(f"{named} is not acknowledged", hint=hint)
        acknowledgements.remove(fleet.brokers(), topic, one)
    publish(ctx, start.report("ack rm", {"acknowledgements": [_row(one)]}), _LAYOUTS)
    return ExitCode.OK


def _place(ctx: typer.Context) -> tuple[Fleet, str]:
    """Return the fleet and the topic of the acknowledgements.

    Raises:
        ConfigError: the inventory has no brokers, or names no such topic.
    """
    from obsctl.cli.checking import load_fleet

    fleet = load_fleet(ctx)
    if not fleet.brokers():
        raise ConfigError(
            "the inventory has no Kafka broker, and acknowledgements are stored in Kafka",
            hint="choose another inventory with --inventory",
        )
    if not fleet.kafka.acknowledgements_topic:
        raise ConfigError(
            "the fleet document does not name the topic of the acknowledgements: an earlier release wrote it, or "
            "fleet_topics has no acknowledgements",
            hint=f"{fleet.playbook('preflight')} says which; {fleet.playbook('kafka')} creates the topic",
        )
    return fleet, fleet.kafka.acknowledgements_topic


def _asking(fleet: Fleet) -> Any:
    from obsctl.cli.alert.topics import asking

    return asking(fleet)


def _found(fleet: Fleet) -> list[Finding]:
    """Return the present findings of the consumer's check; acknowledged ones with their present numbers."""
    from obsctl.checks.consumer.check import consumer_check

    check = consumer_check()
    return list(check.judge(fleet, check.collect(fleet)))


def _chosen(findings: Iterable[Finding], code: str, object_: str) -> Finding:
    """Return the finding.

    Raises:
        UsageError: there is no finding with this code about this object.
    """
    of_code = [finding for finding in findings if finding.code == code]
    chosen = next((finding for finding in of_code if finding.object == object_), None)
    if chosen is None:
        objects = [finding.object for finding in of_code]
        there = f"there is one about {', '.join(objects) or 'nothing'}; obsctl consumer status shows what there is"
        raise UsageError(f"there is no {code} about {object_} now", hint=did_you_mean(object_, objects, there))
    return chosen


def _row(one: Acknowledgement) -> dict[str, Any]:
    return {
        "code": one.code,
        "object": one.object,
        "number": one.number,
        "author": one.author,
        "reason": one.reason,
        "created": timestamp(datetime.fromtimestamp(one.created, UTC)),
    }
