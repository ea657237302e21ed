"""console.yml: what it says, and what is refused with its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from obsctl.console.config import load
from obsctl.core.errors import ConfigError

WHOLE = """\
listen: {address: 127.0.0.1, port: 8443}
database: {host: 198.18.0.21, port: 3306, name: obs, user: obs_console, password: file:/etc/secret}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "console.yml"
    path.write_text(text)
    return path


def test_what_is_not_given_has_a_default(tmp_path: Path) -> None:
    config = load(written(tmp_path, WHOLE))
    assert (config.session.idle_s, config.search.at_once, config.zone.key, config.language) == (43_200, 10, "UTC", "en")


TOPICS = "{access: a, error: e, state: s, silences: q, history: h}"


def test_kafka_is_an_option_and_is_said_as_the_alerter_says_it(tmp_path: Path) -> None:
    assert load(written(tmp_path, WHOLE)).kafka is None
    security = "{protocol: SASL_SSL, user: console, password: file:/etc/secret}"
    text = f"kafka: {{bootstrap: ['198.18.0.11:9092'], security: {security}, topics: {TOPICS}}}\nlive: {{at_once: 7}}\n"
    config = load(written(tmp_path, WHOLE + text))
    assert config.kafka is not None
    assert list(config.kafka.brokers) == ["198.18.0.11:9092"]
    assert (config.kafka.brokers.security.user, config.kafka.topics.history, config.live.at_once) == ("console", "h", 7)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("timezone: Asia/Peking\n", "console.yml:3: timezone: there is no time zone 'Asia/Peking'"),
        ("language: fr\n", "console.yml:3: language"),
        ("sesion: {}\n", "sesion"),
        ("search: {at_once: 0}\n", "search.at_once"),
        ("people: {trusted_header: X-User}\n", "people.trusted_header: there is no proxy"),
        ("people: {trusted_header: 'X-User:', trusted_proxies: [10.0.0.1]}\n", "people.trusted_header"),
        ("people: {trusted_proxies: [10.0.0.1/8]}\n", "people.trusted_proxies"),
        ("live: {at_once: 0}\n", "live.at_once"),
        ("redis: {url: 'file:/etc/secret'}\n", "console.yml:3: redis: there is nothing to write"),
        ("redis: {url: 'redis://:secret@cache'}\n", "redis.url"),
        ("redis: {url: 'env:X', prefix: 'a b'}\n", "redis.prefix"),
        ("redis: {url: 'env:X', keep_s: 60}\n", "redis.keep_s"),
        ("kafka: {bootstrap: ['a:1']}\n", "topics"),
        (f"kafka: {{bootstrap: ['a:1'], group: g, topics: {TOPICS}}}\n", "group"),
        ("trusted_proxies: [10.0.0.0/33]\n", "console.yml:3: trusted_proxies[0]"),
        ("error_log_timezone: Asia/Peking\n", "console.yml:3: error_log_timezone"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, more: str, says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        load(written(tmp_path, WHOLE + more))


@pytest.mark.parametrize(
    ("listen", "says"),
    [
        ("{address: 198.18.0.31, port: 8443}", "passwords would cross the network readable"),
        ("{address: 198.18.0.31, port: 8443, certificate: /a.pem}", r"listen\.key: certificate and key"),
    ],
)
def test_a_console_in_clear_listens_on_loopback_alone(tmp_path: Path, listen: str, says: str) -> None:
    text = WHOLE.replace("{address: 127.0.0.1, port: 8443}", listen)
    with pytest.raises(ConfigError, match=says):
        load(written(tmp_path, text))


def test_brokers_fleet_and_the_account_of_replays_are_optional(tmp_path: Path) -> None:
    config = load(written(tmp_path, WHOLE))
    assert (config.kafka, config.replay) == (None, None)
    assert (config.fleet.document, config.fleet.host) == ("/etc/obsctl/fleet.json", "")
    more = (
        "kafka:\n  bootstrap: [b1:9092]\n"
        "  topics: {access: a, error: e, state: s, silences: q, history: h}\n"
        "  security: {protocol: SSL, ca_file: /ca.pem}\n"
        "replay: {user: obs_console_replay, password: file:/etc/secret}\n"
    )
    config = load(written(tmp_path, WHOLE + more))
    assert config.kafka is not None
    assert [*config.kafka.brokers] == ["b1:9092"]
    assert config.kafka.brokers.security.ca_file == "/ca.pem"
    with pytest.raises(ConfigError, match=r"replay\.password"):
        load(written(tmp_path, WHOLE + "replay: {user: x, password: secret}\n"))
