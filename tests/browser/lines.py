"""The lines that the console of these tests shows: an hour and a half of three balancers, an attacker's among them."""

from __future__ import annotations

import datetime

from obsctl.lines.formats.line import AccessLine, ErrorLine, widths
from obsctl.query import values

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
#: Markup, an escape sequence of terminals, a mark that turns the direction of writing, a formula of a spreadsheet.
HOSTILE = "=cmd<script>document.title='run'</script><img src=x onerror=\"document.title='run'\">\x1b[31m\u202e\"'&lt;"
#: What is stored of a URI of 100 kB.
LONG = widths(AccessLine)["uri"].cut("/long?" + "a" * 100_000)
#: Of an error line, whose column takes more.
LONG_MESSAGE = "upstream sent too big header " + "b" * 100_000
#: The statuses that the lines of an attacker alone have.
HOSTILE_STATUS, LONG_STATUS = 418, 414
#: The number of the request that a second back end answered.
RETRIED = 20
#: Seconds between two lines.
_EVERY_S = 2


def _access(number: int) -> AccessLine:
    special = {7: (HOSTILE, HOSTILE_STATUS), 9: (LONG, LONG_STATUS)}
    uri, status = special.get(number, (f"/item/{number}", 502 if number % 10 == 0 else 200))
    return AccessLine(
        values.stored(NOW - datetime.timedelta(seconds=_EVERY_S * number)),
        f"192.0.2.{number % 50}", status, 500 + number,
        method="GET", uri=uri, protocol="HTTP/1.1", user_agent=uri[:200], vhost="shop.example", scheme="https",
        request_id=f"{number:032x}", request_time=(number % 40) / 100,
        upstream_addr="198.18.0.11:8080" + (", 198.18.0.12:8080" if number == RETRIED else ""),
        upstream_status="502, 200" if number == RETRIED else "",
        upstream_connect_time="-, -" if number == RETRIED else "",
        log_format="json", host=f"node{number % 3 + 1}", line_id=number.to_bytes(8, "big") * 2,
    )  # fmt: skip


def _error(number: int) -> ErrorLine:
    message = {3: HOSTILE, 4: LONG_MESSAGE}.get(number, "connect() failed (111: Connection refused)")
    return ErrorLine(
        values.stored(NOW - datetime.timedelta(seconds=20 * number)), "warn" if number % 3 else "error", 700, 700,
        message, client_addr=f"192.0.2.{number % 50}", server_name="shop.example", host=f"node{number % 3 + 1}",
        log_format="nginx_error", line_id=number.to_bytes(8, "big") * 2,
    )  # fmt: skip


#: The newest first.
ACCESS = [_access(number) for number in range(3000)]
ERROR = [_error(number) for number in range(200)]
#: The alert rules of the fleet: three answers a minute have the status of the first, and no line is about the second.
RULES = (
    {"name": "bad-gateway", "kind": "frequency", "filter": "status:502", "threshold": 100, "window_s": 300},
    {"name": "lag", "kind": "metric", "metric": "obsctl_alerter_lag_records", "above": 1000},
)
