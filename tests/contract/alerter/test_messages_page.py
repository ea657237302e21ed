"""docs/reference/alert-messages.md names all that a template is given, and shows messages as they are.

``python -m tests.contract.alerter.test_messages_page`` writes its tables and examples.
"""

from __future__ import annotations

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import jinja2
import jinja2.nodes
import msgspec
import pytest
from msgspec import inspect

from obsctl.alerter.alerts import Measure
from obsctl.alerter.messages.message import Writer
from obsctl.alerter.messages.template_variables import (
    AlertView,
    ChannelTestView,
    DigestView,
    MessageView,
    NoticeView,
    RuleTestView,
    TopView,
)
from obsctl.alerter.messages.templates import BUILT_IN, Language, Templates
from obsctl.alerter.messages.templates_check import TOP, samples
from obsctl.alerter.rules.requests_per_client import RequestsPerClient

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "alert-messages.md"
VIEWS: tuple[type[msgspec.Struct], ...] = (
    MessageView,
    AlertView,
    TopView,
    DigestView,
    NoticeView,
    ChannelTestView,
    RuleTestView,
)
RULE = RequestsPerClient(name="client-request-rate", threshold=100)


def table(struct: type[msgspec.Struct]) -> str:
    """Return the variables of a view."""
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    rows = []
    for field in info.fields:
        text, kind = "", field.type
        while isinstance(kind, inspect.Metadata):
            text = str((kind.extra_json_schema or {}).get("description", text))
            kind = kind.type
        assert text, f"{struct.__name__}.{field.name} has no description"
        rows.append(f"| `{field.name}` | {text} |")
    return "\n".join(["| variable | meaning |", "|---|---|", *rows]) + "\n"


def of_window() -> str:
    """Return what a window shows, from the docstring of the measure."""
    listed = (Measure.__doc__ or "").partition("Attributes:")[2]
    rows = re.findall(r"(?sm)^\s+(\w+): (.*?)(?=^\s+\w+: |\Z)", listed)
    assert [name for name, _ in rows] == list(Measure._fields)
    return "| variable | meaning |\n|---|---|\n" + "".join(f"| `{n}` | {' '.join(t.split())} |\n" for n, t in rows)


def example(language: Language) -> str:
    writer = Writer((RULE,), Templates(language, ZoneInfo("Asia/Shanghai")))
    about = next(samples(RULE))
    (alert,) = about.alerts
    alert = msgspec.structs.replace(alert, peak=Measure(448.0, 448, 448))
    values = {"host": (("node1", 230), ("node2", 218)), "uri": (("/login", 448),)}
    top = msgspec.structs.replace(TOP, lines=900, hits=448, values=values)
    message = writer.message(msgspec.structs.replace(about, alerts=(alert,)), {alert.incident: top})
    return "\n".join(["```", message.title, "", *message.lines, "```", ""])


def blocks() -> dict[str, str]:
    return {
        **{view.__name__: table(view) for view in VIEWS},
        "Measure": of_window(),
        **{f"example {language}": example(language) for language in Language},
    }


def block(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?s)(?<=<!-- {name} -->\n).*?(?=<!-- end -->)")


@pytest.mark.parametrize("name", blocks())
def test_the_page_says_what_is(name: str) -> None:
    found = block(name).findall(PAGE.read_text(encoding="utf-8"))
    assert found == [blocks()[name]], "python -m tests.contract.alerter.test_messages_page writes it"


@pytest.mark.parametrize("language", Language)
def test_the_page_names_every_template(language: Language) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [path.name for path in (BUILT_IN / language).glob("*.j2") if f"`{path.name}`" not in page] == []


@pytest.mark.parametrize("language", Language)
def test_the_programs_own_templates_use_documented_names_alone(language: Language) -> None:
    """What a site learns from them it may use."""
    documented = {name for view in VIEWS for name in view.__struct_fields__}
    for path in (BUILT_IN / language).glob("*.j2"):
        assert used(path.read_text(encoding="utf-8")) <= documented, path.name


def used(text: str) -> set[str]:
    """Return the names that a template takes from outside."""
    tree = jinja2.Environment(autoescape=True).parse(text)
    names = list(tree.find_all(jinja2.nodes.Name))
    own = {name.name for name in names if name.ctx != "load"}
    own |= {macro.name for macro in tree.find_all(jinja2.nodes.Macro)}
    return {name.name for name in names} - own - {"words", "loop", "namespace"}


def main() -> None:
    """Write the page's tables and examples."""
    page = PAGE.read_text(encoding="utf-8")
    for name, text in blocks().items():
        page = block(name).sub(lambda _, text=text: text, page, count=1)
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
