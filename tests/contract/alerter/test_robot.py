"""What robots of all vendors have in common: bodies bounded by bytes, mentions, tokens, pools of one group."""

from __future__ import annotations

import json

import msgspec
import pytest

from obsctl.alerter.channels.outcome import Verdict
from obsctl.alerter.channels.registry import parse_channels
from obsctl.alerter.channels.robot import bounded, in_utf8, on_the_wire
from obsctl.alerter.messages.message import Kind, Message
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import Secret
from obsctl.core.secrets import resolve as resolve_reference
from rig.vendor import Vendor
from tests.contract.alerter.robots import LONG, SECRET, TOKEN, alert, opened, options, resolve, send

ROBOTS = ("dingtalk", "feishu", "wecom", "slack")
#: What each vendor takes, and what a message of 400 titles would have.
LIMITS = {"dingtalk": 20_000, "feishu": 20_000, "wecom": 4096, "slack": 12_000}


def answer(vendor: Vendor, type_: str) -> None:
    vendor.body = {"slack": b"ok", "feishu": b'{"code":0}'}.get(type_, b'{"errcode":0}')


def content(type_: str, body: dict) -> str:
    """Return the text that people read."""
    if type_ == "feishu":
        return str(body["content"]["post"]["zh_cn"]["content"][0][0]["text"])
    if type_ == "slack":
        return str(body["text"])
    return str(body[body["msgtype"]].get("text") or body[body["msgtype"]].get("content"))


@pytest.mark.parametrize("type_", ROBOTS)
def test_a_long_message_is_cut_to_what_the_vendor_takes_and_says_so(vendor: Vendor, type_: str) -> None:
    answer(vendor, type_)
    assert send(type_, vendor.url, LONG, keyword="日志告警").delivered
    (request,) = vendor.received
    text = content(type_, request.body)
    whole = "\n".join(LONG.lines)
    used = in_utf8(text) if type_ == "wecom" else len(msgspec.json.encode(request.body))
    assert LIMITS[type_] - 400 < used <= LIMITS[type_] < in_utf8(whole)
    assert "(cut here)" in text
    assert text.rstrip().endswith("日志告警")
    assert "\N{REPLACEMENT CHARACTER}" not in text


@pytest.mark.parametrize(
    ("type_", "too_long"),
    [
        ("dingtalk", '{"errcode":460101,"errmsg":"too long"}'),
        ("dingtalk", '{"errcode":101002,"errmsg":"too long"}'),
        ("feishu", '{"code":9499,"msg":"request body too large"}'),
        ("wecom", '{"errcode":40058,"errmsg":"markdown.content exceed max length 4096"}'),
        ("wecom", '{"errcode":45002,"errmsg":"content size out of limit"}'),
        ("slack", "msg_too_long"),
    ],
)
def test_what_the_vendor_finds_too_long_is_shortened_and_sent_once_more(
    vendor: Vendor, type_: str, too_long: str
) -> None:
    vendor.body = too_long.encode()
    vendor.status = 400 if type_ == "slack" else 200
    delivery = send(type_, vendor.url, LONG)
    assert (delivery.verdict, "too long" in delivery.hint) == (Verdict.REFUSED, True)
    sizes = [len(json.dumps(request.body)) for request in vendor.received]
    assert len(sizes) == 2
    assert sizes[1] < sizes[0] * 0.6


def test_a_message_of_a_few_words_is_not_shortened_to_none(vendor: Vendor) -> None:
    vendor.says(460101, "too long")
    assert send("dingtalk", vendor.url, alert()).verdict is Verdict.REFUSED
    assert len(vendor.received) == 1


@pytest.mark.parametrize("lines", [30, 100, 400])
def test_what_is_shortened_is_shorter_whatever_its_length(vendor: Vendor, lines: int) -> None:
    """The vendor's true limit may be below the one that its page names."""
    vendor.says(101002, "too long")
    send("dingtalk", vendor.url, msgspec.structs.replace(LONG, lines=LONG.lines[:lines]))
    first, second = (len(json.dumps(request.body)) for request in vendor.received)
    assert second < first * 0.6


@pytest.mark.parametrize("size", [in_utf8, on_the_wire])
@pytest.mark.parametrize("text", ["a" * 300, "测" * 300, 'quote" and\\slash\n' * 20, "🚨" * 90, "a测🚨" * 40])
def test_a_cut_uses_the_room_and_breaks_no_character(text: str, size) -> None:
    for room in range(20, 120):
        cut = bounded([text], ["end"], room=room, size=size, notice="…")
        assert size(cut) <= room
        assert cut.endswith("…\nend")
        assert text.startswith(cut.removesuffix("…\nend"))
        more = text[: len(cut.removesuffix("…\nend")) + 1]
        assert size(more + "…\nend") > room


