"""Passwords of an inventory: read once, however many hosts are asked, and never part of a message."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from obsctl.core.errors import ConfigError
from obsctl.core.secrets import redact
from obsctl.fleet import passwords
from obsctl.fleet.model import Host, Ssh

WORD = "geheimes Wort"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch):
    """What Ansible was asked for; it answers when all that ask at once have had the time to do so."""
    templates: list[str] = []
    waiting = threading.Event()

    def value_of(template: str, _inventory: Path, **_options: object) -> tuple[str | None, str]:
        templates.append(template)
        waiting.wait(0.2)
        return json.dumps({"node1": WORD, "node2": "{{ nowhere }}"}), ""

    monkeypatch.setattr(passwords.ansible, "value_of", value_of)
    passwords._all.cache_clear()
    yield templates
    passwords._all.cache_clear()


def host(name: str, inventory: str = "inv") -> Host:
    return Host(name=name, address="192.0.2.1", ssh=Ssh(password=True, become_password=True, inventory=inventory))


def test_ansible_is_asked_once_for_all_hosts(asked: list[str]) -> None:
    with ThreadPoolExecutor(5) as pool:
        found = list(pool.map(lambda _n: passwords.login_password(host("node1")).reveal(), range(5)))
    assert found == [WORD] * 5
    assert len(asked) == 1
    assert passwords.become_password(host("node1")).reveal() == WORD
    assert len(asked) == 2


def test_a_password_that_was_read_is_masked_everywhere(asked: list[str]) -> None:
    secret = passwords.login_password(host("node1"))
    assert WORD not in f"{secret!r}{secret}{redact(f'x {WORD} y')}"


@pytest.mark.parametrize(("name", "inventory"), [("node2", "inv"), ("node3", "inv"), ("node1", "")])
def test_what_cannot_be_read_is_said_where_it_is_used(asked: list[str], name: str, inventory: str) -> None:
    passwords.prepare([host(name, inventory)])
    with pytest.raises(ConfigError, match=name) as caught:
        passwords.login_password(host(name, inventory))
    assert caught.value.hint
