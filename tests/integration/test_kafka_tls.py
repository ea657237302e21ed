"""A real TLS listener that is asked without TLS: the error says that the port speaks TLS."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from obsctl.checks.kafka import wire
from obsctl.checks.kafka.snapshot import TLS
from rig.kafka import KafkaNode
from rig.ports import free_port
from tests.contract.alerter.network import Authority


def test_a_tls_listener_of_kafka_speaks_tls(kafka_libs: Path, tmp_path: Path) -> None:
    Authority(tmp_path / "ca")
    node = KafkaNode(kafka_libs, tmp_path)
    port, config = free_port(), tmp_path / "server.properties"
    properties = dict(line.split("=", 1) for line in config.read_text().splitlines())
    properties |= {
        "listeners": f"{properties['listeners']},SSL://127.0.0.1:{port}",
        "advertised.listeners": f"{properties['advertised.listeners']},SSL://127.0.0.1:{port}",
        "listener.security.protocol.map": f"{properties['listener.security.protocol.map']},SSL:SSL",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(tmp_path / "ca/server.pem"),
    }
    config.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
    node.start()
    try:
        with pytest.raises(wire.BrokerSilentError) as caught:
            wire.Conversation("127.0.0.1", port, time.monotonic() + 5)
    finally:
        node.kill()
    assert (caught.value.kind, str(caught.value)) == (TLS, "the port expects TLS, but obsctl connects without it")
