"""What several roles, playbooks and pages say about the fleet stands in one place, or is compared with it here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]


def _load(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def test_the_topics_are_named_once() -> None:
    """The specification repeats the defaults, and test_argument_specs compares the two."""
    names = [topic["name"] for topic in _load("roles/fleet_topics/defaults/main.yml")["fleet_topics"].values()]
    assert len(set(names)) == len(names) == 8
    repeated = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "roles").rglob("*"))
        if path.is_file() and "fleet_topics" not in path.parts and any(name in path.read_text() for name in names)
    ]
    assert repeated == []


@pytest.mark.parametrize("role", ["kafka", "filebeat", "consumer"])
def test_who_uses_the_topics_depends_on_them(role: str) -> None:
    assert "fleet_topics" in (ROOT / "roles" / role / "defaults/main.yml").read_text()
    assert {"role": "obscraft.fleet.fleet_topics"} in _load(f"roles/{role}/meta/main.yml")["dependencies"]


def test_the_check_of_the_vip_reads_the_header_that_nginx_sends() -> None:
    sent = _load("roles/nginx/defaults/main.yml")["nginx_balancer_header"]
    assert (
        f"nginx_balancer_header | default('{sent}')" in _load("roles/keepalived/vars/main.yml")["__keepalived_header"]
    )


def test_every_playbook_runs_alone_by_its_tag() -> None:
    """``site.yml --tags kafka`` must not do nothing and end with success."""
    for path in sorted((ROOT / "ansible/playbooks").glob("*.yml")):
        plays = [play for play in yaml.safe_load(path.read_text()) if "roles" in play]
        assert all(path.stem in play.get("tags", ()) for play in plays), path.name
