"""Which lines the members of projects see: joined to their filters as a tree, whatever the filter's text is."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest

from obsctl.console.people.projects import Project
from obsctl.console.people.scope import NotCountedError, Scope, UnreadableProjectError
from obsctl.lines.formats.line import AccessLine, ErrorLine
from obsctl.query.errors import QueryError
from obsctl.query.fields import ACCESS, ERROR
from obsctl.query.predicate import compile_predicate
from obsctl.query.sql import to_sql

NOW = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)


def scope(*access: str, error: str = "") -> Scope:
    return Scope(tuple(Project(f"p{n}", {"access_log": text, "error_log": error}, ()) for n, text in enumerate(access)))


def line(uri: str, host: str = "node1", status: int = 200) -> AccessLine:
    return AccessLine("2026-03-01 00:00:00.000", "192.0.2.7", status, 1, uri=uri, host=host, log_format="json")


SHOP, BLOG, OTHER = line("/shop/1"), line("/blog/1", "node2"), line("/other", "node3", 500)


def seen(wanted: Scope, text: str) -> list[str]:
    fits = compile_predicate(wanted.narrowed(text, ACCESS), ACCESS, lambda: NOW)
    return [one.uri for one in (SHOP, BLOG, OTHER) if fits(one)]


def test_who_is_in_no_project_sees_everything() -> None:
    assert seen(Scope(None), "") == ["/shop/1", "/blog/1", "/other"]


def test_members_see_the_lines_of_any_of_their_projects() -> None:
    assert seen(scope("uri:\\/shop*"), "") == ["/shop/1"]
    assert seen(scope("uri:\\/shop*", "host:node2"), "*") == ["/shop/1", "/blog/1"]
    assert seen(scope("uri:\\/shop* OR host:node2"), "host:node2 AND status:200") == ["/blog/1"]


@pytest.mark.parametrize(
    "text",
    [
        "* OR *", "*:*", "uri:* OR NOT uri:*", "NOT uri:\\/shop*", "uri:\\/other OR host:node3", "status:500",
        "(a) OR (*)", "NOT (NOT *)", "NOT NOT NOT NOT *", "uri:\\/shop* OR uri:*",
    ],
)  # fmt: skip
def test_no_filter_leaves_the_project(text: str) -> None:
    assert set(seen(scope("uri:\\/shop*"), text)) <= {"/shop/1"}


@pytest.mark.parametrize("text", [") OR (*", "*) OR (*:*", "* ) --", "' OR '1'='1", '" OR *'])
def test_a_text_that_would_close_the_projects_parenthesis_is_no_filter(text: str) -> None:
    try:
        assert set(seen(scope("uri:\\/shop*"), text)) <= {"/shop/1"}
    except QueryError:
        return


def test_a_projects_own_or_does_not_swallow_what_is_asked_for() -> None:
    sql = to_sql(scope("status:1 OR status:2").narrowed("status:3 OR status:4", ACCESS), ACCESS, NOW)
    one = "(`status` = %s)"
    assert sql.text == f"(({one} OR {one}) AND ({one} OR {one}))"
    assert sql.parameters == (1, 2, 3, 4)


def test_without_a_filter_for_a_log_nothing_of_it_is_seen() -> None:
    assert seen(scope(""), "*") == []
    error = ErrorLine("2026-03-01 00:00:00.000", "error", 1, 1, "broken", log_format="error")
    for given, fits in (("", False), ("*", True), ("level:crit", False)):
        tree = scope("*", error=given).narrowed("", ERROR)
        assert compile_predicate(tree, ERROR, lambda: NOW)(error) is fits


def test_a_project_whose_filter_cannot_be_read_shows_nothing_and_is_named() -> None:
    with pytest.raises(UnreadableProjectError, match="p1 for the access log"):
        scope("*", "no_such_field:1").narrowed("*", ACCESS)


@pytest.mark.parametrize(
    ("filters", "text"),
    [
        (("*",), "TRUE"),
        (("host:node1",), "(`host` LIKE %s COLLATE utf8mb4_bin ESCAPE '|')"),
        (("",), "(NOT TRUE)"),
    ],
)
def test_traffic_is_narrowed_by_balancer(filters: tuple[str, ...], text: str) -> None:
    assert scope(*filters).counted().text == text


@pytest.mark.parametrize("text", ["uri:a", "host:node1 AND status:500", "NOT uri:a", "word", "host:a OR (NOT vhost:b)"])
def test_traffic_that_the_roll_ups_do_not_know_is_refused(text: str) -> None:
    with pytest.raises(NotCountedError, match="p1"):
        scope("host:node1", text).counted()


def test_filters_are_read_in_one_place() -> None:
    """So that no page forgets the projects: everything else of the console gets its trees from there."""
    console = Path(__file__).parents[3] / "src/obsctl/console"
    reading = [
        path.name
        for path in console.rglob("*.py")
        if re.search(r"obsctl\.query\.parse import .*\bparse\b", path.read_text())
    ]
    assert reading == ["scope.py"]
