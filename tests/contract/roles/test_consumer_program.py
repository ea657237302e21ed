"""Where the role puts the consumer is where ``obsctl consumer`` looks for it."""

from __future__ import annotations

from pathlib import Path

import yaml

from obsctl.cli import consumer, there


def test_program_configuration_and_user(project: Path) -> None:
    made = yaml.safe_load((project / "roles/consumer/vars/main.yml").read_text())
    places = yaml.safe_load((project / "roles/obsctl/vars/main.yml").read_text())
    assert f"{places['__obsctl_home']}/venv/bin/obsctl" == there.PROGRAM
    assert f"{places['__obsctl_etc']}/consumer.yml" == consumer._CONFIG
    assert consumer._USER in made["__consumer_services"]
    (secret,) = [line for line in str(made["__consumer_secrets"]).splitlines() if "mysql_consumer" in line]
    assert "'source': consumer_database_password" in secret
    assert f"'owner': '{consumer._USER}'" in str(made["__consumer_secrets"])
