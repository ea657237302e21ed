"""docs/reference/notifications.md says what the stages do: its tables and examples are tried.

``python -m tests.contract.alerter.test_notifications_page`` writes the tables of options.
"""

from __future__ import annotations

import enum
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from msgspec import inspect

from obsctl.alerter.notify.options import InhibitionOptions, MuteWindowOptions, NotifyOptions, RouteOptions
from obsctl.alerter.notify.stages import STAGES
from tests.unit.alerter.notify.test_stages import storm
from tests.unit.alerter.notify.world import T, World, planned

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "notifications.md"
LISTS = {"routes": RouteOptions, "inhibitions": InhibitionOptions, "mute_windows": MuteWindowOptions}
#: Stages behind the list: they have a thread or a file of their own.
BEHIND = ["pace", "deliver", "record"]


def described(struct: type[msgspec.Struct]) -> list[tuple[str, str, str]]:
    """Return name, default and meaning of each option."""
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    found = []
    for field in info.fields:
        kind, text = field.type, ""
        while isinstance(kind, inspect.Metadata):
            text = str((kind.extra_json_schema or {}).get("description", text))
            kind = kind.type
        found.append((field.encode_name, "required" if field.required else shown(field.default), text))
    return found


def shown(default: Any) -> str:
    """Return a default as YAML would have it; empty for an empty one."""
    if isinstance(default, tuple):
        default = ", ".join(str(entry.value if isinstance(entry, enum.Enum) else entry) for entry in default)
    if isinstance(default, float):
        default = f"{default:g}"
    return f"`{default}`" if default != "" else ""


def table(struct: type[msgspec.Struct]) -> str:
    rows = [f"| `{name}` | {default} | {text} |" for name, default, text in described(struct)]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows]) + "\n"


def block(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?s)(?<=<!-- {name} -->\n).*?(?=<!-- end -->)")


def cells(name: str) -> list[list[str]]:
    """Return the rows of a table of the page, without its head."""
    (found,) = block(name).findall(PAGE.read_text(encoding="utf-8"))
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in found.strip().splitlines()[2:]]


def examples() -> list[str]:
    return re.findall(r"(?s)```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", LISTS)
def test_the_page_has_the_tables_of_options(name: str) -> None:
    found = block(name).findall(PAGE.read_text(encoding="utf-8"))
    assert found == [table(LISTS[name])], "python -m tests.contract.alerter.test_notifications_page writes them"
    assert all(text for _, _, text in described(LISTS[name]))


def test_the_page_names_all_lists() -> None:
    assert [name for name, _, _ in described(NotifyOptions)] == list(LISTS)


def test_the_stages_stand_in_their_order() -> None:
    assert [row[1].strip("`") for row in cells("stages")] == [stage.name for stage in STAGES] + BEHIND


def test_the_defaults_that_have_a_reason_are_the_defaults() -> None:
    defaults = {name: default for struct in LISTS.values() for name, default, _ in described(struct)}
    rows = cells("defaults")
    assert len(rows) >= 8
    for name, default, reason in rows:
        assert defaults[name.strip("`")] == default, name
        assert reason


@pytest.mark.parametrize("number", range(3))
def test_each_example_is_accepted(number: int) -> None:
    document = yaml.safe_load(examples()[number])
    planned(document["notifications"])


def test_there_are_no_other_examples() -> None:
    assert len(examples()) == 3


def test_a_storm_is_what_the_page_says() -> None:
    world = World()
    storm(world, 20_000)
    found = [[cell.strip("`").replace(",", "") for cell in row] for row in cells("storm")]
    assert found == [
        [str(field) for field in (int(n.at - T), n.reason.value, n.started, n.resolved, n.firing)] for n in world.said
    ]


def write() -> None:
    """Write the tables of options into the page."""
    text = PAGE.read_text(encoding="utf-8")
    for name, struct in LISTS.items():
        text = block(name).sub(lambda _, struct=struct: table(struct), text)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
