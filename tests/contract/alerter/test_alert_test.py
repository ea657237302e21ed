"""``obsctl alert test`` as a process would see it: report, exit code, and no secret anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from obsctl.alerter.channels.outcome import Delivery, Verdict
from obsctl.alerter.channels.webhook import Webhook
from obsctl.checks.channels.judge import FINDINGS, PARTIAL
from obsctl.cli.main import run
from obsctl.core.errors import ExitCode
from obsctl.fleet.model import Alerter, Fleet
from rig.vendor import Vendor

TOKEN = "tok-11aa22bb33cc"
SECRET = "SEC-99ff88ee77dd"


@pytest.fixture
def inventory(tmp_path: Path, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fleet with a robot and a hook that both lead to the test's vendor."""
    monkeypatch.setenv("ROBOT_TOKEN", TOKEN)
    monkeypatch.setenv("ROBOT_SECRET", SECRET)
    robot = {
        "name": "ops",
        "type": "dingtalk",
        "url": vendor.url,
        "token": "env:ROBOT_TOKEN",
        "secret": "env:ROBOT_SECRET",
    }
    hook = {"name": "hook", "type": "webhook", "url": vendor.url + "/hook"}
    return written(tmp_path, robot, hook)


def written(folder: Path, *channels: dict[str, Any]) -> Path:
    path = folder / "fleet.json"
    path.write_bytes(msgspec.json.encode(Fleet(alert_channels=channels)))
    return path


Ask = Callable[..., tuple[ExitCode, dict[str, Any], str]]


