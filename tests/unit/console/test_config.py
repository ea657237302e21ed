"""console.yml: what it says, and what is refused with its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from obsctl.console.config import SearchConfig, is_safe_url, load
from obsctl.console.people.roles import Role
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
    text = f"kafka: {{bootstrap: ['198.18.0.11:9092'], security: {security}, topics: {TOPICS}}}\n"
    config = load(written(tmp_path, WHOLE + text + "live: {at_once: 7, each: 3}\n"))
    assert config.kafka is not None
    assert list(config.kafka.brokers) == ["198.18.0.11:9092"]
    assert (config.kafka.brokers.security.user, config.kafka.topics.history) == ("console", "h")
    assert (config.live.at_once, config.live.each) == (7, 3)


@pytest.mark.parametrize(("at_once", "each"), [(1, 2), (6, 2), (10, 3), (200, 66)])
def test_one_person_has_a_third_of_the_searches(at_once: int, each: int) -> None:
    assert SearchConfig(at_once=at_once).each == each


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("timezone: Asia/Peking\n", "console.yml:3: timezone: there is no time zone 'Asia/Peking'"),
        ("language: fr\n", "console.yml:3: language"),
        ("sesion: {}\n", "sesion"),
        ("search: {at_once: 0}\n", "search.at_once"),
        ("people: {trusted_header: X-User}\n", "people.trusted_header: no trusted proxy"),
        ("people: {trusted_header: 'X-User:', trusted_proxies: [10.0.0.1]}\n", "people.trusted_header"),
        ("people: {trusted_proxies: [10.0.0.1/8]}\n", "people.trusted_proxies"),
        ("live: {at_once: 0}\n", "live.at_once"),
        ("live: {each: 0}\n", "live.each"),
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
        ("{address: 198.18.0.31, port: 8443}", "passwords would cross the network unencrypted"),
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


OIDC = "people: {oidc: {issuer: https://id.example.com, client_id: c, client_secret: file:/s, url: https://c:8443%s}}\n"


def test_a_provider_is_an_option(tmp_path: Path) -> None:
    assert load(written(tmp_path, WHOLE)).people.oidc is None
    oidc = load(written(tmp_path, WHOLE + OIDC % ", roles: {ops: operator}")).people.oidc
    assert oidc is not None
    assert (oidc.redirect_uri, oidc.scopes) == (
        "https://c:8443/login/oidc/callback",
        ("openid", "profile", "email"),
    )
    assert oidc.role_of_group == {"ops": Role.OPERATOR}
    assert (oidc.name_claim, oidc.create_users, oidc.ca_file) == ("preferred_username", False, "")


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("https://id", "http://id", "people.oidc.issuer: 'http://id.example.com' is not an address of https"),
        ("https://id", "https://user@id", "people.oidc.issuer"),
        ("https://id.example.com", "'https://id.example.com:x'", "people.oidc.issuer"),
        ("https://id.example.com", "'https://id.example.com/?a=b'", "people.oidc.issuer"),
        ("https://c:8443", "https://c:8443/console", "people.oidc.url: 'https://c:8443/console' has a path"),
        ("https://c:8443", "http://c:8080", "people.oidc.url"),
        ("file:/s", "secret", "people.oidc.client_secret"),
        ("client_id: c", "client_id: ''", "people.oidc.client_id"),
        ("8443", "8443, roles: {ops: root}", "people.oidc.roles.ops: 'root' is no role"),
        ("8443", "8443, scopes: [profile]", "people.oidc.scopes: openid is missing"),
        ("8443", "8443, secret: x", "people.oidc"),
    ],
)
def test_a_provider_that_cannot_work_is_named_with_its_line(tmp_path: Path, before: str, after: str, says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)) as refused:
        load(written(tmp_path, WHOLE + (OIDC % "").replace(before, after)))
    assert "console.yml:3: " in str(refused.value)


@pytest.mark.parametrize("text", ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:1", "https://id/a"])
def test_an_address_in_clear_is_for_this_host_alone(text: str) -> None:
    assert is_safe_url(text)


@pytest.mark.parametrize(
    "text",
    ["", "id.example.com", "ftp://id", "http://127.0.0.2", "https://", "https://a b", "https://[", "https://a#b"],
)
def test_other_texts_are_no_safe_address(text: str) -> None:
    assert not is_safe_url(text)
