"""What the parts of a test of an alert rule on the wire agree on: its requests, their mark, and what the alerter says.

``obsctl alert test --rule NAME`` sends requests that nginx answers by itself and marks in their lines. The alerter
evaluates them apart from people's and says on its page how far each test came. The command and the alerter may be of
different releases, so every field of the page has a default, which means "unknown".
"""

from __future__ import annotations

import re

import msgspec

#: The answers that nginx gives (``__nginx_test_statuses`` of the role), the usual ones first.
STATUSES = (
    *(200, 404, 503, 500, 502, 504, 403, 401, 400, 429),
    *(201, 202, 204, 206, 301, 302, 303, 304, 307, 308),
    *(402, 405, 406, 408, 409, 410, 411, 412, 413, 414, 415, 416, 418, 422, 423, 425, 426, 428, 431, 451, 499),
    *(501, 505, 507, 508, 511, 520, 521, 522, 523, 524),
)
#: Bytes of an answer's body, but for redirections and the statuses that have none.
BODY_BYTES = 2880
#: A slow answer comes in pieces, with a second between two; the most pieces of an answer.
LONGEST_DELAY_S = 20
#: The answer comes within this time after its delay, seconds.
DELAY_SPREAD_S = 1.5
#: A mark: the run's id, and the digest of the rule with its options, so that an alerter with other options says so.
RUN_LENGTH = 12
DIGEST_LENGTH = 16
is_mark = re.compile(rf"[a-z0-9]{{{RUN_LENGTH + DIGEST_LENGTH}}}").fullmatch


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request through the virtual address, and the answer that it asks for.

    Attributes:
        uri: path and arguments.
        headers: beside those that each request has; ``Host`` only where the rule wants a certain one.
        status: of the answer.
        delay_s: how long the answer takes at least, whole seconds; a second and a half more at the most.
    """

    method: str = "GET"
    uri: str = "/obscraft-test"
    headers: dict[str, str] = {}
    status: int = 200
    delay_s: int = 0


class Burst(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that are sent one after the other.

    Attributes:
        at_s: seconds after the test's begin.
        requests: in their order.
        times: how often each of them is sent.
    """

    at_s: float = 0.0
    requests: tuple[Request, ...]
    times: int = 1

    @property
    def count(self) -> int:
        """How many requests these are."""
        return len(self.requests) * self.times


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The requests that make a rule's condition happen.

    Attributes:
        rule: its name.
        digest: of the rule with all its options.
        bursts: in the order of time.
        takes_s: how long it takes at least until the alerter may speak, seconds.
    """

    rule: str
    digest: str
    bursts: tuple[Burst, ...]
    takes_s: float

    @property
    def count(self) -> int:
        """How many requests these are."""
        return sum(burst.count for burst in self.bursts)


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a test's message in one channel.

    Attributes:
        state: ``pending``, ``sending``, ``delivered``, ``abandoned`` or ``dead``.
        at: when the channel accepted it, seconds since the epoch by the alerter's clock; 0 for not yet.
        attempts: so far.
        verdict: of the channel's last attempt, empty before the first.
        summary: of the same.
    """

    channel: str = ""
    state: str = ""
    at: float = 0.0
    attempts: int = 0
    verdict: str = ""
    summary: str = ""


class RunOnPage(msgspec.Struct, frozen=True, kw_only=True):
    """How far a test of one rule came; times are seconds since the epoch by the alerter's clock, 0 for not yet.

    Attributes:
        mark: in the lines.
        rule: its name; empty where this alerter has no such rule with these options.
        lines: that were evaluated.
        left_out: lines that were not, because there were too many of them, or they came behind the message.
        seen_at: when the first line was read.
        true_at: when the condition began to hold.
        decided_at: when the message was decided.
        held: why it is not decided although the condition holds, such as ``for``.
        channels: that the message goes to.
    """

    mark: str = ""
    rule: str = ""
    lines: int = 0
    left_out: int = 0
    seen_at: float = 0.0
    true_at: float = 0.0
    decided_at: float = 0.0
    held: str = ""
    channels: tuple[Arrival, ...] = ()


class TestsOnPage(msgspec.Struct, frozen=True, kw_only=True):
    """The tests that an alerter has evaluated.

    Attributes:
        now: its clock, seconds since the epoch.
        runs: the latest ones, the oldest first.
    """

    __test__ = False  # pytest: no test of its own

    now: float = 0.0
    runs: tuple[RunOnPage, ...] = ()
