"""What an administrator changes while lines arrive: no request fails, and every line is one row.

The fleet leaves TLS and returns to it, certificates of some minutes are replaced three times, the CA is changed, and so
are passwords.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from obsctl.lab.spec import FLEET_LAB
from rig.wire import recording
from rig.written_lines import stopper, writer
from tests.lab.conftest import INVENTORY, NODES, Fleet, Probe, log_in, play, wait_for

pytestmark = [pytest.mark.long, pytest.mark.timeout(7200)]

#: Lines a second: those of requests through the VIP, and the others, which cost far less than a request with TLS to the
#: balancer and to the back end.
_REQUESTS, _WRITTEN = 10, 990
_LONGEST_S = 7000
#: How long certificates live at least; on a machine where playbooks take longer, four times as long as a step.
_LEAST_LIFE_S = 600
_PLAY_S = 1500
#: What nodes that restart one at a time never cause: each of them is missing for a while, and the others suffice.
_NOT_WRITABLE = {"KAFKA_UNREACHABLE", "KAFKA_OFFLINE_PARTITIONS", "KAFKA_UNDER_MIN_ISR"}
#: Of the files of a folder the one that is read last wins.
_LAST = "group_vars/all/zz-changed.yml"


class Load:
    """A thousand lines a second, some of them of real requests; the state of Kafka is read all the time.

    Attributes:
        kafka: the codes of the findings of each ``obsctl kafka status``.
    """

    def __init__(self, fleet: Fleet) -> None:
        self.kafka: list[set[str]] = []
        self._fleet = fleet
        self._markers = {node: f"live{uuid.uuid4().hex[:12]}" for node in NODES}
        self._probe = Probe(f"live-{uuid.uuid4().hex}", hz=_REQUESTS, timeout=5)
        self._writers: dict[str, subprocess.Popen[str]] = {}
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._look)

    def __enter__(self) -> Load:
        for node, marker in self._markers.items():
            self._writers[node] = self._fleet.start(node, *writer(marker, _WRITTEN / len(NODES), _LONGEST_S))
        self._probe.__enter__()
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._probe.__exit__()
        for node, marker in self._markers.items():
            self._fleet.ssh(node, *stopper(marker))
        self._written = sum(int(run.communicate(timeout=60)[0]) for run in self._writers.values())
        self._watch.join()

    def _look(self) -> None:
        while not self._over.wait(20):
            self.kafka.append(self._fleet.obsctl("kafka", "status", "-o", "json").codes)

    def assert_readable_on_the_wire(self, fleet: Fleet) -> None:
        """Check that without TLS lines on their way to Kafka, a user name and SQL are read: test_wire.py can fail."""
        markers = list(self._markers.values())
        with recording(map(FLEET_LAB.link, FLEET_LAB.hosts), [*markers, "obs_reader", "SELECT "]) as wire:
            fleet.obsctl("health")
            # A client without authorities uses TLS if the server offers it, as MySQL does by its own certificate.
            with log_in(ssl_disabled=True) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            wait_for("lines of all balancers", lambda: wire.seen.keys() >= set(markers))
        for marker in markers:
            assert 9092 in {flow.target_port for flow in wire.seen[marker]}
        assert {"obs_reader", "SELECT "} <= wire.seen.keys()

    def assert_each_line_is_a_row(self) -> None:
        """Check it after the load's end: no request failed, and there are as many rows as lines."""
        tries = self._probe.tries()
        assert len(tries) > 20 * _REQUESTS
        assert [one for one in tries if one.status not in (200, 404)] == []
        names = " OR ".join(f"request_id LIKE '{marker}-%'" for marker in self._markers.values())
        written = f"SELECT COUNT(*) FROM access_log WHERE {names}"
        asked = f"SELECT COUNT(*) FROM access_log WHERE uri LIKE '{tries[0].path.partition('?')[0]}%'"
        for question, lines in ((written, self._written), (asked, len(tries))):
            wait_for(f"{lines} rows", lambda sql=question, all_=lines: self._fleet.number(sql) >= all_, seconds=120)
        time.sleep(3)
        assert (self._fleet.number(written), self._fleet.number(asked)) == (self._written, len(tries))


