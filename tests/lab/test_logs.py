"""A line followed through the whole fleet; what is said where it stays stands in ``catalogue.py``."""

from __future__ import annotations

from tests.lab.conftest import Fleet


def test_a_line_of_each_balancer_is_followed_and_traced(healthy: Fleet) -> None:
    answer = healthy.obsctl("verify", "logs", "-o", "json")
    assert answer.code == 0, answer.said
    lines = answer.json["data"]["lines"]
    assert {line["host"] for line in lines} == {line["backend"] for line in lines} == {"node1", "node2", "node3"}
    assert {(line["state"], line["hop"]) for line in lines} == {("ok", "alerter")}
    # All hosts have this machine's clock.
    assert all(abs(line["clock_s"]) <= line["clock_error_s"] + 0.01 for line in lines)
    traced = healthy.obsctl("trace", "-n", "6", "-o", "json")
    assert traced.code == 0, traced.said
    assert [(hop["hop"], hop["lines"]) for hop in traced.json["data"]["hops"]] == [
        (hop, 6) for hop in ("nginx", "file", "filebeat", "kafka", "row")
    ]
