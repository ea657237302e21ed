"""Alerts, their history and silences: the page and its calls of the API."""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from obsctl.alerter.history.sentences import row
from obsctl.alerter.messages.commands import silence_filter
from obsctl.alerter.notify.silences import LONGEST_TEXT, SilenceState, listed
from obsctl.alerter.silences import topic as silence_topic
from obsctl.alerter.state.standing import Standing, as_data
from obsctl.console.alerts import WAIT_S, Alerts
from obsctl.console.config import ConsoleConfig
from obsctl.console.database import Pool
from obsctl.console.kept import within
from obsctl.console.people import audit
from obsctl.console.people.audit import Actor
from obsctl.console.people.sessions import Person
from obsctl.console.web.guard import Operator, client_addr
from obsctl.console.web.page import show_with_script
from obsctl.console.web.parameters import Since, span
from obsctl.console.web.problems import ProblemError, given
from obsctl.console.web.scope import Unbounded, invalid_filter
from obsctl.core.errors import ConfigError, ObsctlError, RefusedError, UsageError
from obsctl.core.moments import duration
from obsctl.core.utc import iso
from obsctl.kafka.topic_log import NotAnsweredError, TopicMissingError
from obsctl.query.errors import QueryError

LOG = logging.getLogger("obsctl.console")
T = TypeVar("T")

pages = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/v1")

#: Texts that the page's script puts together.
TEXTS = (
    "lost", "none_fires", "as_of", "silence", "end", "why", "would_hold_back", "silenced_until", "no_silence",
    "no_records", "earlier_records", "not_whole", "no_rule", "all_rules", "next_step", "held_back_by", "firing_count",
    "last_1h", "last_6h", "last_24h", "last_7d", "time_range", "stop", "subject", "would_fire", "evaluate",
    "window_seconds", "evaluating", "evaluated_until", "evaluation_stopped", "would_fire_times", "evaluated_partly",
    "fired_too_often", "none_evaluated", "no_lines_then", "stored_late", "really_fired", "really_unknown",
    "not_listed", "not_evaluated", "in_history", "only_last_day", "started", "still_on", "peak", "whole_fleet",
)  # fmt: skip


@pages.get("/alerts")
async def alerts_page(request: Request) -> Response:
    """Show alerts, silences, rules and the history."""
    return await show_with_script(request, "alerts", TEXTS)


@api.get("/alerts")
def alerts_now(
    request: Request,
    _: Unbounded,
    ended: Annotated[bool, Query(description="also those that ended within the last hour or so")] = False,
) -> dict[str, Any]:
    """Return the alerts that fire, as the alerters' state has them; ``alerts`` is null where no alerter wrote any."""
    answer = _alerts(request).standing()
    found = given(answer, "kafka-away")
    return {
        "alerts": None if found is None else [_alert(one) for one in found if ended or not one.alert.ended],
        "as_of": iso(datetime.datetime.fromtimestamp(answer.at, datetime.UTC)),
        "trouble": None if answer.trouble is None else answer.trouble._asdict(),
    }


class AskedHistory(BaseModel):
    """The parameters of the history; a mistyped one is an error."""

    model_config = ConfigDict(extra="forbid")

    since: Since = "24h"
    rule: Annotated[str, Field(max_length=200, description="of this rule's alerts alone")] = ""
    limit: Annotated[int, Field(ge=1, le=2000, description="records at most, the latest")] = 200


@api.get("/alerts/history")
def alert_history(request: Request, _: Unbounded, asked: Annotated[AskedHistory, Query()]) -> dict[str, Any]:
    """Return what the alerters decided and what became of it, the latest first."""
    config: ConsoleConfig = request.app.state.config
    _begin(config, asked.since)  # refuses what cannot be read
    answer = _alerts(request).history(asked.since, lambda: _begin(config, asked.since), asked.rule, asked.limit)
    found = given(answer, "kafka-away")
    return {
        "records": [row(record) for record in reversed(found.records)],
        "earlier": found.earlier,
        "unreadable": found.unreadable,
        "whole": found.whole,
        "trouble": None if answer.trouble is None else answer.trouble._asdict(),
    }


@api.get("/alerts/{incident}")
def alert_story(request: Request, _: Unbounded, incident: str) -> dict[str, Any]:
    """Return everything about an alert: why it was or was not sent, its messages, what happens next."""
    answer = _alerts(request).story(incident[:200])
    found = given(answer, "kafka-away")
    if found.story is None:
        read = "30 days" if found.whole else "day (older entries could not be read in time)"
        raise ProblemError(404, "not-found", f"the history of the last {read} has no such incident or thread")
    return {**found.story, "whole": found.whole}


