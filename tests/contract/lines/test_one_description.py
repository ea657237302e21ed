"""Formats and columns are described once: a format by its module's ``FORMAT``, a column by its field in ``line.py``.

``python -m tests.contract.lines.test_one_description`` writes what repeats them: the tables of
docs/reference/log-format.md and schema.md, and the choices in roles/filebeat/meta/argument_specs.yml.
"""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from obsctl.lines import formats
from obsctl.lines.formats import line as line_module
from obsctl.lines.formats import registry
from obsctl.lines.formats.line import AccessLine, ErrorLine, Keep, Line, widths
from obsctl.store.mysql import schema

ROOT = Path(__file__).resolve().parents[3]
FORMAT_PAGE, SCHEMA_PAGE = ROOT / "docs/reference/log-format.md", ROOT / "docs/reference/schema.md"
SPECS = ROOT / "roles/filebeat/meta/argument_specs.yml"
WRITTEN_BY = "python -m tests.contract.lines.test_one_description writes it"
TABLES: dict[str, type[Line]] = {"access_log": AccessLine, "error_log": ErrorLine}
#: Fields of every line, which the page describes for both tables at once.
COMMON = tuple(line_module._Line.__struct_fields__)


def described(struct: type[Line]) -> dict[str, str]:
    """Return the text of each attribute in a class's docstring."""
    text = inspect.getdoc(struct) or ""
    attributes = text.partition("Attributes:\n")[2]
    return {
        name: " ".join(words.replace("``", "`").split())
        for name, words in re.findall(r"(?m)^    (\w+): (.+(?:\n      .+)*)", attributes)
    }


def formats_table() -> str:
    rows = [f"| `{name}` | {entry.lines} |" for name, entry in registry.FORMATS.items()]
    return "\n".join(["| format | lines |", "|---|---|", *rows]) + "\n"


def columns_table(table: str) -> str:
    """Return the columns of a log table; those that every line has stand at another place of the page."""
    texts, columns = described(TABLES[table]), schema.TABLES[table].columns
    rows = [
        f"| `{name}` | {columns[name].type} | {texts[name]} |"
        for name in TABLES[table].__struct_fields__
        if name not in COMMON and name != "cut_fields"
    ]
    return "\n".join(["| column | type | meaning |", "|---|---|---|", *rows]) + "\n"


def widths_table() -> str:
    """Return how long a text of each column may be."""
    columns: dict[tuple[int, str], list[str]] = {}
    for struct in TABLES.values():
        for name, width in widths(struct).items():
            limit = (width.bytes, "bytes") if width.bytes else (width.characters, "characters")
            names = columns.setdefault(limit, [])
            names += [f"`{name}`"] if f"`{name}`" not in names else []
    rows = [
        f"| {size:,} {unit} | {', '.join(names)} |"
        for (size, unit), names in sorted(columns.items(), key=lambda entry: (entry[0][1] == "bytes", entry[0][0]))
    ]
    return "\n".join(["| limit | columns |", "|---|---|", *rows]) + "\n"


PARTS: dict[str, tuple[Path, Callable[[], str]]] = {
    "formats": (FORMAT_PAGE, formats_table),
    "widths": (FORMAT_PAGE, widths_table),
    "access_log": (SCHEMA_PAGE, lambda: columns_table("access_log")),
    "error_log": (SCHEMA_PAGE, lambda: columns_table("error_log")),
}
CHOICES = re.compile(r"(?<=\n          log_format:\n            type: str\n            choices: )\[[^\]]*\]")


def block(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?s)(?<=<!-- {name} -->\n).*?(?=<!-- end -->)")


@pytest.mark.parametrize("name", PARTS)
def test_the_pages_have_the_same_tables(name: str) -> None:
    page, table = PARTS[name]
    assert block(name).findall(page.read_text()) == [table()], f"{page.relative_to(ROOT)}: {WRITTEN_BY}"


def test_the_role_offers_every_format() -> None:
    options = yaml.safe_load(SPECS.read_text())["argument_specs"]["main"]["options"]
    choices = options["filebeat_inputs"]["options"]["log_format"]["choices"]
    assert choices == list(registry.FORMATS), f"{SPECS.relative_to(ROOT)}: {WRITTEN_BY}"


def test_each_module_is_one_format() -> None:
    """A module without a FORMAT would never read a line; of two with one name, one would not."""
    shared = {"clock", "format", "line", "peer", "registry"}
    modules = sorted({found.name for found in pkgutil.iter_modules(formats.__path__)} - shared)
    declaring = sorted(
        inspect.getmodule(entry.parser).__name__.rpartition(".")[2] for entry in registry.FORMATS.values()
    )  # type: ignore[union-attr]
    assert declaring == modules, "modules of src/obsctl/lines/formats, and those whose FORMAT was found"


@pytest.mark.parametrize(("table", "name"), [(t, n) for t, struct in TABLES.items() for n in struct.__struct_fields__])
def test_every_field_is_described(table: str, name: str) -> None:
    texts = described(TABLES[table]) | described(line_module._Line)  # type: ignore[arg-type]
    assert texts.get(name), f"{name} in the docstring of {TABLES[table].__name__}, src/obsctl/lines/formats/line.py"


def test_what_is_kept_of_a_list_is_said(project: Path) -> None:
    page = (project / "docs/reference/log-format.md").read_text()
    kept = {name: width.keep for struct in TABLES.values() for name, width in widths(struct).items() if width.keep}
    assert {name for name, keep in kept.items() if keep is Keep.LAST_ENTRIES} == {"x_forwarded_for"}
    assert "Of `x_forwarded_for` the\nlast entries are kept" in page


def main() -> None:
    """Write the pages' tables and the role's choices."""
    for name, (page, table) in PARTS.items():
        page.write_text(block(name).sub(lambda _, table=table: table(), page.read_text(), count=1))
    SPECS.write_text(CHOICES.sub(f"[{', '.join(registry.FORMATS)}]", SPECS.read_text()))


if __name__ == "__main__":
    main()