@pytest.mark.parametrize("type_", ROBOTS)
@pytest.mark.parametrize(
    ("message", "mentioned"),
    [
        (alert("info"), (False, False)),
        (alert("warning"), (True, False)),
        (alert("critical"), (True, True)),
        (alert("critical", Kind.RESOLVED), (False, False)),
        (alert("", Kind.TEST), (False, False)),
    ],
)
def test_people_are_mentioned_by_severity_and_never_when_it_has_ended(
    vendor: Vendor, type_: str, message: Message, mentioned: tuple[bool, bool]
) -> None:
    answer(vendor, type_)
    more = {"at_user_ids": ["U-one"], "at_severities": ["warning", "critical"], "at_all": ["critical"]}
    assert send(type_, vendor.url, message, **more).delivered
    sent = json.dumps(vendor.received[0].body)
    marks = {"dingtalk": '"isAtAll": true', "feishu": '"user_id": "all"', "wecom": '"@all"', "slack": "<!channel>"}
    assert (("U-one" in sent), (marks[type_] in sent)) == mentioned


@pytest.mark.parametrize("type_", ROBOTS)
def test_a_mention_survives_the_cut(vendor: Vendor, type_: str) -> None:
    answer(vendor, type_)
    assert send(type_, vendor.url, LONG, at_user_ids=["U-one"]).delivered
    assert "U-one" in json.dumps(vendor.received[0].body)


def test_mobile_numbers_are_marked_as_each_vendor_wants_it(vendor: Vendor) -> None:
    more = {"at_mobiles": ["13800000000"]}
    assert send("dingtalk", vendor.url, alert(), **more).delivered
    assert send("wecom", vendor.url, LONG, **more).delivered
    ding, wecom = (request.body for request in vendor.received)
    assert ding["at"] == {"atMobiles": ["13800000000"], "atUserIds": [], "isAtAll": False}
    assert "@13800000000" in ding["markdown"]["text"]
    assert wecom["msgtype"] == "text"
    assert wecom["text"]["mentioned_mobile_list"] == ["13800000000"]
    assert in_utf8(wecom["text"]["content"]) <= 2048


@pytest.mark.parametrize("type_", ROBOTS)
@pytest.mark.parametrize(
    "value", ["https://robot.example/send?key=tok-whole-url", "two\nlines", "mit blank", "schlüssel"]
)
def test_what_is_no_token_is_a_mistake_of_the_configuration(type_: str, value: str) -> None:
    with pytest.raises(ConfigError) as refused:
        options(type_, "https://robot.example/send").open(lambda reference: Secret(value, reference))
    assert value not in f"{refused.value} {refused.value.hint}"
    assert "env:TOKEN" in str(refused.value)
    assert "address" in (refused.value.hint or "")


@pytest.mark.parametrize("type_", ROBOTS)
def test_neither_in_the_preview_nor_in_any_attribute_is_a_secret(type_: str) -> None:
    more = {"secret": "env:SECRET"} if type_ in ("dingtalk", "feishu") else {}
    channel = opened(type_, "https://robot.example/base?team=a", **more)
    text = repr(channel.preview(alert())) + repr(vars(channel))
    assert TOKEN not in text
    assert SECRET not in text
    assert "robot.example" in text


@pytest.mark.parametrize("type_", ROBOTS)
def test_an_address_is_there_without_being_given(type_: str) -> None:
    """People have to give the token alone."""
    (spec,) = parse_channels([{"name": "ops", "type": type_, "token": "env:TOKEN"}], "test")
    url = spec.url  # type: ignore[attr-defined]
    assert url.startswith("https://")


def test_a_pool_is_its_robots_with_a_name_each() -> None:
    entry = {"token": None, "robots": [{"token": "env:TOKEN", "secret": "env:SECRET"}, {"token": "env:OTHER"}]}
    one, two = options("dingtalk", "https://robot.example/send", **entry).each_robot()
    assert (one.name, two.name) == ("ops#1", "ops#2")
    assert "sign=***" in repr(one.open(resolve).preview(alert()))
    assert "sign" not in repr(two.open(resolve).preview(alert()))


def test_a_token_that_the_inventory_has_as_a_value_is_named_as_that() -> None:
    """The fleet document on the control node has an empty text in its place."""
    with pytest.raises(ConfigError, match="as a reference, not as its value"):
        options("slack", "https://robot.example/s", token="").open(resolve_reference)


@pytest.mark.parametrize(
    "entry",
    [
        {"token": None},
        {"robots": [{"token": "env:OTHER"}]},
        {"token": None, "secret": "env:SECRET", "robots": [{"token": "env:OTHER"}]},
        {"token": None, "robots": [{"secret": "env:SECRET"}]},
        {"at_all": ["fatal"]},
    ],
)
def test_a_pool_that_is_none_is_a_mistake_of_the_configuration(entry: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="channels"):
        options("feishu", "https://robot.example/send", **entry)


def test_all_secrets_of_a_pool_are_read_at_the_start() -> None:
    pool = options(
        "wecom", "https://robot.example/s", token=None, robots=[{"token": "env:TOKEN"}, {"token": "env:GONE"}]
    )
    with pytest.raises(KeyError):
        pool.open(resolve)
