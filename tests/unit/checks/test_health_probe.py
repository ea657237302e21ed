"""What a host says about itself over ssh, and what it does not."""

from __future__ import annotations

import pytest

from obsctl.checks.ask import ssh
from obsctl.checks.health import collect as health
from obsctl.fleet.model import Database, Fleet, Host

HOST = Host(name="db1", address="198.18.0.21", groups=("mysql", "filebeat"))
FLEET = Fleet(hosts=(HOST,), database=Database(service="mariadb"))


def test_a_host_that_tells_all_its_units_has_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    output = "unit filebeat active\nunit mariadb failed\ndisk 1000 10% /\n"
    monkeypatch.setattr(ssh, "run", lambda *_args, **_options: ssh.Answer(output=output))
    probe = health.probe_host(FLEET, HOST)
    assert (probe.failure, probe.units) == ("", {"filebeat": "active", "mariadb": "failed"})


@pytest.mark.parametrize("output", ["", "This account is currently not available.\n", "unit filebeat active\n"])
def test_a_shell_that_tells_less_is_no_answer(monkeypatch: pytest.MonkeyPatch, output: str) -> None:
    monkeypatch.setattr(ssh, "run", lambda *_args, **_options: ssh.Answer(status=1, output=output))
    probe = health.probe_host(FLEET, HOST)
    assert not probe.answered
    assert output.strip()[:20] in probe.failure
