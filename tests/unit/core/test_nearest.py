"""Names that a person may have meant."""

from __future__ import annotations

import pytest

from obsctl.core.nearest import did_you_mean, nearest

TOPICS = ("nginxlog", "nginxlog-errors", "obsctl-alerts", "canary")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("nginxlgo", ["nginxlog"]),
        ("NginxLog", ["nginxlog"]),
        ("nginxlog_errors", ["nginxlog-errors"]),
        # Long names share their beginnings: only what is as good as the best is offered.
        ("nginxlog-error", ["nginxlog-errors"]),
        ("kafka", []),
        ("", []),
    ],
)
def test_what_is_most_alike(name: str, found: list[str]) -> None:
    assert nearest(name, TOPICS) == found


def test_several_that_are_as_good() -> None:
    assert did_you_mean("node", ["node1", "node2", "db1"]) in (
        "did you mean node1 or node2?",
        "did you mean node2 or node1?",
    )


def test_several_names_that_do_not_exist() -> None:
    assert did_you_mean(["nginxlgo", "canari"], TOPICS) == "did you mean nginxlog or canary?"


def test_what_is_said_where_nothing_is_alike() -> None:
    assert did_you_mean("kafka", TOPICS, "obsctl kafka topics lists the topics") == (
        "obsctl kafka topics lists the topics"
    )
    assert did_you_mean("kafka", ()) == ""
