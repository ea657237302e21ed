"""``alert test --rule`` from the first request to the vendor's answer: a real nginx, broker, sshd and alerter.

Only the shipper is a stand-in: a thread that puts each line of nginx's log into Kafka, as Filebeat does.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from obsctl.cli.main import run
from obsctl.fleet.model import Alerter, Fleet, Host, KafkaNode, Ssh, Vip
from rig import sshd
from rig.kafka import KafkaNode as Broker
from rig.records import record
from rig.sshd import Sshd
from rig.vendor import serving
from tests.contract.roles.conftest import TEST_SECRET, Rendered, rendered
from tests.contract.roles.test_nginx import NGINX, running
from tests.integration.test_alerter import Watch

__all__ = ["rendered"]
pytestmark = [
    pytest.mark.skipif(NGINX is None or not Path("/etc/nginx/mime.types").exists(), reason="nginx is not installed"),
    pytest.mark.skipif(sshd.PROGRAM is None, reason="sshd is not installed"),
]
RULES: list[dict[str, Any]] = [
    {"name": "failing", "kind": "ratio", "hits": "status:[500 TO 599]", "share": 0.5, "min_lines": 20, "window_s": 10},
    {"name": "slow", "kind": "percentile", "above": 0.5, "min_lines": 10, "window_s": 30},
    {"name": "odd page", "kind": "match", "filter": 'uri:\\/odd* AND method:POST AND user_agent:"curl*"'},
    {"name": "quiet", "kind": "flatline", "window_s": 600},
    {"name": "lasting", "kind": "match", "filter": "status:418", "for_s": 300},
]
Ask = Callable[..., tuple[int, dict[str, Any], str]]


class Shipper(threading.Thread):
    """Puts each line of a log into a topic; ``holding`` makes it wait."""

    def __init__(self, log: Path, kafka: Broker, topic: str) -> None:
        super().__init__(daemon=True)
        self._log, self._topic = log, topic
        self._producer = kafka.producer()
        self._offset = log.stat().st_size
        self._stopping = threading.Event()
        self.holding = threading.Event()

    def run(self) -> None:
        while not self._stopping.wait(0.05):
            with self._log.open("rb") as file:
                file.seek(self._offset)
                lines = file.read().splitlines(keepends=True)
            for line in lines:
                if line.endswith(b"\n") and not self.holding.is_set():
                    self._producer.produce(self._topic, record(line.decode().rstrip("\n"), self._offset))
                    self._offset += len(line)
            self._producer.flush(10)

    def stop(self) -> None:
        self._stopping.set()
        self.join(15)


class Site:
    """A balancer, a shipper and an alerter, and the inventory that names them."""

    def __init__(self, nginx: Rendered, watch: Watch, shipper: Shipper, server: Sshd, folder: Path) -> None:
        self.nginx, self.watch, self.shipper = nginx, watch, shipper
        self._server = server
        self._inventory = folder / "fleet.json"
        self.secret = folder / "secret"
        self.secret.write_text(TEST_SECRET)
        self.write()

    def write(self, **vip: Any) -> None:
        """Write the inventory."""
        ssh = Ssh(
            port=self._server.port,
            key_file=str(self._server.key),
            common_args=f"-o UserKnownHostsFile={self._server.known_hosts}",
        )
        port = int(self.watch.kafka.bootstrap.rpartition(":")[2])
        fleet = Fleet(
            vip=Vip(**{"address": "127.0.0.1", "port": self.nginx.port, "test_secret": f"file:{self.secret}", **vip}),
            hosts=(
                Host(name="node1", address="127.0.0.1", groups=("lb",)),
                Host(name="k1", address="127.0.0.1", groups=("kafka",), kafka=KafkaNode(node_id=1, broker_port=port)),
                Host(name="app1", address="127.0.0.1", groups=("consumer",), ssh=ssh),
            ),
            alerter=Alerter(access_topic=self.watch.topic, metrics_port=self.watch.port),
            alert_rules=tuple(self.watch.configured()["rules"]),
        )
        self._inventory.write_bytes(msgspec.json.encode(fleet))

    def argv(self, *options: str) -> list[str]:
        return ["-i", str(self._inventory), "alert", "test", "-o", "json", *options]


@pytest.fixture
def site(rendered: Rendered, kafka: Broker, tmp_path: Path) -> Iterator[Site]:
    config = rendered.folder / "wire.conf"
    config.write_text(re.sub(r"^user .*$", "user root;", rendered.text("nginx-tests.conf"), flags=re.M))
    (tmp_path / "ssh").mkdir()
    with serving() as vendor, sshd.running(tmp_path / "ssh") as server, running(config, rendered.port):
        watch = Watch(kafka, tmp_path, vendor)
        watch.configure(rules=[*watch.configured()["rules"], *RULES])
        watch.start()
        shipper = Shipper(rendered.folder / "access.log", kafka, watch.topic)
        shipper.start()
        yield Site(rendered, watch, shipper, server, tmp_path)
        shipper.stop()
        watch.kill()


@pytest.fixture
def ask(site: Site, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run the command, and return its exit code, its report and what it wrote to standard error."""

    def command(*options: str) -> tuple[int, dict[str, Any], str]:
        code = int(run(site.argv(*options)))
        out, err = capsys.readouterr()
        assert TEST_SECRET not in out + err
        return code, json.loads(out) if out else {}, err

    return command


def hops(row: dict[str, Any]) -> list[float]:
    return [row["hops"][hop] for hop in ("answered", "shipped", "read", "fired", "decided", "accepted")]


