"""What somebody who listens on the fleet's network can read."""

from __future__ import annotations

import ssl
import uuid
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from obsctl.lab.spec import FLEET_LAB
from rig.wire import Flow, recording
from tests.lab.conftest import ROBOT, VIP, Fleet, get, wait_for

CA = Path("/var/lib/obsctl-lab/ca.pem")
SECRETS = Path("/var/lib/obsctl-lab/secrets")
#: What the consumer, the alerter and ``obsctl`` say to the database, and as whom.
SQL = ("INSERT INTO", "LOAD DATA", "SELECT ", "obs_consumer", "obs_reader")
#: A request for the stand-in of the robot, which speaks plain HTTP, is unencrypted, as in the inventory.
MAIL_PORT = 9525
ROWS = "SELECT COUNT(*) FROM access_log WHERE uri IN ('/{}', '/{}')"


def get_encrypted(path: str) -> None:
    """GET over TLS through the VIP, whose certificate has to be the fleet's."""
    connection = HTTPSConnection(VIP, 443, timeout=5, context=ssl.create_default_context(cafile=str(CA)))
    try:
        connection.request("GET", path)
        connection.getresponse().read()
    finally:
        connection.close()


def is_of_a_stand_in(flow: Flow) -> bool:
    """Whether it is a message to, or an answer of, a stand-in that the lab's machine runs."""
    ports = (ROBOT[1], MAIL_PORT)
    return (flow.target, flow.target_port) in {(ROBOT[0], port) for port in ports} or flow.source_port in ports


def test_nothing_on_the_wire_can_be_read(healthy: Fleet) -> None:
    """A request over TLS can be read nowhere; of one without TLS only the request itself, never its log line."""
    if not CA.exists():
        pytest.skip("the lab's inventory has fleet_tls off")
    hidden, clear = f"hidden-{uuid.uuid4().hex}", f"clear-{uuid.uuid4().hex}"
    passwords = [path.read_text().strip() for path in SECRETS.iterdir() if path.is_file()]
    with recording(map(FLEET_LAB.link, FLEET_LAB.hosts), [hidden, clear, *passwords, *SQL]) as wire:
        get(f"/{clear}")
        get_encrypted(f"/{hidden}")
        wait_for("both rows", lambda: healthy.number(ROWS.format(hidden, clear)) == 2, seconds=60)
        for command in ("health", "kafka status", "consumer status"):
            assert healthy.obsctl(*command.split()).code == 0, command
    seen = {text: {flow for flow in flows if not is_of_a_stand_in(flow)} for text, flows in wire.seen.items()}
    # The recorder can see: this one was sent without TLS on purpose, and can be read only there.
    assert {flow.target_port for flow in seen.pop(clear)} == {80}
    readable = {("a password" if text in passwords else text): flows for text, flows in seen.items() if flows}
    assert readable == {}
