"""Alerts, silences and the overview of the console: a real alerter, real Kafka, a real database."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests

from obsctl.fleet.model import Alerter, Database, Fleet, Host
from obsctl.fleet.model import KafkaNode as Node
from obsctl.lines.formats.line import AccessLine
from obsctl.query import values
from rig.console import DATABASE, Console, console, csrf, make_database, store_lines
from rig.database import MariaDB
from rig.kafka import KafkaNode
from rig.ports import free_port
from rig.records import json_line, record
from rig.vendor import serving
from rig.waiting import wait_for
from tests.integration.test_alerter import CLIENT, Watch

#: Seconds that nothing may take longer than, with what the machine needs itself.
_NEVER_LONGER_S = 8.0


def write_fleet(folder: Path, watch: Watch, **parts: Any) -> str:
    """Write the fleet's document and return its path."""
    address, _, port = watch.kafka.bootstrap.partition(":")
    broker = Host(name="node1", address=address, groups=("kafka",), kafka=Node(node_id=1, broker_port=int(port)))
    fleet = Fleet(
        hosts=(broker, Host(name="app1", address=address, groups=("consumer",))),
        alerter=Alerter(state_topic=watch.state_topic, silences_topic=watch.silences, history_topic=watch.history),
        alert_rules=tuple(watch.configured()["rules"]),
        **parts,
    )
    path = folder / "fleet.json"
    path.write_bytes(msgspec.json.encode(fleet))
    return str(path)


def kafka_of(watch: Watch, bootstrap: str = "") -> dict[str, Any]:
    """Return the section ``kafka`` of console.yml."""
    configured = watch.configured()["kafka"]
    return {"bootstrap": [bootstrap or watch.kafka.bootstrap], "topics": configured["topics"]}


