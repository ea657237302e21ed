"""What a console shows of Kafka and of a running alerter, and what people change there."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from obsctl.console.privileges import REPLAY_PRIVILEGES
from rig.browser import Browser
from rig.console import DATABASE, Console, console
from rig.database import grant
from rig.kafka import KafkaNode
from rig.records import json_line, record
from rig.vendor import serving
from rig.waiting import wait_for
from tests.browser import steps
from tests.integration.test_alerter import CLIENT, Watch
from tests.integration.test_console_alerts import kafka_of, write_fleet

_REPLAY_USER, _REPLAY_PASSWORD = "obs_browser_replay", "replay-account-password"
#: The host that shipped the line that can be replayed.
_SHIPPER = "node9"


@pytest.fixture(scope="module")
def watch(kafka: KafkaNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    """An alerter that reports an alert again soon, so that a silence has something to hold back."""
    with serving() as vendor:
        made = Watch(kafka, tmp_path_factory.mktemp("alerter"), vendor)
        routes = made.configured()["notifications"]["routes"]
        made.configure(notifications={"routes": [{**route, "repeat_after_s": 2} for route in routes]})
        made.start()
        yield made
        made.kill()


@pytest.fixture(scope="module")
def second(site: Console, watch: Watch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A second console over the database of the first, with Kafka."""
    folder = tmp_path_factory.mktemp("second")
    secret = folder / "replay"
    secret.write_text(f"{_REPLAY_PASSWORD}\n")
    secret.chmod(0o600)
    with site.server.root() as cursor:
        grant(cursor, DATABASE, _REPLAY_USER, _REPLAY_PASSWORD, REPLAY_PRIVILEGES)
    sections = {
        "kafka": kafka_of(watch),
        "fleet": {"document": write_fleet(folder, watch)},
        "replay": {"user": _REPLAY_USER, "password": f"file:{secret}"},
    }
    with console(site.server, folder, **sections) as running:
        yield running


@pytest.fixture
def live(page: Browser, second: Console) -> Browser:
    """The browser on the console with Kafka."""
    page.fresh(second)
    return page


def test_an_alert_that_fires_is_silenced_from_its_row_and_stays_quiet(
    live: Browser, second: Console, watch: Watch, axe_script: str
) -> None:
    watch.send(watch.requests(400))
    wait_for(watch.log, watch.titles)
    steps.opened(live, second, "/alerts", "vera")
    live.wait("the alert", lambda: f"client_addr={CLIENT}" in live.texts("#firing td:nth-child(3)"))
    assert not live.all("#firing button[aria-label^=Silence]"), "a viewer silences nothing"
    steps.opened(live, second, "/alerts", "olga")
    live.click("#firing button[aria-label^=Silence]")
    live.write("#silencing [name=reason]", "load <b>test</b>")
    live.click("#silencing [value=try]")
    live.wait("what it would hold back", lambda: CLIENT in live.one("#silence-plan").text)
    assert live.barriers(axe_script) == []
    live.click("#silencing [value=silence]")
    live.wait("the silence", lambda: live.texts("#silences td:nth-child(3)") == ["olga"])
    assert live.texts("#silences td:nth-child(4)") == ["load <b>test</b>"]

    def held_back() -> bool:
        watch.send(watch.requests(200))
        live.open("/alerts")
        steps.settled(live)
        return any(text.strip() for text in live.texts("#firing td:nth-child(5)"))

    wait_for(watch.log, held_back, seconds=40)
    assert "held_back" in live.texts("#history td:nth-child(2)")
    said = len(watch.titles())
    watch.send(watch.requests(200))
    # Longer than the pause before a message would be repeated.
    time.sleep(3)
    assert len(watch.titles()) == said, "a silenced alert is not reported again"
    live.click("#silences button")
    live.wait("no silence", lambda: live.one("#silences-note").text == "No silence is active.")


def test_a_tail_that_is_paused_keeps_its_place(live: Browser, second: Console, watch: Watch) -> None:
    steps.opened(live, second, "/tail?log=access&filter=status%3A503", "vera")
    live.wait("it follows", lambda: live.one("#progress").text == "Following new lines.")
    producer, numbers = watch.kafka.producer(), iter(range(1, 1000))

    def write(uri: str) -> None:
        for changes in ({"status": 503, "uri": uri}, {"status": 200, "uri": "/other"}):
            producer.produce(watch.topic, record(json_line(number := next(numbers), **changes), 1_000_000 + number))
        assert producer.flush(30) == 0

    def shown() -> list[str]:
        return steps.found(live, "uri")

    write("/one")
    live.wait("the line", lambda: shown() == ["/one"])
    live.click("#pause")
    write("/two")
    live.wait("it waits", lambda: "1 new lines wait" in live.one("#counts").text)
    assert shown() == ["/one"]
    assert live.one("#progress").text == "Paused."
    live.click("#pause")
    live.wait("both", lambda: shown() == ["/two", "/one"])


@pytest.fixture
def readable(second: Console) -> Iterator[Console]:
    """The console, with a quarantined line that this release can read."""
    value = record(json_line(1, uri="/replayed"), 77, host=_SHIPPER)
    with second.rows() as cursor:
        cursor.execute(
            "INSERT INTO quarantine (line_id, source_id, kafka_offset, log_format, host, reason, detail, value,"
            " value_bytes, revision, stored_at) VALUES (%s, 1, 9, 'json', %s, 'format', 'because', %s, %s,"
            " '0000000000000000', UTC_TIMESTAMP(3))",
            (b"r" * 16, _SHIPPER, value, len(value)),
        )
    yield second
    with second.rows() as cursor:
        cursor.execute("DELETE FROM quarantine WHERE host = %s", (_SHIPPER,))
        cursor.execute("DELETE FROM access_log WHERE uri = '/replayed'")


def test_a_quarantined_line_is_replayed_after_a_dry_run(live: Browser, readable: Console) -> None:
    path = f"/quarantine?since=7d&host={_SHIPPER}"
    steps.opened(live, readable, path, "vera")
    assert live.texts("#lines td:nth-child(2)") == ["format"]
    assert len(live.all("#lines button")) == 1, "a viewer opens it and replays nothing"
    steps.opened(live, readable, path, "olga")
    live.all("#lines button")[-1].click()
    live.wait("the plan", lambda: "1" in live.one("#plan").text)

    def stored() -> int:
        with readable.rows() as cursor:
            cursor.execute("SELECT COUNT(*) FROM access_log WHERE uri = '/replayed'")
            return int(cursor.fetchone()[0])  # type: ignore[index]

    assert stored() == 0, "a dry run stores nothing"
    live.click("#replaying [value=replay]")
    live.wait("it is done", lambda: not live.texts("#lines td:nth-child(2)"))
    assert stored() == 1
