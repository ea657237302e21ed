"""alerter.yml: what is accepted, and how mistakes are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from obsctl.alerter.config import load_config
from obsctl.alerter.rules import RequestsPerClient, Status4xx, Status5xxShare
from obsctl.core.errors import ConfigError
from obsctl.core.report import Severity

GOOD: dict[str, Any] = {
    "kafka": {"bootstrap": ["198.18.0.11:9092"], "group": "obsctl-alerter", "topics": {"access": "nginxlog"}},
    "state": "/var/lib/obsctl-alerter/state.db",
    "health": {"address": "127.0.0.1", "port": 9601},
    "rules": [
        {"name": "client-request-rate", "kind": "requests_per_client", "threshold": 100, "window_s": 60},
        {"name": "client-errors", "kind": "status_4xx", "threshold": 50, "severity": "critical"},
        {"name": "server-error-share", "kind": "status_5xx_share", "share": 0.05, "min_requests": 100},
    ],
    "channels": [
        {"name": "ops", "type": "dingtalk", "url": "https://robot.example.com/robot/send", "token": "env:TOKEN"},
        {"name": "hook", "type": "webhook", "url": "http://192.0.2.1/hook"},
        {"name": "mail", "type": "smtp", "host": "mail.example.com", "sender": "a@b.io", "recipients": ["c@d.io"]},
    ],
}  # fmt: skip


def write(tmp_path: Path, **changes: Any) -> Path:
    path = tmp_path / "alerter.yml"
    path.write_text(yaml.safe_dump(GOOD | changes))
    return path


def test_the_documented_file_is_read(tmp_path: Path) -> None:
    config = load_config(write(tmp_path))
    assert [type(rule) for rule in config.rules] == [RequestsPerClient, Status4xx, Status5xxShare]
    assert config.rules[1].severity is Severity.CRITICAL
    assert [channel.per_minute for channel in config.channels] == [18, 18, 18]
    assert config.lateness_s == 300


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kafka": {"bootstrap": []}}, "bootstrap is empty"),
        ({"rule": []}, "unknown field `rule`"),
        ({"rules": [{"name": "x", "kind": "status_3xx"}]}, "status_3xx"),
        ({"rules": [{"name": "x", "kind": "status_4xx"}]}, "threshold"),
        ({"rules": [{"name": "x", "kind": "status_4xx", "threshold": 0}]}, "at least 1"),
        ({"rules": [{"name": "x", "kind": "status_4xx", "threshold": 5, "window_s": 7200}]}, "window_s"),
        ({"rules": [{"name": "x", "kind": "status_5xx_share", "share": 5, "min_requests": 1}]}, "0.05 is 5 %"),
        ({"rules": [GOOD["rules"][0], GOOD["rules"][0]]}, "used twice"),
        ({"rules": [GOOD["rules"][0] | {"ignore_clients": ["10.0.0.1/24"]}]}, r"ignore_clients\[0\].*host bits"),
        ({"trusted_proxies": ["proxy1"]}, r"trusted_proxies\[0\]"),
        ({"channels": [{"name": "x", "type": "pager"}]}, "type must be one of dingtalk, webhook, smtp"),
        ({"channels": [{"name": "x", "type": "dingtalk", "url": "http://a/"}]}, "token"),
        ({"channels": [GOOD["channels"][1] | {"tokn": "env:X"}]}, "tokn"),
        ({"channels": [GOOD["channels"][1] | {"per_minute": 1}]}, "at least 2"),
        ({"lateness_s": -1}, "negative"),
    ],
)
def test_each_mistake_is_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_config(write(tmp_path, **changes))


def test_broken_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "alerter.yml"
    path.write_text("kafka:\n  bootstrap: [a\nstate: x\n")
    with pytest.raises(ConfigError, match=r"alerter\.yml:3: "):
        load_config(path)


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "absent.yml")


def test_the_reference_names_every_key(project: Path) -> None:
    from obsctl.alerter import channels, config

    text = (project / "docs" / "reference" / "alerting.md").read_text()
    structs = [config._File, config._RequestsPerClientOptions, config._Status5xxShareOptions, *channels._KINDS.values()]
    for struct in structs:
        for key in struct.__struct_fields__:
            assert f"`{key}" in text, f"{key} of {struct.__name__} is not documented"