class Browser:
    """A person's browser."""

    def __init__(self, page: Console, name: str) -> None:
        self._url, self._browser = page.url, page.logged_in(name)
        self._csrf = csrf(self._browser.get(f"{page.url}/account", timeout=10).text)

    def ask(self, method: str, path: str, code: int = 200, **arguments: Any) -> Any:
        """Call the API; return what it answers."""
        began = time.monotonic()
        answer = self._browser.request(
            method, f"{self._url}/v1{path}", headers={"x-csrf-token": self._csrf}, timeout=30, **arguments
        )
        assert answer.status_code == code, answer.text
        assert time.monotonic() - began < _NEVER_LONGER_S, path
        return answer.json()

    def last(self, path: str) -> Any:
        """Return the last of the JSON lines that the API answers with."""
        answer = self._browser.get(f"{self._url}/v1{path}", timeout=60)
        assert answer.status_code == 200, answer.text
        return json.loads(answer.text.splitlines()[-1])

    def page(self, path: str) -> str:
        """Return a page."""
        answer = self._browser.get(f"{self._url}{path}", timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.text


@pytest.fixture
def watch(kafka: KafkaNode, tmp_path: Path) -> Iterator[Watch]:
    with serving() as vendor:
        watch = Watch(kafka, tmp_path, vendor)
        yield watch
        watch.kill()


@pytest.fixture
def tables(mariadb: MariaDB) -> Iterator[MariaDB]:
    make_database(mariadb)
    yield mariadb
    with mariadb.root() as cursor:
        cursor.execute(f"DROP DATABASE {DATABASE}")


@pytest.fixture
def page(tables: MariaDB, watch: Watch, tmp_path: Path) -> Iterator[Console]:
    fleet = {
        "document": write_fleet(tmp_path, watch, database=Database(host="127.0.0.1", port=tables.port, name=DATABASE))
    }
    with console(tables, tmp_path, kafka=kafka_of(watch), fleet=fleet) as running:
        yield running


def recorded(page: Console) -> list[tuple[str, str, str]]:
    """Return what people changed: who, what, of what."""
    with page.rows() as cursor:
        cursor.execute("SELECT actor, action, object FROM console_audit WHERE actor <> 'root' ORDER BY audit_id")
        return [*cursor.fetchall()]


def test_an_alert_is_silenced_from_its_row_and_stays_quiet_until_that_ends(page: Console, watch: Watch) -> None:
    olga, vera = Browser(page, "olga"), Browser(page, "vera")
    assert vera.ask("GET", "/alerts")["alerts"] is None, "no alerter has written its state yet"
    assert vera.ask("GET", "/silences") == []
    routes = watch.configured()["notifications"]["routes"]
    # Reported again soon, so that a silence has something to hold back.
    watch.configure(notifications={"routes": [{**route, "repeat_after_s": 2} for route in routes]})
    watch.start()
    watch.send(watch.requests(400))
    firing: list[dict[str, Any]] = []

    def fires() -> bool:
        firing[:] = vera.ask("GET", "/alerts")["alerts"] or []
        return bool(firing)

    wait_for(watch.log, fires)
    (alert,) = firing
    assert (alert["rule"], alert["labels"], alert["state"]) == ("rate", {"client_addr": CLIENT}, "firing")
    wanted = {"filter": alert["filter"], "span": "1h", "reason": "load <b>test</b>"}
    assert vera.ask("POST", "/silences", 403, json=wanted)["code"] == "forbidden"
    planned = olga.ask("POST", "/silences", json={**wanted, "dry_run": True})
    assert [one["incident"] for one in planned["would_hold_back"]] == [alert["incident"]]
    assert olga.ask("GET", "/silences") == []
    made = olga.ask("POST", "/silences", json=wanted)["silence"]
    assert (made["author"], made["state"], made["reason"]) == ("olga", "active", "load <b>test</b>")
    assert [one["id"] for one in vera.ask("GET", "/silences")] == [made["id"]]

    def held_back() -> bool:
        watch.send(watch.requests(200))
        history = vera.ask("GET", "/alerts/history")["records"]
        return any(one["event"] == "held_back" and made["id"] in one["text"] for one in history)

    wait_for(watch.log, held_back, seconds=40)
    story = vera.ask("GET", f"/alerts/{alert['incident']}")
    assert story["messages"][0]["delivered_by"] == ["ops"]
    assert story["whole"]
    assert vera.ask("GET", "/alerts/none", 404)["code"] == "not-found"
    assert vera.ask("DELETE", f"/silences/{made['id']}", 403)["code"] == "forbidden"
    assert olga.ask("DELETE", f"/silences/{made['id']}")["ended_by"] == "olga"
    assert vera.ask("GET", "/silences") == []
    assert "has ended already" in olga.ask("DELETE", f"/silences/{made['id']}", 422)["detail"]
    assert recorded(page) == [("olga", "silence.add", made["id"]), ("olga", "silence.end", made["id"])]
    (rule,) = vera.ask("GET", "/rules")["rules"]
    assert (rule["name"], rule["kind"]) == ("rate", "requests_per_client")
    assert rule["started"] >= 1


def test_a_rule_is_evaluated_beside_what_the_history_has(page: Console, watch: Watch) -> None:
    vera = Browser(page, "vera")
    watch.start()
    at = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    watch.send([record(json_line(n, msec=at.timestamp(), remote_addr=CLIENT), n * 300) for n in range(150)])
    lines = [
        AccessLine(values.stored(at), CLIENT, 200, 1, log_format="json", line_id=n.to_bytes(8, "big") * 2)
        for n in range(1, 151)
    ]
    store_lines(page.server, lines)

    def recorded_start() -> bool:
        history = vera.ask("GET", "/alerts/history?since=10m&rule=rate")["records"]
        return any(one["event"] == "started" for one in history)

    wait_for(watch.log, recorded_start)
    # A second is evaluated when it is over.
    wait_for("the end of the lines' second", lambda: time.time() > at.timestamp() + 2)
    found = vera.last("/rules/rate/would-fire?since=10m")
    assert (found["kind"], found["fires"], found["trouble"]) == ("end", 1, "")
    assert (found["history"]["fires"], found["history"]["whole"]) == (1, True)
    (would,), (real,) = found["conditions"], found["history"]["alerts"]
    assert (would["labels"], would["started"]) == (real["labels"], real["started"])
    assert would["labels"] == {"client_addr": CLIENT}
    # With a higher limit it would not have fired; what really happened stays.
    other = vera.last("/rules/rate/would-fire?since=10m&threshold=151")
    assert (other["fires"], other["history"]["fires"]) == (0, 1)


@pytest.mark.parametrize(
    ("wanted", "code", "says"),
    [
        ({"filter": "nothing:x", "reason": "x"}, "invalid-filter", "nothing"),
        ({"filter": "rule:(", "reason": "x"}, "invalid-filter", ""),
        ({"filter": "rule:rate", "reason": "x", "span": "soon"}, "invalid-parameter", "span: 'soon' is not a duration"),
        ({"filter": "rule:rate", "reason": "x", "span": "900d"}, "invalid-parameter", "too long"),
        ({"filter": "rule:rate", "reason": " "}, "invalid-parameter", "needs a reason"),
        ({"filter": "rule:rate"}, "invalid-parameter", "reason"),
    ],
)
def test_a_silence_that_cannot_be_is_refused(page: Console, wanted: dict[str, str], code: str, says: str) -> None:
    refused = Browser(page, "olga").ask("POST", "/silences", 422, json=wanted)
    assert refused["code"] == code
    assert says in refused["detail"]
    assert recorded(page) == []


def test_the_overview_says_what_this_host_can_ask_and_names_what_it_cannot(page: Console) -> None:
    vera = Browser(page, "vera")
    found = vera.ask("GET", "/status")
    layers = {row["layer"]: row["status"] for row in found["layers"]}
    assert layers["database"] == "ok"
    assert "kafka" in layers
    assert found["not_asked"] == ["consumer", "alerter"]
    assert not [one for one in found["findings"] if one["code"] == "HEALTH_LAYER_NOT_ASKED"]
    # The rig's topics have one replica and no more: the cluster's own check says so, with its page.
    assert all(one["page"] == f"/runbooks/{one['code']}" for one in found["findings"])
    assert vera.ask("GET", "/status")["as_of"] == found["as_of"], "kept for a while"
    assert vera.ask("GET", "/shippers") == []


def test_each_page_is_there_for_who_is_logged_in(page: Console) -> None:
    vera, olga = Browser(page, "vera"), Browser(page, "olga")
    for path in ("/overview", "/alerts", "/quarantine", "/runbooks/KAFKA_BROKER_DOWN"):
        assert "<h1" in vera.page(path)
        answer = requests.get(f"{page.url}{path}", timeout=10, allow_redirects=False)
        assert answer.headers["location"].startswith("/login?next=/")
    assert "data-operator" not in vera.page("/alerts")
    assert "data-operator" in olga.page("/alerts")
    assert requests.get(f"{page.url}/runbooks/NOTHING", timeout=10, allow_redirects=False).status_code == 303
    for path in (
        "/alerts",
        "/alerts/history",
        "/alerts/x",
        "/silences",
        "/rules",
        "/status",
        "/shippers",
        "/quarantine",
    ):
        assert requests.get(f"{page.url}/v1{path}", timeout=10).json()["code"] == "not-logged-in"


def test_without_kafka_its_parts_say_so_and_nothing_hangs(tables: MariaDB, watch: Watch, tmp_path: Path) -> None:
    fleet = {"document": write_fleet(tmp_path, watch)}
    away = kafka_of(watch, f"127.0.0.1:{free_port()}")
    with console(tables, tmp_path, kafka=away, fleet=fleet) as page:
        olga = Browser(page, "olga")
        for path in ("/alerts", "/alerts/history", "/silences"):
            assert olga.ask("GET", path, 503)["code"] == "kafka-away"
        wanted = {"filter": "rule:rate", "reason": "x"}
        assert olga.ask("POST", "/silences", 503, json=wanted)["code"] == "kafka-away"
        assert [rule["started"] for rule in olga.ask("GET", "/rules")["rules"]] == [None]
        assert olga.ask("GET", "/quarantine")["lines"] == []
        assert recorded(page) == []


def test_without_kafka_and_fleet_in_its_configuration_the_rest_works(tables: MariaDB, tmp_path: Path) -> None:
    with console(tables, tmp_path, fleet={"document": str(tmp_path / "nowhere.json")}) as page:
        vera = Browser(page, "vera")
        assert "no section kafka" in vera.ask("GET", "/alerts", 503)["detail"]
        assert "there is no" in vera.ask("GET", "/status", 503)["detail"]
        assert vera.ask("GET", "/quarantine")["lines"] == []