class Change:
    """The lab's inventory with settings of the test's own, which playbooks bring about."""

    def __init__(self, inventory: Path) -> None:
        self.inventory = shutil.copytree(INVENTORY, inventory)

    def __call__(self, *arguments: str, **settings: Any) -> None:
        """Run playbooks; they have to succeed."""
        (self.inventory / _LAST).write_text(yaml.safe_dump(settings))
        answer = play(*arguments, inventory=self.inventory, timeout=_PLAY_S)
        assert answer.code == 0, answer.said


@pytest.fixture
def change(healthy: Fleet, tmp_path: Path) -> Iterator[Change]:
    """What changes settings; the fleet is healthy at the end."""
    yield Change(tmp_path / "lab")
    healthy.wait_healthy()


def test_the_fleet_leaves_tls_and_returns_to_it(healthy: Fleet, change: Change) -> None:
    with Load(healthy) as load:
        assert {"9092", "9094"} & _ports(healthy) == {"9094"}
        change("playbooks/tls.yml", fleet_tls=False, nginx_backend_tls=False)
        assert {"9092", "9094"} & _ports(healthy) == {"9092"}
        load.assert_readable_on_the_wire(Fleet(healthy.record, change.inventory))
        change("playbooks/tls.yml")
        assert {"9092", "9094"} & _ports(healthy) == {"9094"}
    load.assert_each_line_is_a_row()


def test_ca_certificates_and_passwords_are_changed(healthy: Fleet, change: Change, tmp_path: Path) -> None:
    serials = [_serial(healthy)]

    def renew(*arguments: str, **settings: Any) -> float:
        # Hosts are reached in the same order each time, minutes after the beginning where the machine is busy.
        began = time.monotonic()
        change("playbooks/certificates.yml", *arguments, **settings)
        serials.append(_serial(healthy))
        return began

    for name in ("kafka_filebeat", "kafka_consumer", "kafka_alerter", "mysql_consumer"):
        (tmp_path / name).write_text(f"{name}-{uuid.uuid4().hex}")
    of_kafka = {
        f"kafka_{user}_password": f"file:{tmp_path}/kafka_{user}" for user in ("filebeat", "consumer", "alerter")
    }
    of_database = {"mysql_consumer_password": f"file:{tmp_path}/mysql_consumer"}

    with Load(healthy) as load:
        began = time.monotonic()
        change("playbooks/certificates.yml", "-e", "certificates_ca_step=trust")
        life = max(_LEAST_LIFE_S, 4 * (time.monotonic() - began))
        short = {"certificates_days": life / 86_400}

        def wait_until_due(issued: float) -> None:
            """Wait until less than a third of the life is left, on hosts that were reached a minute later as well."""
            time.sleep(max(0.0, issued + life * 2 / 3 + 60 - time.monotonic()))

        issued = renew("-e", "certificates_ca_step=move", **short)
        change("playbooks/certificates.yml", "-e", "certificates_ca_step=drop", **short)

        change("playbooks/kafka.yml", "playbooks/consumer.yml", "playbooks/filebeat.yml", **short, **of_kafka)
        wait_until_due(issued)
        issued = renew(**short, **of_kafka)

        change("playbooks/database_passwords.yml", **short, **of_kafka, **of_database)
        wait_until_due(issued)
        issued = renew(**short, **of_kafka, **of_database)

        change("playbooks/database_passwords.yml", **short, **of_kafka)
        change("playbooks/kafka.yml", "playbooks/consumer.yml", "playbooks/filebeat.yml", **short)
        wait_until_due(issued)
        renew()
    assert len(set(serials)) == 5, "of before, of the new CA, and three renewed ones"
    load.assert_each_line_is_a_row()
    assert len(load.kafka) > 20
    assert [codes for codes in load.kafka if codes & _NOT_WRITABLE] == []


def _ports(fleet: Fleet) -> set[str]:
    """Return the ports on which the first node listens."""
    return {
        line.split()[3].rpartition(":")[2] for line in fleet.ssh("node1", "ss", "-H", "-l", "-t", "-n").splitlines()
    }


def _serial(fleet: Fleet) -> str:
    """Return the serial number of the certificate that a broker presents to its clients."""
    ask = "openssl s_client -connect 198.18.0.11:9094 </dev/null 2>/dev/null | openssl x509 -noout -serial"
    return fleet.ssh("node1", "sh", "-c", ask)
