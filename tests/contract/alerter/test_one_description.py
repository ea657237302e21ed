"""Rules and channels are described once, in src/obsctl/alerter/{rules,channels}: what repeats it has to agree.

``python -m tests.contract.alerter.test_one_description`` writes the tables of docs/reference/alerting.md, the options
in roles/consumer/meta/argument_specs.yml, the preflight's rule_options.py and docs/reference/alert-rules.schema.json.
"""

from __future__ import annotations

import enum
import json
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import msgspec
import pytest
import yaml
from msgspec import inspect

import rig.collection  # noqa: F401 - lets plugins be imported
from obsctl.alerter import channels as channels_package
from obsctl.alerter import rules as rules_package
from obsctl.alerter.channels import registry as channels
from obsctl.alerter.channels.channel import ChannelOptions
from obsctl.alerter.config import _File
from obsctl.alerter.kinds import Kinds
from obsctl.alerter.notify.options import NotifyOptions
from obsctl.alerter.rules import registry as rules
from obsctl.alerter.rules.rule import Rule
from obsctl.alerter.rules_file import load, schema
from obsctl.cli.main import run
from rig import collection  # noqa: F401 - lets plugins be imported

# The plugins can be imported once the loader above has run.
from ansible_collections.obscraft.fleet.plugins.filter.alert_channels import SECRET_OPTIONS  # isort: skip
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.alert_channels import KINDS as PREFLIGHT  # isort: skip

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "reference" / "alerting.md"
SPECS = ROOT / "roles" / "consumer" / "meta" / "argument_specs.yml"
SCHEMA = ROOT / "docs" / "reference" / "alert-rules.schema.json"
PREFLIGHT_RULES = ROOT / "plugins" / "plugin_utils" / "preflight" / "rule_options.py"
DEFAULTS = ROOT / "roles" / "consumer" / "defaults" / "main.yml"
LISTS: dict[str, tuple[Kinds[Any], type[Any]]] = {
    "consumer_alert_rules": (rules.KINDS, Rule),
    "consumer_alert_channels": (channels.KINDS, ChannelOptions),
}
KINDS = [(name, tag) for name, (kinds, _) in LISTS.items() for tag in kinds.by_tag]
_ANSIBLE = {inspect.StrType: "str", inspect.IntType: "int", inspect.FloatType: "float", inspect.BoolType: "bool"}


class Option(NamedTuple):
    """One option of a kind.

    Attributes:
        name: as in alerter.yml.
        required: whether it has no default.
        default: None for none.
        text: its description.
        kind: its type without metadata.
        secret: whether its value is a reference to a secret.
    """

    name: str
    required: bool
    default: Any
    text: str
    kind: inspect.Type
    secret: bool


def options(struct: type[msgspec.Struct]) -> list[Option]:
    """Return the options of a kind, in the order of its fields."""
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    found = []
    for field in info.fields:
        kind, text, extra = field.type, "", {}
        while isinstance(kind, inspect.Metadata):
            text = str((kind.extra_json_schema or {}).get("description", text))
            extra |= kind.extra or {}
            kind = kind.type
        default = None if field.default is msgspec.NODEFAULT else field.default
        found.append(Option(field.encode_name, field.required, default, text, kind, bool(extra.get("secret"))))
    return found


def spec_of(option: Option) -> dict[str, Any]:
    """Return the option's type as argument_specs write it."""
    return _spec(option.kind)


def _spec(kind: inspect.Type) -> dict[str, Any]:
    if isinstance(kind, inspect.UnionType):
        # None means an option that is left out; what may be of several types is looked at by the alerter alone.
        there = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
        return _spec(there[0]) if len(there) == 1 else {"type": "raw"}
    if isinstance(kind, inspect.VarTupleType):
        of_one = _spec(kind.item_type)
        return {"type": "list", "elements": of_one.pop("type"), **of_one}
    if isinstance(kind, inspect.EnumType):
        return {"type": "str", "choices": [str(value) for value in kind.cls]}
    if isinstance(kind, inspect.StructType):
        parts = {
            part.name: spec_of(part) | ({"required": True} if part.required else {}) | {"description": part.text}
            for part in options(kind.cls)
        }
        return {"type": "dict", "options": parts}
    if isinstance(kind, inspect.DictType):
        return {"type": "dict"}
    return {"type": _ANSIBLE[type(kind)]}