def test_all_rules_that_requests_can_make_true_pass(site: Site, ask: Ask) -> None:
    code, report, err = ask("--all-rules")
    assert code == 0, (report, err, site.watch.log())
    rows = {row["name"]: row for row in report["data"]["rules"]}
    assert {name: row["passed"] for name, row in rows.items()} == {
        "rate": True,
        "failing": True,
        "slow": True,
        "odd page": True,
        "quiet": None,
        "lasting": None,
    }
    assert "--deadline 360s" in rows["lasting"]["why_not"]
    for name in ("rate", "failing", "slow", "odd page"):
        found = hops(rows[name])
        assert all(isinstance(at, float) for at in found), name
        # The line may be read in two places; the later hops follow on each other by one clock.
        assert found[2] <= found[3] <= found[4] <= found[5], name
        assert rows[name]["channels"] == {"ops": "delivered"}
    titles = site.watch.titles()
    assert len(titles) == 4
    assert all(title.startswith("[TEST] [FIRING]") for title in titles)
    health = site.watch.health()
    assert (health["counted"], health["firing"], health["alerts"]) == (0, 0, []), "no real window has seen a line"


def test_one_rule_by_its_name_and_the_bounds_of_the_command(site: Site, ask: Ask) -> None:
    code, report, _ = ask("--rule", "odd page")
    assert (code, [row["name"] for row in report["data"]["rules"]]) == (0, ["odd page"])
    line = json.loads((site.nginx.folder / "access.log").read_text(errors="replace").splitlines()[-1])
    assert (line["method"], line["uri"][:4], line["user_agent"][:4]) == ("POST", "/odd", "curl")
    for options, message in (
        (("--rule", "nothing"), "there is no rule nothing"),
        (("--rule", "quiet"), "quiet cannot be tested"),
        (("--rule", "lasting"), "it takes 300 s"),
        (("--rule", "rate", "--all-rules"), "--rule and --all-rules exclude each other"),
        (("--rule", "rate", "--channel", "ops"), "along its route"),
        (("--all-rules", "--deadline", "2h"), "at most 1h"),
        (("--deadline", "20s"), "--deadline needs"),
    ):
        code, _, err = ask(*options)
        assert code == 64, options
        assert message in err, options


def test_a_dry_run_sends_nothing(site: Site, ask: Ask) -> None:
    before = (site.nginx.folder / "access.log").read_bytes()
    code, report, err = ask("--all-rules", "--dry-run", "--deadline", "10m")
    assert code == 0
    plans = {plan["name"]: plan for plan in report["data"]["plans"]}
    assert {name: plan["requests"] for name, plan in plans.items()} == {
        "rate": 100,
        "failing": 20,
        "slow": 10,
        "odd page": 1,
        "quiet": 0,
        "lasting": 10,
    }
    assert plans["slow"]["bursts"][0]["requests"][0]["delay_s"] == 1
    assert "nothing was sent" in err
    assert (site.nginx.folder / "access.log").read_bytes() == before


@pytest.mark.parametrize("secret", ["another one", ""])
def test_a_balancer_with_another_secret_gets_one_request_only(site: Site, ask: Ask, secret: str) -> None:
    """Everything else would be a flood on the back ends, and in people's statistics."""
    lines = len((site.nginx.folder / "access.log").read_text(errors="replace").splitlines())
    if secret:
        site.secret.write_text(secret)
        code, report, _ = ask("--rule", "rate")
        (finding,) = report["findings"]
        assert (code, finding["code"], finding["evidence"]["sent"]) == (2, "ALERT_TEST_NOT_ANSWERED", 1)
        assert "did not take the request for a test" in finding["summary"]
        assert len((site.nginx.folder / "access.log").read_text(errors="replace").splitlines()) == lines + 1
    else:
        site.write(test_secret="")
        code, _, err = ask("--rule", "rate")
        assert code == 78
        assert "nginx_test_secret" in err


def test_combined_lines_have_no_mark(site: Site, ask: Ask) -> None:
    site.write(log_format="combined")
    code, _, err = ask("--rule", "rate")
    assert code == 78
    assert "set nginx_log_format to json" in err


def test_the_hop_that_failed_is_named(site: Site, ask: Ask) -> None:
    def failed(*options: str) -> tuple[str, str]:
        code, report, err = ask("--rule", "rate", "--deadline", "5s", *options)
        assert code == 2, (report, err)
        (finding,) = report["findings"]
        (row,) = report["data"]["rules"]
        assert not row["passed"]
        assert finding["hint"]
        return row["failed_hop"], finding["code"]

    site.watch.vendor.says(310000, "keywords not in content")
    assert failed() == ("accepted", "ALERT_TEST_NOT_ACCEPTED")
    site.watch.vendor.says(0, "ok")
    site.watch.configure(rules=[{**site.watch.configured()["rules"][0], "threshold": 90}, *RULES])
    site.write()
    assert failed() == ("read", "ALERT_TEST_NOT_READ"), "the inventory has other options than the alerter"
    site.shipper.holding.set()
    assert failed() == ("shipped", "ALERT_TEST_NOT_SHIPPED")
    site.shipper.holding.clear()


def test_an_interruption_ends_the_sending(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from obsctl.checks.wire import collect

    real, sent = collect.send, []

    def send(*arguments: Any) -> str:
        sent.append(time.monotonic())
        return real(*arguments)

    def interrupt(seconds: float) -> None:
        if len(sent) > 10:
            raise KeyboardInterrupt
        time.sleep(seconds)

    monkeypatch.setattr(collect, "send", send)
    monkeypatch.setattr(collect, "time", _Time(interrupt))
    assert int(run(site.argv("--rule", "rate"))) == 130
    count = len(sent)
    time.sleep(0.5)
    assert len(sent) == count < 100
    assert site.watch.titles() == []


class _Time:
    """The module ``time`` with another ``sleep``."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self.sleep = sleep
        self.time, self.monotonic = time.time, time.monotonic