@api.get("/silences")
def silences(
    request: Request,
    _: Unbounded,
    ended: Annotated[bool, Query(description="also those that have ended, which are kept for 30 days")] = False,
) -> list[dict[str, Any]]:
    """Return the silences that are active or start later, ordered by their end."""
    now = time.time()
    states = list(SilenceState) if ended else [SilenceState.ACTIVE, SilenceState.PENDING]
    found = given(_alerts(request).silences(), "kafka-away")
    return [silence_topic.as_data(one, now) for one in listed(found, now, states)]


class Silenced(BaseModel):
    """Which alerts are silenced, for how long and why."""

    model_config = ConfigDict(extra="forbid")

    filter: Annotated[str, Field(min_length=1, max_length=8192, description="on rule, kind, severity, labels")]
    span: Annotated[str, Field(max_length=10, description="how long from now: 90m, 2h, 7d")] = "2h"
    reason: Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT, description="others see it")]
    dry_run: Annotated[bool, Field(description="only show which alerts it would suppress")] = False


@api.post("/silences")
def silence(request: Request, person: Operator, _: Unbounded, wanted: Silenced) -> dict[str, Any]:
    """Suppress messages about alerts until the silence ends; those that fire then are reported."""
    alerts = _alerts(request)
    try:
        ends = time.time() + duration(wanted.span).total_seconds()
        read = alerts.filters()
        fits = read(wanted.filter)
    except ValueError as error:
        raise ProblemError(422, "invalid-parameter", f"span: {error}", parameter="span") from None
    except QueryError as error:
        raise invalid_filter(error) from None
    except ConfigError as error:
        raise ProblemError(503, "not-configured", str(error), hint=error.hint) from None
    made = _done(
        lambda: alerts.silence(
            wanted.filter, read, ends=ends, author=person.name, reason=wanted.reason, dry_run=wanted.dry_run
        )
    )
    if not wanted.dry_run:
        detail = f"until {iso(datetime.datetime.fromtimestamp(made.ends, datetime.UTC))}: {made.reason}: {made.filter}"
        _record(request, person, "silence.add", made.id, detail)
    standing = alerts.standing().value
    return {
        "silence": silence_topic.as_data(made, time.time()),
        "dry_run": wanted.dry_run,
        "would_hold_back": None
        if standing is None
        else [_alert(one) for one in standing if not one.alert.ended and fits(one.alert)],
    }


@api.delete("/silences/{silence_id}")
def end_silence(request: Request, person: Operator, _: Unbounded, silence_id: str) -> dict[str, Any]:
    """End a silence now; what it suppressed and still fires is reported."""
    alerts = _alerts(request)
    ended = _done(lambda: alerts.end_silence(silence_id, person.name))
    _record(request, person, "silence.end", ended.id, ended.filter)
    return silence_topic.as_data(ended, time.time())


def _alerts(request: Request) -> Alerts:
    """Return what reads the alerters' topics.

    Raises:
        ProblemError: console.yml names no brokers.
    """
    alerts: Alerts | None = request.app.state.alerts
    if alerts is None:
        raise ProblemError(503, "not-configured", "console.yml has no section kafka, from which alerts are read")
    return alerts


def _begin(config: ConsoleConfig, since: str) -> float:
    return span(config, since, "")[0].timestamp()


def _alert(one: Standing) -> dict[str, Any]:
    return as_data(one) | {"filter": silence_filter(one.alert)}


def _done(act: Callable[[], T]) -> T:
    """Change something in Kafka.

    Raises:
        ProblemError: it cannot be done, or it is not known whether it was.
    """
    try:
        return within(WAIT_S, act)
    except TimeoutError:
        detail = f"Kafka does not answer within {WAIT_S:g} s; whether it was done, the list of silences shows later"
        raise ProblemError(503, "kafka-away", detail) from None
    except UsageError as error:
        raise ProblemError(422, "invalid-parameter", str(error), hint=error.hint) from None
    except RefusedError as error:
        raise ProblemError(409, "too-many", str(error)) from None
    except (TopicMissingError, NotAnsweredError) as error:
        raise ProblemError(503, "kafka-away", str(error), hint=error.hint) from None
    except ObsctlError as error:
        raise ProblemError(503, "not-configured", str(error), hint=error.hint) from None


def _record(request: Request, person: Person, action: str, thing: str, detail: str) -> None:
    pool: Pool = request.app.state.pool
    actor = Actor(person.name, client_addr(request), person.token)
    LOG.info(action, extra={"actor": person.name, "object": thing})
    pool.run(lambda cursor: audit.write(cursor, actor, action, thing, detail))
