"""The preflight asks of alert channels and rules what the alerter asks: both descriptions, compared by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from obsctl.alerter import config
from obsctl.alerter.alerts import Level
from obsctl.alerter.channels import registry as sender
from obsctl.alerter.messages import templates
from obsctl.alerter.rules import registry as rule_kinds
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import Secret

from rig import collection  # isort: skip  # lets Ansible find obscraft.fleet in this tree

from ansible_collections.obscraft.fleet.plugins.filter.alert_channels import SECRET_OPTIONS  # isort: skip
from ansible_collections.obscraft.fleet.plugins.filter.alert_channels import alert_channels as alert_channels_filter  # isort: skip
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight import alert_channels, alert_rules  # isort: skip
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight import alert_templates  # isort: skip
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet  # isort: skip

SPEC = yaml.safe_load((collection.ROOT / "roles/consumer/meta/argument_specs.yml").read_text(encoding="utf-8"))
OPTIONS = SPEC["argument_specs"]["main"]["options"]["consumer_alert_channels"]["options"]
MAIL = {"name": "ops", "type": "smtp", "host": "mail.example.com", "sender": "a@x.org", "recipients": ["b@x.org"]}
ROBOT = {"name": "ops", "type": "dingtalk", "url": "https://oapi.dingtalk.com/robot/send", "token": "file:/token"}
HOOK = {"name": "ops", "type": "webhook", "url": "https://hooks.example.com/a"}
FEISHU = {"name": "ops", "type": "feishu", "token": "file:/token"}
WECOM = {"name": "ops", "type": "wecom", "token": "file:/token"}
SLACK = {"name": "ops", "type": "slack", "token": "file:/token"}
TOPIC = {"name": "ops", "type": "kafka", "bootstrap": ["node1:9092"], "topic": "alerts"}
BEYOND = {"name": "ops", "type": "apprise", "token": "file:/token"}
LEAST = {channel["type"]: channel for channel in (MAIL, ROBOT, HOOK, FEISHU, WECOM, SLACK, TOPIC, BEYOND)}
POOL = [{"token": "file:/one"}, {"token": "file:/two"}]


SOUND = Fleet(
    hosts={},
    groups={"consumer": ["app1"]},
    inventory_names={},
    broken={},
    specs={},
    looks={},
    core=(2, 19),
    missing_files={},
    unusable_secrets={},
)


def of_sender(kind: str) -> dict[str, bool]:
    """Return the options that the alerter takes for a type, and whether it cannot do without them."""
    return {"type": True} | {
        field.encode_name: field.required for field in msgspec.structs.fields(sender.KINDS.by_tag[kind])
    }


def test_both_know_the_same_templates_of_messages():
    for language in alert_templates.LANGUAGES:
        folder = templates.BUILT_IN / language
        names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert {name for name in names if not name.startswith("kinds/")} == set(alert_templates.NAMES)
    assert tuple(templates.Language) == alert_templates.LANGUAGES


def test_both_know_the_same_types():
    assert set(alert_channels.KINDS) == set(sender.KINDS.by_tag) == set(OPTIONS["type"]["choices"])


@pytest.mark.parametrize("kind", sorted(alert_channels.KINDS))
def test_both_know_the_same_options_of(kind):
    ours, theirs = alert_channels.KINDS[kind], of_sender(kind)
    assert {*alert_channels.COMMON, *ours.needed, *ours.others} == set(theirs)
    assert {"name", "type", *ours.needed} == {option for option, required in theirs.items() if required}


def test_the_role_declares_each_option_of_any_type():
    assert set(OPTIONS) == {option for kind in sender.KINDS.by_tag for option in of_sender(kind)}
    assert {option for option, spec in OPTIONS.items() if spec.get("required")} == {"name", "type"}


@pytest.mark.parametrize("kind", sorted(alert_channels.KINDS))
def test_what_the_sender_resolves_is_what_the_role_keeps_in_files(kind):
    if kind == "apprise":
        pytest.importorskip("apprise")
    base = LEAST[kind]
    taken = [option for option in SECRET_OPTIONS if option in of_sender(kind)]
    entry = base | {option: f"file:/{option}" for option in taken}
    resolved: list[str] = []

    def resolve(reference: str) -> Secret:
        resolved.append(reference)
        return Secret("tgram://s3cr3t-4711", reference) if kind == "apprise" else Secret("s3cr3t-4711", reference)

    entry |= {"username": "a", "tls": "starttls"} if kind == "smtp" else {}
    entry |= {"username": "a", "protocol": "SASL_SSL"} if kind == "kafka" else {}
    sender.parse_channels([entry], "test")[0].open(resolve)
    assert sorted(resolved) == sorted(f"file:/{option}" for option in taken)


def ours(*channels: dict[str, Any]) -> list[str]:
    """Return what the preflight says about the channels of a consumer's host."""
    fleet = SOUND._replace(hosts={"app1": {"consumer_alert_channels": list(channels)}})
    return [problem.problem for problem in alert_channels.alert_channels(fleet)]