@pytest.fixture
def ask(inventory: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run the command and return its exit code, its report and what it wrote to standard error."""

    def command(*options: str, of: Path = inventory) -> tuple[ExitCode, dict[str, Any], str]:
        code = run(["-i", str(of), "alert", "test", "-o", "json", *options])
        out, err = capsys.readouterr()
        assert TOKEN not in out + err
        assert SECRET not in out + err
        return code, json.loads(out) if out else {}, err

    return command


def test_all_delivered_is_0(ask: Ask, vendor: Vendor) -> None:
    code, report, _ = ask()
    assert code == 0
    assert report["status"] == "ok"
    assert [(c["name"], c["type"], c["delivered"]) for c in report["data"]["channels"]] == [
        ("ops", "dingtalk", True),
        ("hook", "webhook", True),
    ]
    assert len(vendor.received) == 2


@pytest.mark.parametrize(
    ("errcode", "code", "finding"),
    [
        (310000, 2, "ALERT_CHANNEL_REFUSED"),
        (300005, 2, "ALERT_CHANNEL_REFUSED"),
        (130101, 75, "ALERT_CHANNEL_THROTTLED"),
    ],
)
def test_each_answer_has_its_code(ask: Ask, vendor: Vendor, errcode: int, code: int, finding: str) -> None:
    vendor.says(errcode, "no")
    got, report, _ = ask("--channel", "ops")
    assert (got, report["status"]) == (code, "warning" if code == 75 else "critical")
    (one,) = report["findings"]
    assert (one["code"], one["object"]) == (finding, "channel/ops")
    assert report["headline"].startswith("channel/ops: ")
    assert one["hint"]
    assert one["evidence"]["vendor_code"] == str(errcode)


@pytest.mark.parametrize(
    ("fault", "code", "finding"),
    [
        (("slow", 200), 3, "ALERT_CHANNEL_UNKNOWN"),
        (("reset", 200), 3, "ALERT_CHANNEL_UNKNOWN"),
        (("", 302), 2, "ALERT_CHANNEL_REDIRECTED"),
        (("", 503), 2, "ALERT_CHANNEL_UNREACHABLE"),
    ],
)
def test_each_fault_has_its_code(ask: Ask, vendor: Vendor, fault: tuple[str, int], code: int, finding: str) -> None:
    vendor.fault, vendor.status = fault
    got, report, _ = ask("--channel", "ops")
    assert (got, [f["code"] for f in report["findings"]]) == (code, [finding])
    assert report["data"]["channels"][0]["delivered"] in (False, None)


def test_something_worse_hides_the_throttling(ask: Ask, tmp_path: Path, vendor: Vendor, closed_port: int) -> None:
    vendor.says(130101, "too fast")
    other = written(
        tmp_path,
        {"name": "ops", "type": "dingtalk", "url": vendor.url, "token": "env:ROBOT_TOKEN"},
        {"name": "hook", "type": "webhook", "url": f"http://127.0.0.1:{closed_port}/"},
    )
    code, report, _ = ask(of=other)
    assert code == 2
    assert {f["code"] for f in report["findings"]} == {"ALERT_CHANNEL_THROTTLED", "ALERT_CHANNEL_UNREACHABLE"}


def test_a_severity_mentions_whom_its_messages_mention(ask: Ask, tmp_path: Path, vendor: Vendor) -> None:
    robot = {"name": "ops", "type": "dingtalk", "url": vendor.url, "token": "env:ROBOT_TOKEN",
             "at_mobiles": ["13800000000"], "at_user_ids": ["zhang"], "at_all": ["critical"]}  # fmt: skip
    hook = {"name": "hook", "type": "webhook", "url": vendor.url + "/hook"}
    fleet = written(tmp_path, robot, hook)
    named = {
        (): [],
        ("--severity", "warning"): [],
        ("--severity", "critical"): ["zhang", "13800000000", "all"],
    }
    for options, people in named.items():
        _, report, _ = ask(*options, of=fleet)
        assert [channel["mentions"] for channel in report["data"]["channels"]] == [people, []]
        _, report, _ = ask("--dry-run", *options, of=fleet)
        assert [request["mentions"] for request in report["data"]["requests"]] == [people, []]
    at = [request.body.get("at") for request in vendor.received if "markdown" in request.body]
    assert at == [None, None, {"atMobiles": ["13800000000"], "atUserIds": ["zhang"], "isAtAll": True}]
    said = [request.body["facts"].get("severity") for request in vendor.received if "facts" in request.body]
    assert said == [None, "warning", "critical"]


def test_the_message_is_in_the_language_and_the_zone_of_the_site(ask: Ask, tmp_path: Path, vendor: Vendor) -> None:
    path = tmp_path / "fleet.json"
    hook = {"name": "hook", "type": "webhook", "url": vendor.url + "/hook"}
    alerter = Alerter(language="zh", timezone="Asia/Shanghai")
    path.write_bytes(msgspec.json.encode(Fleet(alert_channels=(hook,), alerter=alerter)))
    assert ask("--severity", "info", of=path)[0] == 0
    (request,) = vendor.received
    assert request.body["title"] == "[测试] obsctl alert test（提示）"
    assert "这是一条测试消息" in request.body["text"]
    assert "+08:00" in request.body["text"]
    assert request.body["facts"]["sent_at"].endswith("Z")


@pytest.mark.parametrize(
    ("alerter", "said"),
    [
        (Alerter(timezone="Mars/Base"), "alerter.timezone: there is no time zone 'Mars/Base'"),
        (Alerter(templates="/nonexistent"), "/nonexistent cannot be read"),
    ],
)
def test_a_message_that_cannot_be_written_is_a_clear_error(
    ask: Ask, tmp_path: Path, vendor: Vendor, alerter: Alerter, said: str
) -> None:
    path = tmp_path / "fleet.json"
    hook = {"name": "hook", "type": "webhook", "url": vendor.url + "/hook"}
    path.write_bytes(msgspec.json.encode(Fleet(alert_channels=(hook,), alerter=alerter)))
    code, _, err = ask(of=path)
    assert code == 78
    assert said in err
    assert vendor.received == []


def test_a_dry_run_sends_nothing_and_masks(ask: Ask, vendor: Vendor) -> None:
    code, report, err = ask("--dry-run")
    assert code == 0
    assert vendor.received == []
    assert "nothing was sent" in err
    assert [r["name"] for r in report["data"]["requests"]] == ["ops", "hook"]
    assert "access_token=***" in report["data"]["requests"][0]["request"]["url"]


def test_a_secret_that_is_missing_sends_nothing_at_all(
    ask: Ask, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROBOT_SECRET")
    code, report, err = ask()
    assert (code, report) == (78, {})
    assert "env:ROBOT_SECRET" in err
    assert vendor.received == []


def test_each_robot_of_a_pool_is_tried(ask: Ask, tmp_path: Path, vendor: Vendor) -> None:
    """One that was removed from the group would be found on a busy day only."""
    robots = [{"token": "env:ROBOT_TOKEN", "secret": "env:ROBOT_SECRET"}, {"token": "env:ROBOT_TOKEN"}]
    pool = written(tmp_path, {"name": "ops", "type": "dingtalk", "url": vendor.url, "robots": robots})
    code, report, _ = ask("--channel", "ops", of=pool)
    assert (code, [c["name"] for c in report["data"]["channels"]]) == (0, ["ops#1", "ops#2"])
    assert len(vendor.received) == 2


def test_a_recipient_who_is_left_out_is_a_warning(ask: Ask, inventory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = Delivery(Verdict.DELIVERED, "250", "m: 250 after DATA, but did not take a@x.org (550 no)", "correct it")
    monkeypatch.setattr(Webhook, "send", lambda _self, _message: said)
    code, report, _ = ask("--channel", "hook")
    assert (code, report["status"], report["data"]["channels"][0]["delivered"]) == (1, "warning", True)
    (one,) = report["findings"]
    assert (one["code"], one["object"]) == ("ALERT_CHANNEL_PARTIAL", "channel/hook")
    assert "a@x.org" in one["summary"]


def test_no_channel_is_no_success(ask: Ask, tmp_path: Path) -> None:
    code, _, err = ask(of=written(tmp_path))
    assert code == 78
    assert "no alert channel" in err


def test_an_unknown_channel_is_a_usage_error(ask: Ask) -> None:
    code, _, err = ask("--channel", "pager")
    assert code == 64
    assert "ops, hook" in err


def test_every_verdict_but_the_good_one_is_a_finding() -> None:
    assert set(FINDINGS) == {verdict.value for verdict in Verdict} - {"delivered"}


def test_every_finding_has_its_page(project: Path) -> None:
    for code, _ in (*FINDINGS.values(), PARTIAL):
        assert (project / "docs" / "runbooks" / f"{code}.md").is_file()
