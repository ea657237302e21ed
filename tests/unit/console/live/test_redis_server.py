"""The URL of a Redis: what is read from it, and that a mistake in it shows nothing of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from obsctl.console.config import RedisConfig
from obsctl.console.live.redis_server import server_of
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import redact


def config(monkeypatch: pytest.MonkeyPatch, url: str, ca_file: str = "") -> RedisConfig:
    monkeypatch.setenv("REDIS_URL", url)
    return RedisConfig(url="env:REDIS_URL", ca_file=ca_file)


@pytest.mark.parametrize(
    ("url", "shown", "rest"),
    [
        ("redis://cache.example", "cache.example:6379", (0, "", None, False)),
        ("redis://:pass%2Fword@192.0.2.1:7000/3", "192.0.2.1:7000", (3, "", "pass/word", False)),
        ("rediss://ada:secret@[2001:db8::1]:6380/", "[2001:db8::1]:6380", (0, "ada", "secret", True)),
    ],
)
def test_a_url_is_read(monkeypatch: pytest.MonkeyPatch, url: str, shown: str, rest: tuple[object, ...]) -> None:
    server = server_of(config(monkeypatch, url))
    assert str(server) == shown
    password = server.password and server.password.reveal()
    assert (server.database, server.user, password, server.tls) == rest
    assert password is None or password not in repr(server)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://:hidden@cache", "does not begin with redis:// or rediss://"),
        ("cache.example:6379", "does not begin with"),
        ("redis://:hidden@", "names no host and port"),
        ("redis://:hidden@ca che", "names no host and port"),
        ("redis://:hidden@cache:0", "names no host and port"),
        ("redis://:hidden@cache:port", "is not one"),
        ("redis://:hidden@a..b", "is not one"),
        ("redis://:hidden@cache:6379/zero", "is not the number of a database"),
        ("rediss://:hidden@cache?ssl_cert_reqs=none", "has options after"),
        ("redis://:hid#den@cache", "is not one"),
    ],
)
def test_a_mistake_is_named_and_the_url_is_not_shown(monkeypatch: pytest.MonkeyPatch, url: str, says: str) -> None:
    with pytest.raises(ConfigError, match=f"the URL of Redis in env:REDIS_URL .*{says}") as refused:
        server_of(config(monkeypatch, url))
    assert "hid" not in str(refused.value) + refused.value.hint
    assert "redis://HOST:PORT" in refused.value.hint


def test_a_password_is_hidden_without_its_url_too(monkeypatch: pytest.MonkeyPatch) -> None:
    server_of(config(monkeypatch, "redis://:between%2Fus@cache"))
    assert redact("refused: between/us, between%2Fus") == "refused: ***, ***"


def test_a_file_of_authorities_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    for text in (None, "no certificate"):
        if text:
            path.write_text(text)
        with pytest.raises(ConfigError, match=f"redis.ca_file {path} cannot be used"):
            server_of(config(monkeypatch, "rediss://cache", str(path)))
