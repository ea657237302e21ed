"""Every code that a finding or an error can carry has its page, and no page is left over."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import yaml

_PARTS = "ALERT|ARTIFACT|CERT|CONSUMER|DRILL|FLEET|HEALTH|KAFKA|LAB|LB|LOGS|PRE|VIP"
_CODE = re.compile(rf"(?:{_PARTS})_[A-Z_]*[A-Z]")
_BEGINNING = re.compile(rf"(?:{_PARTS})_")


def test_every_code_has_its_page(project: Path) -> None:
    codes = {
        node.value
        for path in (project / "src/obsctl").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _CODE.fullmatch(node.value)
    }
    assert codes == {path.stem for path in (project / "docs/runbooks").glob("*.md")}


def test_a_code_is_written_out_where_it_is_used(project: Path) -> None:
    """A code that is put together from pieces cannot be searched for, nor be seen by the test above."""
    for path in (project / "src/obsctl").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
                assert not _BEGINNING.match(str(node.values[0].value)), f"{path}:{node.lineno}"


def test_a_page_begins_with_its_code_and_one_sentence(project: Path) -> None:
    for page in (project / "docs/runbooks").glob("[A-Z]*.md"):
        title, blank, sentence, *rest = page.read_text(encoding="utf-8").splitlines()
        assert title == f"# {page.stem}"
        assert blank == ""
        assert sentence.endswith("."), page.name
        assert "## What to do" in rest, page.name


def test_a_variable_that_a_page_names_exists(project: Path) -> None:
    specs = [yaml.safe_load(path.read_text()) for path in (project / "roles").glob("*/meta/argument_specs.yml")]
    known = {name for spec in specs for entry in spec["argument_specs"].values() for name in entry.get("options", {})}
    roles = "|".join(path.name for path in (project / "roles").iterdir())
    for page in (project / "docs/runbooks").glob("[A-Z]*.md"):
        for name in re.findall(rf"`((?:{roles}|fleet)_[a-z_]+)`", page.read_text(encoding="utf-8")):
            assert name in known, f"{page.name}: {name}"


def test_kafkas_own_tools_are_named_with_what_they_need(project: Path) -> None:
    """Without --bootstrap-server they answer with a Java trace."""
    texts = [*(project / "docs").rglob("*.md"), project / "README.md", *(project / "src/obsctl/checks").rglob("*.py")]
    wrapper = (project / "roles/kafka/templates/kafka-cli.j2").read_text()
    tools = set(re.findall(r"(?m)^  (\w+)\) names=", wrapper))
    found = 0
    for path in texts:
        # As a person reads it: a hint that two pieces of source make is one text.
        text = re.sub(r'"\s*f?"', "", path.read_text(encoding="utf-8"))
        for tool, options in re.findall(r"kafka-cli (\w+)([^`\n]*)", text):
            found += 1
            assert tool in tools, f"{path}: {tool}"
            assert tool in {"storage", "dump"} or "--bootstrap-server" in options, f"{path}: {tool}{options}"
    assert found > 3


def test_sql_is_given_as_a_command(project: Path) -> None:
    """A statement alone makes its reader look for a client, a user and a database first."""
    statement = re.compile(r"(mysql \S*\s*-e ['\"])?\b(?:SELECT [a-zA-Z]|SHOW [A-Z]|FLUSH [A-Z]|TRUNCATE TABLE )")
    found = 0
    for page in (project / "docs/runbooks").glob("[A-Z]*.md"):
        for span in re.findall(r"`([^`]+)`", page.read_text(encoding="utf-8")):
            match = statement.search(span)
            found += match is not None
            assert match is None or match[1], f"{page.name}: {span}"
    assert found > 3