def theirs(*channels: dict[str, Any]) -> str | None:
    """Return what the alerter says about the channels at its start, None where it starts."""
    try:
        for spec in sender.parse_channels(channels, "alerter.yml"):
            spec.open(lambda reference: Secret("s3cr3t-4711", reference))
    except ConfigError as error:
        return str(error)
    return None


def test_secrets_of_a_pool_go_into_files_of_their_own():
    pool = {"name": "ops", "type": "feishu", "robots": [{"token": "env:A", "secret": "plain"}, {"token": "env:B"}]}
    found = alert_channels_filter([pool, SLACK], "/s")
    files = ["/s/alert_ops_robots_1_token", "/s/alert_ops_robots_1_secret", "/s/alert_ops_robots_2_token"]
    assert [secret["path"] for secret in found["secrets"]] == [*files, "/s/alert_ops_token"]
    assert [secret["source"] for secret in found["secrets"]] == ["env:A", "plain", "env:B", "file:/token"]
    one, two = found["on_host"][0]["robots"]
    assert (one, two) == ({"token": f"file:{files[0]}", "secret": f"file:{files[1]}"}, {"token": f"file:{files[2]}"})
    assert found["on_control"][0]["robots"] == [{"token": "env:A", "secret": ""}, {"token": "env:B"}]
    assert pool["robots"][0]["secret"] == "plain"