def specs(kinds: Kinds[Any]) -> dict[str, dict[str, Any]]:
    """Return what argument_specs say of a list's entries: the options of all its kinds in one."""
    wanted: dict[str, dict[str, Any]] = {}
    texts: dict[str, dict[str, list[str]]] = {}
    for tag, struct in kinds.by_tag.items():
        for option in options(struct):
            wanted.setdefault(option.name, spec_of(option))
            texts.setdefault(option.name, {}).setdefault(option.text, []).append(tag)
            if option.required and all(option.name in struct.__struct_fields__ for struct in kinds.by_tag.values()):
                wanted[option.name]["required"] = True
    for name, by_text in texts.items():
        everywhere = len(by_text) == 1 and len(next(iter(by_text.values()))) == len(kinds.by_tag)
        lines = [text if everywhere else f"{', '.join(tags)}: {text}" for text, tags in by_text.items()]
        wanted[name]["description"] = lines[0] if len(lines) == 1 else lines
    tag = {"type": "str", "required": True, "choices": list(kinds.by_tag), "description": kinds.base.tag_text}
    return {kinds.tag_field: tag, **wanted}


def tables(name: str) -> str:
    """Return the documentation of a list's kinds."""
    kinds, base = LISTS[name]
    common = {option.name: option.default for option in options(base)}
    lines = ["| key | default | meaning |", "|---|---|---|", f"| `{kinds.tag_field}` | | one of the kinds below |"]
    lines += [f"| `{o.name}` | {_shown(o)} | {_meaning(o)} |" for o in options(base)]
    if base is Rule:
        lines += ["", "| `kind` | condition, in any window | one alert for |", "|---|---|---|"]
        lines += [f"| `{tag}` | {kind.condition} | {kind.one_alert_for} |" for tag, kind in kinds.by_tag.items()]
    else:
        lines += ["", "| `type` | delivered means |", "|---|---|"]
        lines += [f"| `{tag}` | {kind.delivered} |" for tag, kind in kinds.by_tag.items()]
    lines += ["", f"| `{kinds.tag_field}` | key | default | meaning |", "|---|---|---|---|"]
    for tag, kind in kinds.by_tag.items():
        lines += [
            f"| `{tag}` | `{name}` | {_shown(o)} | {_meaning(o)} |"
            for o in options(kind)
            if o.name not in common or o.default != common[o.name]
            for name, o in [(o.name, o), *_parts(o)]
        ]
    return "\n".join(lines) + "\n"


def _parts(option: Option) -> list[tuple[str, Option]]:
    """Return the options of an option that is an object, or a list of them, with their full names."""
    kind, begin = option.kind, f"{option.name}."
    if isinstance(kind, inspect.UnionType):
        kind = next(one for one in kind.types if not isinstance(one, inspect.NoneType))
    if isinstance(kind, inspect.VarTupleType):
        kind, begin = kind.item_type, f"{option.name}[]."
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return [(begin + part.name, part) for part in options(kind.cls)] if isinstance(kind, inspect.StructType) else []


