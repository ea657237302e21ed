"""``obsctl alert test --rule NAME``: make a rule's condition true with real requests, and follow its message to the
channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import typer

from obsctl.cli.settings import note
from obsctl.core.errors import ConfigError, ExitCode, UsageError
from obsctl.core.nearest import did_you_mean

if TYPE_CHECKING:
    from obsctl.alerter.rules.rule import Rule
    from obsctl.checks.wire.snapshot import LeftOut
    from obsctl.core.rule_test import Plan
    from obsctl.core.secrets import Secret
    from obsctl.fleet.model import Fleet, Vip

#: An alerter forgets a test after an hour.
_LONGEST_DEADLINE_S = 3600.0


def run_rule_tests(
    ctx: typer.Context, names: Sequence[str], *, deadline_s: float, dry_run: bool, say: Callable[[str], None]
) -> ExitCode:
    """Test some rules of the inventory and print how far each got.

    Args:
        ctx: of the command.
        names: of the rules; none for all of them.
        deadline_s: time limit for each rule, seconds.
        dry_run: only print the requests.
        say: shows progress to a person.

    Raises:
        UsageError: there is no rule with such a name, a named rule cannot be tested, or the deadline is too long.
        ConfigError: the inventory has no VIP, no rule, or no secret for tests.
    """
    from obsctl.checks.headline import headline
    from obsctl.checks.wire.collect import run_tests
    from obsctl.checks.wire.judge import describe_wire, judge_wire
    from obsctl.checks.wire.tables import WIRE_LAYOUTS
    from obsctl.cli.checking import load_fleet
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start

    if deadline_s > _LONGEST_DEADLINE_S:
        raise UsageError("--deadline must be at most 1h: the alerter drops a test after that")
    fleet = load_fleet(ctx)
    vip = _vip(fleet)
    rules = _rules(fleet, names)
    start = Start()
    plans, left_out = _plans(fleet, vip, rules, deadline_s)
    if dry_run:
        note(ctx, "dry run: nothing was sent")
        data = {"dry_run": True, "plans": [*map(_planned, plans), *map(_not_planned, left_out)]}
        publish(ctx, start.report("alert test", data), WIRE_LAYOUTS)
        return ExitCode.OK
    if names and left_out:
        raise UsageError(
            "\n".join(f"{one.rule} cannot be tested: {one.reason}" for one in left_out),
            hint="obsctl alert test --all-rules --dry-run shows which rules can",
        )
    from obsctl.alerter.wire.plan import LANES, PER_SECOND

    key = _key(fleet, vip)
    seen = run_tests(fleet, plans, key, deadline_s=deadline_s, per_second=PER_SECOND, lanes=LANES, say=say)
    seen = msgspec.structs.replace(seen, left_out=tuple(left_out))
    found = judge_wire(fleet, seen)
    worst = headline(fleet, found, "", start.at, seen.errors)
    report = start.report("alert test", describe_wire(seen), found, seen.errors, headline=worst)
    publish(ctx, report, WIRE_LAYOUTS)
    return report.status.exit_code


def _vip(fleet: Fleet) -> Vip:
    if fleet.vip is None:
        raise ConfigError(
            "the inventory names no VIP, so no requests can be sent",
            hint="set fleet_vip, or choose another inventory with --inventory",
        )
    return fleet.vip


def _key(fleet: Fleet, vip: Vip) -> Secret:
    from obsctl.checks.wire.send import key_of
    from obsctl.core.secrets import resolve

    if vip.log_format != "json":
        raise ConfigError(
            f"nginx writes its access log in the format {vip.log_format}, which has no field for the mark of a test",
            hint=f"set nginx_log_format to json, then {fleet.playbook('nginx')}",
        )
    if not vip.test_secret:
        raise ConfigError(
            "the inventory names no test secret, so nginx does not recognise test requests",
            hint="set nginx_test_secret in the group lb to vault:NAME, env:NAME or file:/path, then "
            f"{fleet.playbook('nginx')}",
        )
    return key_of(resolve(vip.test_secret))


def _rules(fleet: Fleet, names: Sequence[str]) -> list[Rule]:
    from obsctl.cli.alert.rule_sources import some_inventory_rules

    rules = some_inventory_rules(fleet)
    known = [rule.name for rule in rules]
    if unknown := [name for name in names if name not in known]:
        hint = did_you_mean(unknown, known, f"there are: {', '.join(known)}")
        raise UsageError(f"there is no rule {', '.join(unknown)}", hint=hint)
    return [rule for rule in rules if not names or rule.name in names]


def _plans(fleet: Fleet, vip: Vip, rules: Sequence[Rule], deadline_s: float) -> tuple[list[Plan], list[LeftOut]]:
    from obsctl.alerter.wire.fitting import World
    from obsctl.alerter.wire.plan import CannotTestError, plan
    from obsctl.checks.wire.collect import own_address
    from obsctl.checks.wire.snapshot import LeftOut

    world = World(
        client=own_address(vip.address, vip.port),
        scheme="http" if vip.https is None else "https",
        hosts=tuple(host.name for host in fleet.group("lb")),
    )
    plans: list[Plan] = []
    left_out: list[LeftOut] = []
    for rule in rules:
        try:
            made = plan(rule, world)
        except CannotTestError as error:
            left_out.append(LeftOut(rule=rule.name, reason=str(error)))
            continue
        if made.takes_s < deadline_s:
            plans.append(made)
        elif made.takes_s < _LONGEST_DEADLINE_S:
            enough = f"--deadline {made.takes_s + deadline_s:.0f}s"
            left_out.append(LeftOut(rule=rule.name, reason=f"it takes {made.takes_s:g} s; {enough} is enough"))
        else:
            left_out.append(LeftOut(rule=rule.name, reason=f"it takes {made.takes_s:g} s; the limit is an hour"))
    return plans, left_out


def _planned(made: Plan) -> dict[str, Any]:
    first = made.bursts[0].requests[0]
    return {
        "name": made.rule,
        "testable": True,
        "why_not": None,
        "requests": made.count,
        "takes_s": made.takes_s,
        "first": f"{first.method} {first.uri} -> {first.status}"
        + (f" after {first.delay_s} s" if first.delay_s else ""),
        "bursts": [
            {"at_s": burst.at_s, "times": burst.times, "requests": msgspec.to_builtins(burst.requests)}
            for burst in made.bursts
        ],
    }


def _not_planned(one: LeftOut) -> dict[str, Any]:
    return {"name": one.rule, "testable": False, "why_not": one.reason, "requests": 0, "takes_s": None, "bursts": []}
