"""Conservation of lines: whatever is killed and whenever, each id is in one table exactly once, as it was sent.

The oracle sends lines with known ids, some of them again as a shipper does after a crash, while the consumer, the
database and the broker are killed at random moments. ``OBSCTL_CRASH_POINTS`` and ``OBSCTL_CRASH_SEED`` make more of it.
"""

from __future__ import annotations

import json
import os
import random
import time

import pytest

from tests.integration.consumer import Pipeline, assert_conserved, json_line, record

POINTS = int(os.environ.get("OBSCTL_CRASH_POINTS", "10"))
SEED = int(os.environ.get("OBSCTL_CRASH_SEED", "20260102"))
LINES_A_POINT = 400


class Oracle:
    """Knows every line it has sent, and in which table it has to be."""

    def __init__(self, pipeline: Pipeline, chance: random.Random) -> None:
        self._pipeline, self._chance = pipeline, chance
        self._sent: list[bytes] = []
        self.rows: dict[str, str] = {}
        self.broken: set[bytes] = set()
        self.passed = 0

    def send(self, count: int) -> None:
        """Send new lines, one in fifty broken, and then a stretch of old ones again, in other partitions."""
        first = len(self._sent)
        for number in range(first, first + count):
            if number % 50 == 49:
                value = record(f"broken line {number}", number * 500)
                self.broken.add(value)
            else:
                line = json_line(number, user_agent="".join(self._chance.choices("aü'\\😀", k=6)))
                value = record(line, number * 500)
                fields = json.loads(line)
                self.rows[fields["client_request_id"]] = fields["uri"] + fields["user_agent"]
            self._sent.append(value)
        start = self._chance.randrange(len(self._sent))
        again = self._sent[start : start + self._chance.randrange(count)]
        self._pipeline.send(self._sent[first:])
        self._pipeline.send(again, partition=self._chance.randrange(3))
        self.passed += count + len(again)

    def check(self) -> None:
        """Assert that all of it, and nothing else, is stored."""
        self._pipeline.wait_positions(self.passed, timeout=120)
        stored = self._pipeline.query("SELECT client_request_id,CONCAT(uri,user_agent) FROM access_log")
        assert len(stored) == len(self.rows)
        assert dict(stored) == self.rows
        quarantined = self._pipeline.query("SELECT value FROM quarantine")
        assert len(quarantined) == len(self.broken)
        assert {value for (value,) in quarantined} == self.broken
        assert_conserved(self._pipeline.query)


@pytest.mark.timeout(300 + POINTS * 30)
def test_killed_at_random_moments(pipeline: Pipeline) -> None:
    chance = random.Random(SEED)  # noqa: S311  repeatable, not secret
    oracle = Oracle(pipeline, chance)
    consumer = pipeline.start()
    oracle.send(LINES_A_POINT)
    oracle.check()
    for point in range(POINTS):
        victim = chance.choices(("consumer", "database", "broker"), weights=(7, 2, 1))[0]
        oracle.send(LINES_A_POINT)
        time.sleep(chance.uniform(0, 0.6))
        if victim == "consumer":
            consumer.kill()
            consumer = pipeline.start()
            time.sleep(chance.uniform(0, 3))  # the next blow may fall into its start
        elif victim == "database":
            pipeline.mariadb.kill()
            time.sleep(chance.uniform(0, 1))
            pipeline.mariadb.start()
        else:
            pipeline.kafka.kill()
            pipeline.kafka.start()
        if point % 5 == 4:
            oracle.check()
    assert consumer.process.poll() is None
    oracle.send(1)  # a fresh line passes
    oracle.check()
