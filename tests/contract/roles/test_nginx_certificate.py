"""What the balancers' certificate is for."""

from __future__ import annotations

from pathlib import Path

import yaml

from rig.rendered_role import RenderedNode


def names(folder: Path, held: list[str]) -> set[str]:
    """Return the names of the certificate of a balancer that has these addresses beside its own."""
    variables = {"fleet_vip": "192.0.2.100", "keepalived_vip": "192.0.2.101", "nginx_tls_names": ["shop.example.com"]}
    hosts = {"node1": {"ansible_host": "192.0.2.1"}}
    path = folder / "hosts.yml"
    path.write_text(yaml.safe_dump({"all": {"vars": variables, "children": {"lb": {"hosts": hosts}}}}))
    facts = {"all_ipv4_addresses": ["192.0.2.1", "127.0.1.1", *held]}
    found: list[str] = RenderedNode(path, "node1", "nginx", facts).value("__nginx_certificate_names")
    assert len(found) == len(set(found))
    return set(found)


def test_it_names_what_the_inventory_has_whatever_addresses_the_host_has_now(tmp_path: Path) -> None:
    """Otherwise a run after a failover, or after the start of a container, would issue another one."""
    wanted = {"192.0.2.1", "node1", "shop.example.com", "192.0.2.100", "192.0.2.101"}
    assert names(tmp_path, []) == names(tmp_path, ["192.0.2.101", "172.17.0.1"]) == wanted
