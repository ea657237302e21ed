"""The configuration file: what it needs, and how its faults are named."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path

import pytest

from obsctl.consumer import config
from obsctl.core.errors import ConfigError

GOOD = """
kafka:
  bootstrap: ["198.18.0.11:9092"]
  group: obsctl-consumer
  topics: {access: nginxlog, error: nginxlog-error, dlq: nginxlog-dlq}
database: {host: 198.18.0.21, port: 3306, name: obs, user: u, password: "file:/etc/obsctl/secrets/mysql_consumer"}
batch: {lines: 10000, interval_ms: 200}
retention_days: 30
trusted_proxies: []
error_log_timezone: UTC
processes: 0
native: true
health: {address: 127.0.0.1, port: 9600}
"""


def given(key: str, value: str) -> str:
    """Return the file with another value for a key."""
    return re.sub(rf"(?m)^{key}: .*", f"{key}: {value}", GOOD)


def load(tmp_path: Path, text: str) -> config.Config:
    path = tmp_path / "consumer.yml"
    path.write_text(text)
    return config.load(path)


@pytest.mark.parametrize(
    "key", ["group", "topics", "batch", "retention_days", "processes", "native", "health", "port", "user"]
)
def test_what_the_role_writes_has_no_default_here(tmp_path: Path, key: str) -> None:
    without = re.sub(rf"(?m)^ *{key}:.*\n|(?<=[{{ ]){key}: [^,}}]*, ", "", GOOD, count=1)
    assert without != GOOD
    with pytest.raises(ConfigError, match=f"missing required field `{key}`"):
        load(tmp_path, without)


def test_workers_are_as_many_as_asked_or_as_there_are_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(tmp_path, given("processes", "3")).workers() == 3
    for cores, workers in ((1, 1), (2, 2), (64, 8)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)))
        assert load(tmp_path, GOOD).workers() == workers


def test_each_worker_is_a_member_of_its_own(tmp_path: Path) -> None:
    named = load(tmp_path, GOOD.replace("kafka:\n", "kafka:\n  instance: app1\n"))
    assert [named.of_worker(number).kafka.instance for number in (0, 1)] == ["app1.0", "app1.1"]
    assert load(tmp_path, GOOD).of_worker(1).kafka.instance == "", "without a name each is a member without one"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (given("batch", "{lines: many}"), "batch.lines: Expected `int`"),
        (given("batch", "{line: 5}"), "batch: Object contains unknown field `line`"),
        (GOOD + "retention: 5", "top level: Object contains unknown field `retention`"),
        (given("processes", "9"), "processes: Expected `int` <= 8"),
        (GOOD + "stuck_seconds: 1", "stuck_seconds: Expected `float` >= 5"),
        (given("retention_days", "0"), "retention_days: Expected `int` >= 1"),
        (given("trusted_proxies", "[10.0.0.1/8]"), "trusted_proxies[0]: 10.0.0.1/8 has host bits set"),
        (given("error_log_timezone", "Mars/Base"), "error_log_timezone: there is no time zone"),
        (GOOD.replace("file:/etc/obsctl/secrets/mysql_consumer", "hunter2"), "database.password: "),
        (GOOD.replace('["198.18.0.11:9092"]', "[]"), "kafka.bootstrap: "),
        ("kafka: [", "is not YAML"),
        ("", "top level: Expected `object`"),
    ],
)
def test_faults_name_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as fault:
        load(tmp_path, text)
    assert words in str(fault.value)
    assert str(tmp_path / "consumer.yml") in str(fault.value)
    assert "hunter2" not in str(fault.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yml cannot be read"):
        config.load(tmp_path / "absent.yml")


def test_a_trusted_proxy_may_be_a_single_address(tmp_path: Path) -> None:
    loaded = load(tmp_path, given("trusted_proxies", "[10.0.0.1]"))
    assert loaded.proxy_networks() == (ipaddress.ip_network("10.0.0.1/32"),)
