"""What the service manager hears: a real datagram socket, by path and by abstract name."""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path

import pytest

from obsctl.core.systemd import Notifier


@pytest.mark.parametrize("abstract", [False, True])
def test_states_arrive_in_one_datagram(tmp_path: Path, abstract: bool) -> None:
    name = f"@obsctl-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    environment = {"NOTIFY_SOCKET": name, "OTHER": "1"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:] if abstract else name)
        manager.settimeout(5)
        notifier = Notifier(environment)
        notifier.send("READY=1", "STATUS=running")
        assert manager.recv(1000) == b"READY=1\nSTATUS=running"
    assert environment == {"OTHER": "1"}, "children must not speak for their parent"


def test_without_a_manager_nothing_happens() -> None:
    Notifier({}).send("READY=1")


def test_a_manager_that_is_not_there_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    with caplog.at_level(logging.WARNING):
        notifier.send("WATCHDOG=1")
        notifier.send("WATCHDOG=1")
    assert caplog.messages == ["systemd's notification socket does not answer"]
