"""Reads one metrics page: Prometheus' text format over HTTP, limited in time, bytes and numbers.

Only the lines of metrics that a rule asks for are parsed; a page may have thousands.
"""

from __future__ import annotations

import http.client
import math
import re
from collections.abc import Collection

from prometheus_client.parser import text_string_to_metric_families

from obsctl.alerter.windows.observation import SOURCE, Number
from obsctl.core.deadline import Deadline
from obsctl.core.http_exchange import exchange

#: Time limit for reading a page, seconds.
TOTAL_S = 3.0
LONGEST_BYTES = 2 * 1024 * 1024
#: The most numbers taken from one page; each may be a key of a rule.
MOST_NUMBERS = 5000
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


class UnreadableError(Exception):
    """A page could not be read; the text says why."""


def fetch(source: str, url: str, wanted: Collection[str]) -> tuple[Number, ...]:
    """Return the numbers of a page.

    Args:
        source: its name.
        url: ``http://HOST[:PORT]/PATH``.
        wanted: names of the metrics.

    Raises:
        UnreadableError: nothing answers in time, or the answer is not a metrics page.
    """
    return numbers(source, _get(url), wanted)


def numbers(source: str, text: str, wanted: Collection[str]) -> tuple[Number, ...]:
    """Return the numbers in a page's text, without those that are not finite.

    Raises:
        UnreadableError: it is not in Prometheus' format, or has too many.
    """
    lines = [line for line in text.splitlines() if (name := _NAME.match(line)) and name[0] in wanted]
    if len(lines) > MOST_NUMBERS:
        raise UnreadableError(f"it has more than {MOST_NUMBERS:,} numbers that rules ask for")
    try:
        families = list(text_string_to_metric_families("\n".join([*lines, ""])))
    except Exception:  # the library does not say which errors it raises
        raise UnreadableError("it is not in Prometheus' text format") from None
    return tuple(
        Number(sample.name, {**sample.labels, SOURCE: source}, float(sample.value))
        for family in families
        for sample in family.samples
        if math.isfinite(sample.value)
    )


def _get(url: str) -> str:
    # Directly: the pipeline's pages are not behind the proxy for outgoing requests.
    try:
        with Deadline(TOTAL_S) as deadline:
            reply = exchange(deadline, url, most_bytes=LONGEST_BYTES + 1)
    except TimeoutError:
        raise UnreadableError(f"no complete answer within {TOTAL_S:g} s") from None
    except ConnectionRefusedError:
        raise UnreadableError("nothing listens there") from None
    except OSError as error:
        raise UnreadableError(f"it does not answer: {error.strerror or type(error).__name__}") from None
    except http.client.HTTPException:
        raise UnreadableError("what answers is not an HTTP server") from None
    if reply.status != 200:
        raise UnreadableError(f"it answers HTTP {reply.status}")
    if len(reply.body) > LONGEST_BYTES:
        raise UnreadableError(f"it is longer than {LONGEST_BYTES:,} bytes")
    return reply.body.decode("utf-8", "replace")
