"""docs/reference/query-language.md describes the language that the program reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from obsctl.query.errors import QueryError
from obsctl.query.fields import ACCESS, ERROR, LEVELS, TABLES, Field, Kind, Table
from obsctl.query.parse import MAX_DEPTH, MAX_LENGTH, parse
from obsctl.query.patterns import MAX_STARS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "query-language.md"
TEXT = PAGE.read_text(encoding="utf-8")
_BLOCKS = re.findall(r"(?m)^```\n(.*?)^```", TEXT, re.DOTALL)
EXAMPLES = [(ERROR if "level" in block else ACCESS, line) for block in _BLOCKS for line in block.splitlines()]


def section(title: str) -> str:
    found = TEXT.partition(f"\n{title}\n")[2]
    return re.split(r"\n#{2,3} ", found)[0]


def row(field: Field) -> str:
    kind = field.kind.value + (", may be absent" if field.absent else "")
    cells = (f"`{field.name}`", kind, "list" if field.many else "", "yes" if field.searched else "")
    return "| " + " | ".join(cells).replace("|  |", "| |").replace("|  |", "| |").rstrip() + " |"


@pytest.mark.parametrize(("title", "table"), [("### The access log", ACCESS), ("### The error log", ERROR)])
def test_the_page_lists_the_fields(title: str, table: Table) -> None:
    listed = [re.sub(r" +", " ", line) for line in section(title).splitlines() if line.startswith("| `")]
    assert listed == [re.sub(r" +", " ", row(field)) for field in table.fields.values()]


def test_the_page_describes_every_kind() -> None:
    assert re.findall(r"(?m)^\| ([a-z ]+) \|", section("## Values"))[1:] == [kind.value for kind in Kind]
    assert " < ".join(f"`{level}`" for level in LEVELS) in TEXT


def test_the_page_names_the_limits() -> None:
    limits = (
        f"at most {MAX_LENGTH:,} characters, {MAX_DEPTH} parentheses and NOTs inside each other, and {MAX_STARS} times"
    )
    assert limits in " ".join(TEXT.split())


def test_the_page_has_examples_of_both_logs() -> None:
    assert {table.name for table, _ in EXAMPLES} == {table.name for table in TABLES}


@pytest.mark.parametrize(("table", "text"), EXAMPLES, ids=[text for _, text in EXAMPLES])
def test_an_example_can_be_read(table: Table, text: str) -> None:
    parse(text, table)


@pytest.mark.parametrize(
    "written", re.findall(r"`([^`]+)`", "".join(re.findall(r"(?m)^\| (.+?[^\\]) \|", section("## Syntax"))))
)
def test_what_the_table_of_the_syntax_shows_can_be_read(written: str) -> None:
    parse(written.replace("\\|", "|"), ACCESS)


@pytest.mark.parametrize(
    "refused", ["uri:/v[12]/", "word~", '"a b"~3', "word^2", "status:5*", "ts:now/d", "status = 500"]
)
def test_what_the_page_calls_refused_is_refused(refused: str) -> None:
    assert refused.removeprefix("ts:") in section("## What differs from Kibana")
    with pytest.raises(QueryError):
        parse(refused, ACCESS)


def test_the_error_on_the_page_is_the_programs() -> None:
    shown = re.search(r"```text\n(.*?)```", TEXT, re.DOTALL)
    assert shown is not None
    with pytest.raises(QueryError) as caught:
        parse(shown[1].splitlines()[1].strip(), ACCESS)
    assert f"{caught.value}\n{caught.value.hint}\n" == shown[1]
