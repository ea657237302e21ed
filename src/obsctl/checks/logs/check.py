"""The checks ``verify logs``, with and without requests of its own, and ``trace``."""

from __future__ import annotations

from functools import partial

from obsctl.checks.ask.web import Scheme
from obsctl.checks.check import Check
from obsctl.checks.logs.collect import collect_passive
from obsctl.checks.logs.follow import DEADLINE_S, Say, follow, trace
from obsctl.checks.logs.judge import describe_logs, describe_traced, judge_logs, judge_traced
from obsctl.checks.logs.snapshot import LogsSnapshot
from obsctl.checks.logs.tables import LOGS_LAYOUTS, TRACE_LAYOUTS


def passive_check() -> Check[LogsSnapshot]:
    """Return the check that sends nothing and compares what nginx wrote with what was delivered."""
    return Check(
        "verify logs", LogsSnapshot, collect_passive, judge_logs, describe_logs, LOGS_LAYOUTS, arguments="--passive"
    )


def followed_check(
    deadline_s: float = DEADLINE_S, host: str = "", say: Say = lambda _: None, *, scheme: Scheme = ""
) -> Check[LogsSnapshot]:
    """Return the check that follows a line of each balancer and of each back end.

    Args:
        deadline_s: time limit for the lines, seconds.
        host: only this balancer.
        say: shows progress to a person.
        scheme: ``http`` or ``https``; empty for the inventory's choice.
    """
    collect = partial(follow, deadline_s=deadline_s, host=host, scheme=scheme, say=say)
    return Check("verify logs", LogsSnapshot, collect, judge_logs, describe_logs, LOGS_LAYOUTS)


def trace_check(number: int = 10, deadline_s: float = DEADLINE_S, say: Say = lambda _: None) -> Check[LogsSnapshot]:
    """Return the check that follows lines one after the other and measures each hop.

    Args:
        number: of lines.
        deadline_s: time limit for each line, seconds.
        say: shows progress to a person.
    """
    collect = partial(trace, number=number, deadline_s=deadline_s, say=say)
    return Check("trace", LogsSnapshot, collect, judge_traced, describe_traced, TRACE_LAYOUTS)
