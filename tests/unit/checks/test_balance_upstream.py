"""What is read of nginx's configuration, and what of it leaves the host."""

from __future__ import annotations

import subprocess

import pytest

from obsctl.checks.balance import upstream
from obsctl.checks.balance.snapshot import BalancerConfig, Member, Upstream

BACKENDS = {"198.18.0.11:8080", "198.18.0.12:8080", "198.18.0.13:8080"}
#: As `nginx -T` writes it: each file behind its name, includes where they stand.
DUMP = r"""# configuration file /etc/nginx/nginx.conf:
user www-data;
http {
    map $http_x $y { default "a;b{"; "~^}" '#'; }
    limit_req_zone $binary_remote_addr zone=web:10m rate=10r/s;
    upstream other { server 192.0.2.1:9000; }
    upstream backends {
        # upstream of { 198.18.0.99:8080 } long ago
        zone backends 256k;
        least_conn;
        server 198.18.0.11:8080 weight=5 max_fails=2 fail_timeout=10s; # node1
        server 198.18.0.12:8080 max_fails=2; server 198.18.0.13:8080 down;
        server 198.18.0.11:8080 max_fails=0 backup;
    }
    server {
        include /etc/nginx/obscraft-test.conf;
        location / { limit_req zone=web burst=5; proxy_pass http://backends; }
    }
}

# configuration file /etc/nginx/obscraft-test.conf:
secure_link_md5 "$secure_link_expires $http_x_obscraft_test SENTINEL";
"""


def test_the_block_of_the_fleets_back_ends_is_read() -> None:
    config = upstream.read_config("node1", DUMP, BACKENDS, 2)
    assert config == BalancerConfig(
        node="node1",
        workers=2,
        limits=("limit_req zone=web burst=5",),
        upstream=Upstream(
            name="backends",
            method="least_conn",
            zone=True,
            members=(
                Member(address="198.18.0.11:8080", weight=5),
                Member(address="198.18.0.12:8080"),
                Member(address="198.18.0.13:8080", down=True),
                Member(address="198.18.0.11:8080", backup=True),
            ),
        ),
    )


def filtered(text: str) -> str:
    return subprocess.run(
        ["sh", "-c", upstream.FILTER], input=text, capture_output=True, text=True, check=True, timeout=10
    ).stdout


def test_nothing_but_upstreams_and_limits_leaves_the_host() -> None:
    left = filtered(DUMP)
    assert "SENTINEL" not in left
    assert "www-data" not in left
    got, whole = (upstream.read_config("node1", text, BACKENDS) for text in (left, DUMP))
    assert got.upstream == whole.upstream


@pytest.mark.parametrize(
    ("block", "members"),
    [
        ("upstream a\n{\n  server 198.18.0.11:8080;\n}", ["198.18.0.11:8080"]),
        ("upstream a { server 198.18.0.11:8080; }", ["198.18.0.11:8080"]),
        ("upstream 'a' { server \"198.18.0.11:8080\"; }", ["198.18.0.11:8080"]),
        ("upstream a { server app.example.com; server 198.18.0.11:8080; }", ["app.example.com:80", "198.18.0.11:8080"]),
        (
            "upstream a { server unix:/run/a.sock; server [2001:db8::1]:80; server 198.18.0.11:8080; }",
            ["unix:/run/a.sock", "[2001:db8::1]:80", "198.18.0.11:8080"],
        ),
        ("upstream a { server 198.18.0.11:8080 weight=x weight=; }", ["198.18.0.11:8080"]),
        ("upstream a { server 198.18.0.11:8080;", ["198.18.0.11:8080"]),
    ],
)
def test_members_however_they_are_written(block: str, members: list[str]) -> None:
    for text in (block, filtered(block)):
        found = upstream.read_config("node1", text, BACKENDS).upstream
        assert found is not None
        assert [member.address for member in found.members] == members
        assert {member.weight for member in found.members} == {1}


@pytest.mark.parametrize(
    ("directive", "method"),
    [
        ("", "round_robin"),
        ("least_conn;", "least_conn"),
        ("ip_hash;", "ip_hash"),
        ("hash $request_uri consistent;", "hash"),
        ("random two least_conn;", "random"),
    ],
)
def test_the_method_is_recognised(directive: str, method: str) -> None:
    text = f"upstream a {{ {directive} server 198.18.0.11:8080; keepalive 8; }}"
    found = upstream.read_config("node1", text, BACKENDS).upstream
    assert found is not None
    assert (found.method, found.zone) == (method, False)


@pytest.mark.parametrize("text", ["", "}", "{{{", "upstream", "upstream x;", 'upstream "', "http { server { } }"])
def test_a_configuration_without_such_a_block_has_none(text: str) -> None:
    assert upstream.read_config("node1", text, BACKENDS).upstream is None


def test_of_blocks_that_list_no_back_end_a_single_one_is_meant() -> None:
    one, two = "upstream a { server 192.0.2.1:80; }", "upstream b { server 192.0.2.2:80; }"
    alone = upstream.read_config("node1", one, BACKENDS).upstream
    assert alone is not None
    assert alone.name == "a"
    assert upstream.read_config("node1", one + two, BACKENDS).upstream is None
