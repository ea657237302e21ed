"""How late or early a line may be, in seconds, unless alerter.yml says otherwise; a replay always takes these."""

from __future__ import annotations

#: Lines older than this do not count.
LATENESS_S = 300
#: Lines further in the future than this do not count.
AHEAD_S = 60
#: How long a line may take from the log file to Kafka.
SHIPPING_S = 5
