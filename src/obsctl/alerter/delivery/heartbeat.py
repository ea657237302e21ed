"""The heartbeat for an external dead man's switch, sent only while this alerter works.

When it stops, the switch raises an alarm. So it reports what no alert of ours can: the host is down, no lines are
read, or no channel delivers.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from obsctl.alerter.channels.channel import Resolve
from obsctl.alerter.channels.http import Answer, Endpoint, out_of_order, redirected
from obsctl.alerter.channels.outcome import Delivery, Verdict, attempted
from obsctl.alerter.config import HeartbeatConfig

LOG = logging.getLogger(__name__)

#: Named in errors.
WHAT = "heartbeat"


@dataclass(frozen=True)
class Pulse:
    """State of the heartbeat.

    Attributes:
        accepted_at: when the switch last accepted a request, seconds since the epoch; 0 for never.
        accepted: how many it accepted since the start.
        failed: how many it did not accept since the start.
        withheld: how many were not sent since the start, because this alerter did not work.
        failures: failed ones in a row.
        verdict: of the last request; empty before the first.
        summary: of the last request.
        why_withheld: why the last one was not sent; empty when it was.
    """

    accepted_at: float = 0.0
    accepted: int = 0
    failed: int = 0
    withheld: int = 0
    failures: int = 0
    verdict: str = ""
    summary: str = ""
    why_withheld: str = ""


class Heartbeat(threading.Thread):
    """Sends a request every few seconds, unless there is a reason not to.

    Args:
        config: where to, and how often.
        resolve: reads the URL, again for each request.
        why_not: returns why this alerter does not work; empty while it does. Called on this thread.
        on_failure: called with the reason when the thread cannot go on.
    """

    def __init__(
        self,
        config: HeartbeatConfig,
        resolve: Resolve,
        why_not: Callable[[], str],
        on_failure: Callable[[Exception], None],
    ) -> None:
        super().__init__(name=WHAT, daemon=True)
        self.pulse = Pulse()
        self._config = config
        self._resolve = resolve
        self._why_not = why_not
        self._on_failure = on_failure
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End after the request that is under way."""
        self._stopping.set()

    def run(self) -> None:
        """Send until stopped; the first request after one interval, when this alerter has had time to read."""
        try:
            while not self._stopping.wait(self._config.every_s):
                self.beat(time.time())
        except Exception as error:
            LOG.exception("the heartbeat thread failed")
            self._on_failure(error)

    def beat(self, now: float) -> None:
        """Send one request, or record why it was not sent.

        Args:
            now: wall-clock time, seconds since the epoch.
        """
        before, why_not = self.pulse, self._reason()
        if why_not:
            self.pulse = replace(before, withheld=before.withheld + 1, why_withheld=why_not)
            if not before.why_withheld:
                LOG.error("the heartbeat is withheld because this alerter is not working", extra={"reason": why_not})
            return
        outcome = attempted(self._send)
        sent = replace(before, verdict=outcome.verdict.value, summary=outcome.summary, why_withheld="")
        if outcome.delivered:
            self.pulse = replace(sent, accepted_at=now, accepted=before.accepted + 1, failures=0)
            if before.failures or before.why_withheld:
                LOG.info("the heartbeat is accepted again")
            return
        self.pulse = replace(sent, failed=before.failed + 1, failures=before.failures + 1)
        LOG.warning(
            "the heartbeat was not accepted",
            extra={"verdict": outcome.verdict.value, "result": outcome.summary, "hint": outcome.hint},
        )

    def _reason(self) -> str:
        try:
            return self._why_not()
        except Exception as error:
            LOG.exception("it is unknown whether this alerter works")
            return f"internal error ({type(error).__name__})"

    def _send(self) -> Delivery:
        endpoint = self._endpoint()
        answer = endpoint.get() if self._config.method == "GET" else endpoint.post(b"{}")
        return answer if isinstance(answer, Delivery) else _judged(answer, endpoint.where)

    def _endpoint(self) -> Endpoint:
        """Read the URL.

        Raises:
            ConfigError: the URL, the proxy or the CA file cannot be used.
        """
        url = self._resolve(self._config.url).reveal()
        return Endpoint(url, what=WHAT, proxy=self._config.proxy, ca_file=self._config.ca_file)


def _judged(answer: Answer, where: str) -> Delivery:
    code = str(answer.status)
    if 200 <= answer.status < 300 and not answer.html:
        return Delivery(Verdict.DELIVERED, code, f"{where}: HTTP {code}")
    other = redirected(answer, where) or out_of_order(answer, where)
    if other is not None:
        return other
    page = " with an HTML page" if answer.html else ""
    return Delivery(
        Verdict.REFUSED,
        code,
        f"{where} answered HTTP {code}{page}",
        "check the heartbeat's url: the dead man's switch does not know it, or a login portal answered instead",
    )
