"""The preflight asks of an alert channel what the alerter asks: one description each, compared by name."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import yaml

from obsctl.alerting import channels as sender
from obsctl.contract import ConfigError
from obsctl.fleet.secrets import Secret

from tests import collection  # isort: skip  # lets Ansible find obscraft.fleet in this tree

from ansible_collections.obscraft.fleet.plugins.filter.alert_channels import SECRET_OPTIONS  # isort: skip
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight import alert_channels  # isort: skip
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet  # isort: skip

SPEC = yaml.safe_load((collection.ROOT / "roles/consumer/meta/argument_specs.yml").read_text(encoding="utf-8"))
OPTIONS = SPEC["argument_specs"]["main"]["options"]["consumer_alert_channels"]["options"]
MAIL = {"name": "ops", "type": "smtp", "host": "mail.example.com", "sender": "a@x.org", "recipients": ["b@x.org"]}
ROBOT = {"name": "ops", "type": "dingtalk", "url": "https://oapi.dingtalk.com/robot/send", "token": "file:/token"}
HOOK = {"name": "ops", "type": "webhook", "url": "https://hooks.example.com/a"}


def of_sender(kind: str) -> dict[str, bool]:
    """Return the options that the alerter takes for a type, and whether it cannot do without them."""
    return {field.encode_name: field.required for field in msgspec.structs.fields(sender._KINDS[kind])}


def test_both_know_the_same_types():
    assert set(alert_channels.KINDS) == set(sender._KINDS) == set(OPTIONS["type"]["choices"])


@pytest.mark.parametrize("kind", sorted(alert_channels.KINDS))
def test_both_know_the_same_options_of(kind):
    ours, theirs = alert_channels.KINDS[kind], of_sender(kind)
    assert {*alert_channels.COMMON, *ours.needed, *ours.others} == set(theirs)
    assert {"name", "type", *ours.needed} == {option for option, required in theirs.items() if required}


def test_the_role_declares_each_option_of_any_type():
    assert set(OPTIONS) == {option for kind in sender._KINDS for option in of_sender(kind)}
    assert {option for option, spec in OPTIONS.items() if spec.get("required")} == {"name", "type"}


@pytest.mark.parametrize("kind", sorted(alert_channels.KINDS))
def test_what_the_sender_resolves_is_what_the_role_keeps_in_files(kind):
    base = {"dingtalk": ROBOT, "webhook": HOOK, "smtp": MAIL}[kind]
    taken = [option for option in SECRET_OPTIONS if option in of_sender(kind)]
    entry = base | {option: f"file:/{option}" for option in taken}
    resolved: list[str] = []

    def resolve(reference: str) -> Secret:
        resolved.append(reference)
        return Secret("word", reference)

    entry |= {"username": "a", "starttls": True} if kind == "smtp" else {}
    sender.parse_channels([entry], "test")[0].open(resolve)
    assert sorted(resolved) == sorted(f"file:/{option}" for option in taken)


def ours(*channels: dict[str, Any]) -> list[str]:
    """Return what the preflight says about the channels of a consumer's host."""
    fleet = Fleet(
        hosts={"app1": {"consumer_alert_channels": list(channels)}},
        groups={"consumer": ["app1"]},
        inventory_names={},
        broken={},
        specs={},
        looks={},
        core=(2, 19),
        missing_files={},
        unusable_secrets={},
    )
    return [problem.problem for problem in alert_channels.alert_channels(fleet)]


def theirs(*channels: dict[str, Any]) -> str | None:
    """Return what the alerter says about the channels at its start, None where it starts."""
    try:
        for spec in sender.parse_channels(channels, "alerter.yml"):
            spec.open(lambda reference: Secret("word", reference))
    except ConfigError as error:
        return str(error)
    return None


GOOD = {
    "robot": [ROBOT],
    "signed robot with a keyword": [ROBOT | {"secret": "file:/secret", "keyword": "alert", "per_minute": 2}],
    "hook": [HOOK],
    "hook of an IPv6 address": [HOOK | {"url": "http://[2001:db8::1]:8080/a"}],
    "hook with a name beyond ASCII": [HOOK | {"url": "https://b\u00fccher.example/"}],
    "mail": [MAIL],
    "mail with a login": [MAIL | {"port": 587, "starttls": True, "username": "a", "password": "file:/password"}],
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
    "a user without a password": [MAIL | {"username": "a", "starttls": True}],
    "a password without a user": [MAIL | {"password": "file:/password", "starttls": True}],
    "a user beyond ASCII": [MAIL | {"username": "\u00fc", "password": "file:/password", "starttls": True}],
    "an option of another type": [HOOK | {"recipients": ["b@x.org"]}],
    "one message a minute": [ROBOT | {"per_minute": 1}],
    "a keyword of two lines": [ROBOT | {"keyword": "a\nb"}],
    "one name twice": [HOOK, ROBOT],
}
#: What the alerter starts with, and what yet cannot arrive.
STRICTER = {
    "a comma list without a blank": [MAIL | {"recipients": ["b@x.org,c@x.org"]}],
    "a sender without a domain": [MAIL | {"sender": "alerts"}],
    "the port in the server's name": [MAIL | {"host": "mail.example.com:587"}],
    "TLS from the first byte": [MAIL | {"port": 465}],
}


@pytest.mark.parametrize("case", sorted(GOOD))
def test_both_take(case):
    assert (ours(*GOOD[case]), theirs(*GOOD[case])) == ([], None)


@pytest.mark.parametrize("case", sorted(BAD))
def test_both_refuse(case):
    assert theirs(*BAD[case]) is not None
    assert len(ours(*BAD[case])) == 1, ours(*BAD[case])


@pytest.mark.parametrize("case", sorted(STRICTER))
def test_the_preflight_alone_refuses(case):
    assert len(ours(*STRICTER[case])) == 1, ours(*STRICTER[case])


def test_a_url_is_not_shown():
    """Its path may be a secret."""
    said = ours(HOOK | {"url": "hooks.example.com/T00/B00/secret-word"})
    assert said
    assert "secret-word" not in str(said)
