"""The alert rules, and when one would have fired. The page of alerts shows them."""

from __future__ import annotations

import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi import Path as PathParameter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from obsctl.alerter.replay.would_fire import Question, altered, options_of, why_not
from obsctl.alerter.rules.rule import LONGEST_WINDOW_S, Rule
from obsctl.console.alerts import Alerts, document, rules_of
from obsctl.console.config import ConsoleConfig
from obsctl.console.web.found import JsonLines, stream
from obsctl.console.web.parameters import Since, Until, span
from obsctl.console.web.problems import ProblemError
from obsctl.console.web.routes.alerts import AskedHistory
from obsctl.console.web.scope import Scoped, Unbounded
from obsctl.console.web.turns import PersonalTurns
from obsctl.console.would_fire import messages
from obsctl.core.config_file import InvalidValueError
from obsctl.core.errors import ConfigError

pages = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/v1")

#: Each rule's alerts of a day are counted: the page reads this part of the history anyway.
_LAST_DAY = AskedHistory()
#: Time limit for an evaluation, seconds; and how many may run at the same time, because each takes a core.
SECONDS = 30
AT_ONCE = 2


@api.get("/rules")
def rules(request: Request, scope: Scoped) -> dict[str, Any]:
    """Return the fleet's alert rules, each with the number of alerts that started within the last day.

    ``started`` is null where the history cannot be had, and for who sees the lines of projects alone.
    """
    config: ConsoleConfig = request.app.state.config
    found = _rules(config)
    alerts: Alerts | None = request.app.state.alerts
    past = None
    if scope.projects is None and alerts is not None:

        def begin() -> float:
            return span(config, _LAST_DAY.since, "")[0].timestamp()

        past = alerts.history(_LAST_DAY.since, begin, "", _LAST_DAY.limit).value
    return {
        "rules": [
            {
                "name": rule.name,
                "kind": rule.kind,
                "severity": rule.severity.value,
                "condition": rule.condition,
                "limit": rule.limit,
                "options": options_of(rule),
                "why_not_evaluated": why_not(rule),
                "started": None if past is None else past.started[rule.name],
            }
            for rule in found
        ]
    }


class AskedEvaluation(BaseModel):
    """The parameters of an evaluation; a mistyped one is an error."""

    model_config = ConfigDict(extra="forbid")

    since: Since = "24h"
    until: Until = ""
    threshold: Annotated[
        Annotated[float, Field(allow_inf_nan=False)] | None,
        Field(description="in place of the rule's own limit, whatever its name"),
    ] = None
    window_s: Annotated[
        Annotated[int, Field(ge=1, le=LONGEST_WINDOW_S)] | None,
        Field(description="in place of the rule's own window, seconds"),
    ] = None
    seconds: Annotated[int, Field(ge=1, le=SECONDS, description="that it may take")] = SECONDS


@api.get(
    "/rules/{name:path}/would-fire",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {}}, "description": "JSON lines: progress, end or problem"}},
)
def rule_would_fire(
    request: Request,
    person: Unbounded,
    name: Annotated[str, PathParameter(min_length=1, max_length=200, description="of the rule")],
    asked: Annotated[AskedEvaluation, Query()],
) -> StreamingResponse:
    """Evaluate a rule over stored lines, as it is or with another limit or window, and say when it would have fired."""
    config: ConsoleConfig = request.app.state.config
    rule = next((one for one in _rules(config) if one.name == name), None)
    if rule is None:
        raise ProblemError(404, "not-found", "the fleet has no such rule")
    try:
        rule = altered(rule, limit=asked.threshold, window_s=asked.window_s)
    except InvalidValueError as fault:
        raise ProblemError(422, "invalid-parameter", f"{fault.key}: {fault}", parameter=fault.key) from None
    if reason := why_not(rule):
        raise ProblemError(422, "invalid-parameter", f"{name} cannot be evaluated: {reason}", parameter="name")
    begin, end = span(config, asked.since, asked.until)
    now = datetime.datetime.now(datetime.UTC)
    question = Question(rule, begin, min(end or now, now), asked.seconds)
    alerts: Alerts | None = request.app.state.alerts
    really = None if alerts is None else lambda first, last: alerts.starts(name, first, last)
    evaluations: PersonalTurns = request.app.state.evaluations
    evaluations.take(person.user_id)
    lines = stream(request.app.state.pool, question.seconds, lambda cursor: messages(cursor, question, really))
    return JsonLines(lines, question.seconds, ended=lambda: evaluations.give_back(person.user_id))


def _rules(config: ConsoleConfig) -> list[Rule]:
    """Return the fleet's rules.

    Raises:
        ProblemError: they cannot be read.
    """
    try:
        return rules_of(document(config.fleet))
    except ConfigError as error:
        raise ProblemError(503, "not-configured", str(error), hint=error.hint) from None