def _shown(option: Option) -> str:
    if option.required:
        return "required"
    value = option.default.value if isinstance(option.default, enum.Enum) else option.default
    if isinstance(value, tuple):
        value = ", ".join(str(one) for one in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`" if value not in ("", (), {}, None) else ""


def _meaning(option: Option) -> str:
    choices = spec_of(option).get("choices")
    return option.text + (f" One of {', '.join(f'`{c}`' for c in choices)}." if choices else "")


def block(name: str) -> re.Pattern[str]:
    """Return what finds a list's tables in the page."""
    return re.compile(rf"(?s)(?<=<!-- {name} -->\n).*?(?=<!-- end -->)")


def documented() -> dict[str, Any]:
    return dict(yaml.safe_load(SPECS.read_text())["argument_specs"]["main"]["options"])


@pytest.mark.parametrize(("name", "tag"), KINDS)
def test_every_kind_describes_all_of_its_options(name: str, tag: str) -> None:
    kinds, _ = LISTS[name]
    assert [option.name for option in options(kinds.by_tag[tag]) if not option.text] == []


@pytest.mark.parametrize(
    ("package", "kinds", "shared"),
    [
        (rules_package, rules.KINDS, {"metric_names", "rule", "share", "registry"}),
        (
            channels_package,
            channels.KINDS,
            {"channel", "http", "http_transport", "outcome", "registry", "robot", "web_address"},
        ),
    ],
)
def test_each_module_is_one_kind(package: ModuleType, kinds: Kinds[Any], shared: set[str]) -> None:
    """A module whose class has no tag would never be found."""
    modules = {found.name for found in pkgutil.iter_modules(package.__path__)} - shared
    assert sorted(kind.__module__.rpartition(".")[2] for kind in kinds.by_tag.values()) == sorted(modules)


@pytest.mark.parametrize("name", LISTS)
def test_the_roles_argument_specs_name_each_option(name: str) -> None:
    kinds, _ = LISTS[name]
    there, wanted = documented()[name]["options"], specs(kinds)
    assert set(there) == set(wanted), f"{name}: options that only either above or below descriptions has"
    for option, spec in wanted.items():
        assert there[option] == spec, f"{name}: {option}"


@pytest.mark.parametrize("name", LISTS)
def test_the_page_has_the_same_tables(name: str) -> None:
    found = block(name).findall(PAGE.read_text())
    assert found == [tables(name)], "python -m tests.contract.alerter.test_one_description writes them"


def test_the_page_names_every_key_of_the_file() -> None:
    page = PAGE.read_text()
    assert [key for key in keys(_File) if f"`{key}`" not in page] == []


def keys(struct: type[msgspec.Struct], before: str = "") -> Iterator[str]:
    """Yield the keys of the file, such as ``kafka.topics.access``; a list's is ``rules[]``."""
    for field in msgspec.structs.fields(struct):
        if field.type is NotifyOptions:  # has a page of its own
            yield field.encode_name
        elif isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from keys(field.type, f"{before}{field.encode_name}.")
        else:
            lists = field.encode_name in ("rules", "channels")
            yield f"{before}{field.encode_name}" + ("[]" if lists else "")


def test_the_roles_own_rules_are_rules() -> None:
    found = load(DEFAULTS)
    # What only the inventory knows is tried with one: tests/contract/roles/test_consumer.py.
    assert {entry.name: entry.open for entry in found if entry.open} == {"silent-backend": ("expect",)}


def test_the_secrets_that_the_role_writes_are_those_of_the_channels() -> None:
    taken = [option for kind in channels.KINDS.by_tag.values() for option in options(kind)]
    secrets = {option.name for one in taken for option in [one, *(part for _, part in _parts(one))] if option.secret}
    assert set(SECRET_OPTIONS) == secrets


@pytest.mark.parametrize("tag", channels.KINDS.by_tag)
def test_the_preflight_asks_for_what_the_channel_needs(tag: str) -> None:
    mine = options(channels.KINDS.by_tag[tag])
    needed = {option.name for option in mine if option.required} - {"name"}
    assert set(PREFLIGHT[tag].needed) == needed, f"KINDS of the preflight's alert_channels: {tag}"


class _Yaml(yaml.SafeDumper):
    """Writes lists as this project does: indented, words on one line."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)

    def represent_list(self, data: list[Any]) -> yaml.Node:
        short = all(" " not in str(entry) for entry in data) and sum(len(str(entry)) + 2 for entry in data) < 80
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=short)


_Yaml.add_representer(list, _Yaml.represent_list)


def preflight_module() -> str:
    """Return the module by which the preflight knows the options of rules."""
    kinds: dict[str, dict[str, dict[str, Any]]] = {
        tag: {option.name: _checked(option) for option in options(struct)} for tag, struct in rules.KINDS.by_tag.items()
    }
    common = [
        name
        for name in options_of(Rule)
        if all(found[name] == kinds[next(iter(kinds))][name] for found in kinds.values())
    ]
    lines = [
        "# Copyright (c) The ObsCraft authors",
        "# Apache-2.0 (see LICENSE)",
        '"""The options of each kind of alert rule, with their types and bounds.',
        "",
        "``python -m tests.contract.alerter.test_one_description`` writes it from src/obsctl/alerter/rules.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "from typing import Any",
        "",
        "#: Options of every kind.",
        "COMMON: dict[str, dict[str, Any]] = {",
        *(f'    "{name}": {_literal(kinds[next(iter(kinds))][name])},' for name in common),
        "}",
        "#: Further options, by kind.",
        "KINDS: dict[str, dict[str, dict[str, Any]]] = {",
    ]
    for tag, found in kinds.items():
        lines.append(f'    "{tag}": {{')
        lines += [f'        "{name}": {_literal(checked)},' for name, checked in found.items() if name not in common]
        lines.append("    },")
    return "\n".join([*lines, "}", ""])


def options_of(struct: type[msgspec.Struct]) -> list[str]:
    return [option.name for option in options(struct)]


def _checked(option: Option) -> dict[str, Any]:
    """Return what can be said of an option's value without the alerter."""
    kind = option.kind
    if isinstance(kind, inspect.UnionType):
        (kind,) = (one for one in kind.types if not isinstance(one, inspect.NoneType))
    bounds = {name: getattr(kind, name) for name in ("ge", "gt", "le", "lt") if getattr(kind, name, None) is not None}
    return {"type": spec_of(option)["type"]} | ({"required": True} if option.required else {}) | bounds


def _literal(value: dict[str, Any]) -> str:
    return (
        "{"
        + ", ".join(f'"{key}": "{one}"' if isinstance(one, str) else f'"{key}": {one}' for key, one in value.items())
        + "}"
    )


def notifications() -> dict[str, Any]:
    """Return the options of ``consumer_alert_notifications`` as argument_specs write them."""
    return {
        part.name: spec_of(part) | ({"required": True} if part.required else {}) | {"description": part.text}
        for part in options(NotifyOptions)
    }


def test_the_roles_argument_specs_name_each_option_of_notifications() -> None:
    found = documented()["consumer_alert_notifications"]["options"]
    assert found == notifications(), "python -m tests.contract.alerter.test_one_description writes them"


def test_the_preflight_knows_the_options_of_rules() -> None:
    assert PREFLIGHT_RULES.read_text() == preflight_module(), "python -m tests.contract.alerter.test_one_description"


def schema_file() -> str:
    """Return what ``obsctl alert rules schema`` prints."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def test_the_published_schema_is_the_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert SCHEMA.read_text() == schema_file(), "python -m tests.contract.alerter.test_one_description writes it"
    run(["alert", "rules", "schema"])
    assert capsys.readouterr().out == schema_file()
    kinds = json.loads(SCHEMA.read_text())["$defs"]
    for tag, struct in rules.KINDS.by_tag.items():
        described = kinds[struct.__name__]
        assert set(described["properties"]) == {"kind", *(option.name for option in options(struct))}, tag
        assert described["additionalProperties"] is False


def main() -> None:
    """Write the page's tables, the role's argument_specs, the preflight's module and the schema of rules."""
    page, role = PAGE.read_text(), SPECS.read_text()
    described = {name: specs(kinds) for name, (kinds, _) in LISTS.items()}
    for name in LISTS:
        page = block(name).sub(lambda _, name=name: tables(name), page)
    for name, found in (described | {"consumer_alert_notifications": notifications()}).items():
        text = textwrap.indent(yaml.dump(found, Dumper=_Yaml, sort_keys=False, width=95), " " * 10)
        entries = re.compile(rf"(?s)(\n      {name}:\n.*?\n        options:\n).*?(?=        default:)")
        role = entries.sub(lambda found, text=text: found[1] + text, role)
    PAGE.write_text(page)
    SPECS.write_text(role)
    PREFLIGHT_RULES.write_text(preflight_module())
    SCHEMA.write_text(schema_file())


if __name__ == "__main__":
    main()