GOOD = {
    "robot": [ROBOT],
    "signed robot with a keyword": [ROBOT | {"secret": "file:/secret", "keyword": "alert", "per_minute": 2}],
    "hook": [HOOK],
    "hook through a proxy": [HOOK | {"proxy": "http://proxy.example.com:3128"}],
    "hook of an IPv6 address": [HOOK | {"url": "http://[2001:db8::1]:8080/a"}],
    "hook with a name beyond ASCII": [HOOK | {"url": "https://b\u00fccher.example/"}],
    "mail": [MAIL],
    "mail with a login": [MAIL | {"port": 587, "username": "a", "password": "file:/password"}],
    "mail with TLS from the first byte": [MAIL | {"port": 465, "username": "a", "password": "file:/password"}],
    "mail in clear by option": [MAIL | {"port": 587, "tls": "none"}],
    "Feishu, signed": [FEISHU | {"secret": "file:/secret", "at_user_ids": ["ou_1"], "at_all": ["critical"]}],
    "WeCom": [WECOM | {"at_mobiles": ["13800000000"], "at_severities": ["warning", "critical"]}],
    "Slack": [SLACK],
    "a pool": [{"name": "ops", "type": "dingtalk", "robots": [POOL[0] | {"secret": "file:/secret"}, POOL[1]]}],
    "a pool of WeCom's": [{"name": "ops", "type": "wecom", "robots": POOL}],
    "a topic": [TOPIC],
    "a topic over TLS": [TOPIC | {"protocol": "SSL", "ca_file": "/ca.pem"}],
    "a topic with a login": [TOPIC | {"protocol": "SASL_SSL", "username": "a", "password": "file:/p"}],
    "hook with a rule of success": [HOOK | {"secret": "file:/s", "success": {"field": "errcode", "value": 0}}],
    "mail to an address": [MAIL | {"host": "192.0.2.25"}],
    "two of a type": [HOOK, HOOK | {"name": "other"}],
}
BAD = {
    "no scheme": [HOOK | {"url": "hooks.example.com/a"}],
    "another scheme": [HOOK | {"url": "ftp://hooks.example.com/a"}],
    "no host": [HOOK | {"url": "https:///a"}],
    "a port that is none": [HOOK | {"url": "https://hooks.example.com:https/a"}],
    "a port beyond the last": [ROBOT | {"url": "https://oapi.dingtalk.com:99999/robot/send"}],
    "a blank in the url": [HOOK | {"url": "https://hooks.example.com/a b"}],
    "a line break in the url": [HOOK | {"url": "https://hooks.example.com/a\nb"}],
    "the token in the url": [ROBOT | {"url": "https://oapi.dingtalk.com/robot/send?access_token=three"}],
    "a proxy without a scheme": [HOOK | {"proxy": "proxy.example.com:3128"}],
    "a login in the proxy": [HOOK | {"proxy": "http://me:word@proxy.example.com:3128"}],
    "an empty url": [HOOK | {"url": ""}],
    "a display name": [MAIL | {"sender": "Alerts <a@x.org>"}],
    "a recipient's display name": [MAIL | {"recipients": ["b@x.org", "Bob <c@x.org>"]}],
    "a comma list": [MAIL | {"recipients": ["b@x.org, c@x.org"]}],
    "an address beyond ASCII": [MAIL | {"recipients": ["b\u00fc@x.org"]}],
    "nobody": [MAIL | {"recipients": []}],
    "no server": [MAIL | {"host": ""}],
    "port 0": [MAIL | {"port": 0}],
    "a port beyond 65535": [MAIL | {"port": 70000}],
    "a password in clear": [MAIL | {"username": "a", "password": "file:/password"}],
    "a user without a password": [MAIL | {"username": "a", "tls": "starttls"}],
    "a password without a user": [MAIL | {"password": "file:/password", "tls": "starttls"}],
    "a user beyond ASCII": [MAIL | {"username": "\u00fc", "password": "file:/password", "tls": "starttls"}],
    "an option of another type": [HOOK | {"recipients": ["b@x.org"]}],
    "one message a minute": [ROBOT | {"per_minute": 1}],
    "a keyword of two lines": [ROBOT | {"keyword": "a\nb"}],
    "a number in quotes": [MAIL | {"port": "587"}],
    "a number for a text": [ROBOT | {"keyword": 7}],
    "one name twice": [HOOK, ROBOT],
    "a robot without a token": [{"name": "ops", "type": "slack"}],
    "a robot and a pool": [ROBOT | {"robots": POOL}],
    "a pool's secret in the wrong place": [{"name": "ops", "type": "feishu", "secret": "file:/s", "robots": POOL}],
    "a secret where nothing is signed": [{"name": "ops", "type": "wecom", "robots": [POOL[0] | {"secret": "file:/s"}]}],
    "the key in the url": [WECOM | {"url": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=abc"}],
    "a topic's login without a password": [TOPIC | {"protocol": "SASL_SSL", "username": "a"}],
    "a topic's password without a login": [TOPIC | {"username": "a", "password": "file:/p"}],
    "no broker": [TOPIC | {"bootstrap": []}],
    "a password in clear by option": [MAIL | {"port": 587, "tls": "none", "username": "a", "password": "file:/p"}],
    "no name": [HOOK | {"name": None}],
    "an empty name": [HOOK | {"name": ""}],
}
#: What the alerter starts with, and what yet cannot arrive.
STRICTER = {
    "a comma list without a blank": [MAIL | {"recipients": ["b@x.org,c@x.org"]}],
    "a sender without a domain": [MAIL | {"sender": "alerts"}],
    "the port in the server's name": [MAIL | {"host": "mail.example.com:587"}],
    "a name of two lines": [HOOK | {"name": "ops\nnight"}],
    "a blank for a name": [HOOK | {"name": " "}],
}


@pytest.mark.parametrize("case", sorted(GOOD))
def test_both_take(case):
    assert (ours(*GOOD[case]), theirs(*GOOD[case])) == ([], None)


@pytest.mark.parametrize("case", sorted(BAD))
def test_both_refuse(case):
    assert theirs(*BAD[case]) is not None
    assert len(ours(*BAD[case])) == 1, ours(*BAD[case])


RULES_BY_KIND = rule_kinds.KINDS.by_tag
RULE_OPTIONS = SPEC["argument_specs"]["main"]["options"]["consumer_alert_rules"]["options"]
CALM = {"name": "calm", "kind": "requests_per_client", "threshold": 100}
SHARE = {"name": "share", "kind": "status_5xx_share", "share": 0.05, "min_requests": 100}


def test_both_know_the_same_kinds_of_rules():
    assert set(alert_rules.KINDS) == set(RULES_BY_KIND) == set(RULE_OPTIONS["kind"]["choices"])
    assert set(RULE_OPTIONS["severity"]["choices"]) == {level.value for level in Level}


def test_the_role_declares_each_option_of_any_rule():
    assert set(RULE_OPTIONS) == {"kind"} | {
        field.encode_name for rule in RULES_BY_KIND.values() for field in msgspec.structs.fields(rule)
    }


def rules_ours(*rules: dict[str, Any]) -> list[str]:
    fleet = SOUND._replace(hosts={"app1": {"consumer_alert_rules": list(rules)}})
    return [problem.problem for problem in alert_rules.alert_rules(fleet)]


def rules_theirs(folder: Path, *rules: dict[str, Any]) -> str | None:
    file = folder / "alerter.yml"
    document = {
        "kafka": {
            "bootstrap": ["k:9092"],
            "group": "alerter",
            "member": "app1",
            "topics": {
                "access": "nginxlog",
                "error": "nginxlog-error",
                "state": "state",
                "silences": "silences",
                "history": "history",
            },
        },
        "state": "/s",
        "health": {"address": "127.0.0.1", "port": 9601},
        "metrics": {"sources": []},
        "trusted_proxies": [],
        "error_log_timezone": "UTC",
        "native": True,
        "language": "en",
        "rules": list(rules),
        "channels": [],
    }
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    try:
        config.load(file)
    except ConfigError as error:
        return str(error)
    return None


GOOD_RULES = {
    "requests": [CALM | {"ignore_clients": ["192.0.2.1", "198.51.100.0/24"], "window_s": 3600, "resolve_after_s": 1}],
    "client errors": [CALM | {"kind": "status_4xx", "severity": "critical"}],
    "a share": [SHARE],
    "all of them": [SHARE | {"share": 1}],
    "lines of the error log": [
        {"name": "crit", "kind": "match", "lines": "error", "filter": "level:>=crit", "by": ["host"]}
    ],
    "a hysteresis": [{"name": "r", "kind": "ratio", "hits": "status:500", "share": 0.5, "resolve_share": 0.2}],
    "a percentile": [{"name": "p", "kind": "percentile", "above": 1.5, "percentile": 99}],
    "a silence": [{"name": "f", "kind": "flatline", "by": ["host"], "expect": ["node1"], "for_s": 60}],
}
BAD_RULES = {
    "no threshold": [{"name": "calm", "kind": "status_4xx"}],
    "threshold 0": [CALM | {"threshold": 0}],
    "a negative threshold": [CALM | {"threshold": -100}],
    "a threshold in quotes": [CALM | {"threshold": "100"}],
    "no window": [CALM | {"window_s": 0}],
    "a window of a day": [CALM | {"window_s": 86400}],
    "over before it is over": [CALM | {"resolve_after_s": 0}],
    "a share in per cent": [SHARE | {"share": 5}],
    "no share": [SHARE | {"share": 0}],
    "no requests": [SHARE | {"min_requests": 0}],
    "a name for a client": [CALM | {"ignore_clients": ["monitor.example.com"]}],
    "bits of a host in a network": [CALM | {"ignore_clients": ["192.0.2.1/24"]}],
    "an option of another kind": [CALM | {"share": 0.5}],
    "one name twice": [CALM, CALM],
    "no name": [CALM | {"name": None}],
    "an empty name": [CALM | {"name": ""}],
    "a percentile of 100": [{"name": "p", "kind": "percentile", "above": 1.5, "percentile": 100}],
    "a factor of 1": [{"name": "s", "kind": "spike", "factor": 1}],
    "no field": [{"name": "c", "kind": "change"}],
    "a day of for_s and more": [CALM | {"for_s": 90_000}],
}


@pytest.mark.parametrize("case", sorted(GOOD_RULES))
def test_both_take_the_rule(case, tmp_path):
    assert (rules_ours(*GOOD_RULES[case]), rules_theirs(tmp_path, *GOOD_RULES[case])) == ([], None)


@pytest.mark.parametrize("case", sorted(BAD_RULES))
def test_both_refuse_the_rule(case, tmp_path):
    assert rules_theirs(tmp_path, *BAD_RULES[case]) is not None
    assert len(rules_ours(*BAD_RULES[case])) == 1, rules_ours(*BAD_RULES[case])


@pytest.mark.parametrize("case", sorted(STRICTER))
def test_the_preflight_alone_refuses(case):
    assert len(ours(*STRICTER[case])) == 1, ours(*STRICTER[case])


def test_a_url_is_not_shown():
    """Its path may be a secret."""
    said = ours(HOOK | {"url": "hooks.example.com/T00/B00/secret-word"})
    assert said
    assert "secret-word" not in str(said)
