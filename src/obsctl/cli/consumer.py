"""``obsctl consumer``: its progress, replay of quarantined lines, and resets of a position."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obsctl.cli import completion
from obsctl.cli.commands import AnyCheck, Command, check, examples, group
from obsctl.cli.moments import moment
from obsctl.cli.settings import note, require_terminal
from obsctl.core.errors import ExitCode, ObsctlError, RefusedError, UsageError
from obsctl.core.layout import Layout
from obsctl.core.nearest import did_you_mean
from obsctl.core.utc import timestamp

if TYPE_CHECKING:
    from obsctl.core.report import Report
    from obsctl.fleet.model import Fleet, Host

consumer = group(
    "consumer",
    help="Show positions, lag and quarantine; replay quarantined lines, or reset a position.",
    epilog=examples("obsctl consumer status", "obsctl consumer replay --reason parse --since 7d --dry-run"),
)

#: Path of the program on the consumer's hosts, and the user there who may read the consumer's secret.
_CONFIG = "/etc/obsctl/consumer.yml"
_USER = "obsctl-consumer"
#: Time limits, seconds: a reset makes a few queries, a replay may move hundreds of thousands of lines.
_RESET_S = 60.0
_REPLAY_S = 3600.0

_LAYOUTS = (
    Layout("lines", "", ("reason", "examined", "moved", "known", "stays", "cut", "left"), ("since", "until")),
    Layout(
        "plan",
        "",
        ("topic", "partition", "position", "target", "first", "end", "read_again", "skipped", "gone"),
        ("source_id", "topic_id", "cluster_id"),
    ),
)

_Config = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", dir_okay=False,
        help="Run here, with this consumer's configuration, instead of on a consumer host.",
    ),
]  # fmt: skip
_OnHost = Annotated[
    str | None,
    typer.Option(
        "--host",
        metavar="NAME",
        autocompletion=completion.consumer_hosts,
        help="The consumer host to run on (default: the first).",
    ),
]


@check(
    consumer,
    "status",
    "obsctl consumer status",
    "obsctl consumer status -o json",
    "obsctl consumer status --watch 5 --until ok",
)
def status() -> AnyCheck:
    """Show positions, lag, quarantine and day partitions, as the processes, the tables and the cluster report them.

    Queries the consumer's health pages over ssh, the tables as the reading user (for a second, to measure the rate),
    and then the brokers.
    """
    from obsctl.checks.consumer.check import consumer_check

    return consumer_check()


@consumer.command(
    "replay",
    cls=Command,
    epilog=examples(
        "obsctl consumer replay --reason parse --since 7d --dry-run",
        "obsctl consumer replay --reason parse --since 2026-01-31",
        "obsctl consumer replay --reason refused --since 24h --limit 1000",
    ),
)
def replay(
    ctx: typer.Context,
    *,
    reason: Annotated[
        str,
        typer.Option(
            metavar="R",
            help="Reason in the quarantine: parse, time, ...; refused for all lines that the database refused.",
        ),
    ],
    since: Annotated[datetime, typer.Option(metavar="T", parser=moment, help="Lines quarantined at T or later.")],
    until: Annotated[
        datetime | None, typer.Option(metavar="T", parser=moment, help="Lines quarantined before T (default: now).")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Process at most N lines (default: all).")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would happen to the lines.")] = False,
    config: _Config = None,
    host: _OnHost = None,
) -> ExitCode:
    """Move lines from the quarantine to their tables, once the parsers can read them.

    Each line moves once, however often you run this and whatever crashes meanwhile: one transaction inserts its row,
    counts its roll-up and removes it from the quarantine. Lines that still cannot be read stay, with the current
    reason. The consumer may keep running. Upgrade all consumers first: an older one would put a resent line back into
    the quarantine.

    T is a time (2026-01-31, 2026-01-31T12:00, with Z or an offset; without one it is UTC) or an age: 90m, 24h, 7d.
    Exits with 1 if lines stay.
    """
    if until is not None and until <= since:
        raise UsageError("--until is not later than --since: no line can be between them")
    if config is None:
        from obsctl.cli.checking import load_fleet

        arguments = ["replay", "--reason", reason, "--since", timestamp(since)]
        arguments += ["--until", timestamp(until)] if until else []
        arguments += ["--limit", str(limit)] if limit else []
        arguments += ["--dry-run"] if dry_run else []
        return _publish(ctx, _on_host(_host(load_fleet(ctx), host), arguments, _REPLAY_S))
    return _publish(ctx, _replay_here(config, reason, since, until, limit=limit, dry_run=dry_run))


@consumer.command(
    "reset",
    cls=Command,
    epilog=examples(
        "obsctl consumer reset --topic nginxlog --partition 3 --to earliest --dry-run",
        "obsctl consumer reset --topic nginxlog --partition 3 --to earliest",
        "obsctl consumer reset --topic nginxlog --partition 3 --to 81234 --yes",
    ),
)
def reset(
    ctx: typer.Context,
    *,
    topic: Annotated[
        str, typer.Option(metavar="NAME", autocompletion=completion.topics, help="The partition's topic.")
    ],
    partition: Annotated[int, typer.Option(min=0, metavar="P", help="The partition's number.")],
    to: Annotated[
        str, typer.Option(metavar="earliest|latest|OFFSET", help="The offset at which the consumer continues.")
    ],
    expected: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="OFFSET",
            help="Refuse if the position is below this offset: another reset has moved it back.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what it would do.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    config: _Config = None,
    host: _OnHost = None,
) -> ExitCode:
    """Move the stored position of a partition, after showing what will be read again or skipped.

    For a partition that is blocked because the cluster was restored, or to read lines again. Reading again is always
    safe: no line is stored twice. Skipping is not: skipped lines that are not stored yet never will be.

    The consumer may keep running. Its next transaction sees that the position has moved, stores nothing and
    continues from the new position; for a partition without new lines it checks every ten seconds.
    """
    from obsctl.cli.checking import load_fleet

    if to not in ("earliest", "latest") and not to.isdecimal():
        raise UsageError(f"--to {to} is not earliest, latest or an offset")
    chosen = ["reset", "--topic", topic, "--partition", str(partition)]
    remote = _host(load_fleet(ctx), host) if config is None else None

    def act(goal: str, *, at_least: int | None) -> Report:
        """Only show the plan, or move a position that is not below ``at_least``."""
        if config is not None:
            return _reset_here(config, topic, partition, goal, at_least=at_least)
        assert remote is not None  # noqa: S101  there is one or the other
        more = ["--dry-run"] if at_least is None else ["--yes", "--expected", str(at_least)]
        return _on_host(remote, [*chosen, "--to", goal, *more], _RESET_S)

    if not dry_run and not yes:
        require_terminal("consumer reset")
    if dry_run or not yes:
        planned = act(to, at_least=None)
        where = planned.data["plan"]
        if dry_run or where["position"] == where["target"]:
            note(ctx, planned.data["in_words"])
            return _publish(ctx, planned)
        if not typer.confirm(f"{planned.data['in_words']}. Move it?", err=True):
            raise RefusedError("nothing was moved")
        expected = where["position"] if expected is None else expected
        to = str(where["target"])  # the agreed target, as the end may have moved meanwhile
    moved = act(to, at_least=expected or 0)
    note(ctx, moved.data["in_words"])
    return _publish(ctx, moved)


def _replay_here(
    config_path: Path, reason: str, since: datetime, until: datetime | None, *, limit: int | None, dry_run: bool
) -> Report:
    from obsctl.checks.consumer.judge import judge_replay
    from obsctl.cli.reporting import Start
    from obsctl.consumer import config
    from obsctl.consumer.tools.replay import judge
    from obsctl.consumer.tools.replay import replay as move
    from obsctl.store.interface import StoreUnavailableError

    start = Start()
    settings = config.load(config_path)
    try:
        read = judge(settings.error_log_timezone, settings.proxy_networks())
        result = move(
            settings.database,
            read,
            reason,
            _plain(since),
            _plain(until) if until else None,
            limit=limit,
            dry_run=dry_run,
        )
    except StoreUnavailableError as error:
        raise ObsctlError(f"{error}; lines that were already moved stay moved", hint=error.hint) from None
    released = result.released
    lines = {
        "reason": reason,
        "since": timestamp(since),
        "until": timestamp(result.until.replace(tzinfo=UTC)),
        "examined": result.examined,
        "moved": released.moved,
        "known": released.known,
        "stays": dict(released.stays),
        "cut": released.cut,
        "left": result.left,
    }
    return start.report(
        "consumer replay", {"dry_run": dry_run, "lines": lines}, judge_replay(lines, settings.database.name)
    )


def _reset_here(config_path: Path, topic: str, partition: int, to: str, *, at_least: int | None) -> Report:
    import msgspec

    from obsctl.cli.reporting import Start
    from obsctl.consumer import config
    from obsctl.consumer.tools import reset as engine
    from obsctl.kafka.partition import TopicPartition

    start = Start()
    settings = config.load(config_path)
    plan = engine.plan(settings, TopicPartition(topic, partition), to)
    if at_least is not None:
        plan = engine.carry_out(settings, plan, at_least=at_least)
    data = {"dry_run": at_least is None, "plan": msgspec.to_builtins(plan), "in_words": plan.in_words()}
    return start.report("consumer reset", data)


def _plain(moment: datetime) -> datetime:
    """Return a time in the database's form: UTC, without a zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def _publish(ctx: typer.Context, report: Report) -> ExitCode:
    from obsctl.cli.output import publish

    if report.data.get("dry_run"):
        note(ctx, "dry run: nothing was changed")
    publish(ctx, report, _LAYOUTS)
    return report.status.exit_code


def _host(fleet: Fleet, name: str | None) -> Host:
    """Return the consumer's host with a name, or the first one.

    Raises:
        UsageError: there is none.
    """
    hosts = fleet.group("consumer")
    if not hosts:
        raise UsageError("the inventory has no host in the group consumer", hint="choose another with --inventory")
    if name is None:
        return hosts[0]
    found = next((host for host in hosts if host.name == name), None)
    if found is None:
        names = [host.name for host in hosts]
        hint = did_you_mean(name, names, f"there are: {', '.join(names)}")
        raise UsageError(f"there is no host in the group consumer called {name}", hint=hint)
    return found


def _on_host(host: Host, arguments: Sequence[str], deadline_s: float) -> Report:
    """Run a command of this group on a consumer's host, as the consumer's user.

    Raises:
        ObsctlError: it gave no report; with its own error and exit code, or UNKNOWN if it did not answer.
    """
    from obsctl.cli.there import Place, report

    place = Place(host, _USER, "consumer", "you can safely run it again, and --host chooses another host")
    return report(place, ["consumer", *arguments, "--config", _CONFIG], deadline_s)
