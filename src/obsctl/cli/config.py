"""``obsctl config``: the settings in effect, and where each comes from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from obsctl.cli.commands import Command, examples, group
from obsctl.cli.settings import settings
from obsctl.core.errors import ConfigError, ExitCode
from obsctl.core.layout import Layout

if TYPE_CHECKING:
    from obsctl.fleet.model import Fleet
    from obsctl.fleet.origins import Origin

config = group(
    "config",
    help="Show the settings in effect: options, environment, inventory.",
    epilog=examples("obsctl config show", "obsctl config show --sources"),
)


@config.callback()
def _group() -> None:
    """Keep Typer from turning the group with a single command into that command."""


#: Environment variables of other programs that this program uses.
_ENVIRONMENT = ("OBSCTL_INVENTORY", "NO_COLOR", "COLUMNS", "ANSIBLE_VAULT_PASSWORD_FILE", "ANSIBLE_CONFIG")


class Setting(NamedTuple):
    """One setting.

    Attributes:
        name: with dots between its parts.
        value: never a secret's value.
        source: an option, the environment, a variable with its file and line, or this program's default.
    """

    name: str
    value: Any
    source: str


@config.command("show", cls=Command, epilog=examples("obsctl config show", "obsctl config show --sources -o yaml"))
def show(
    ctx: typer.Context,
    *,
    sources: Annotated[
        bool,
        typer.Option("--sources", help="Also show where each comes from: option, environment, file and line."),
    ] = False,
) -> ExitCode:
    """Show every setting with its value; for a secret, only its reference, and nothing of what the vault protects."""
    from obsctl.cli.checking import load_fleet
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start
    from obsctl.fleet import load as loading

    start = Start()
    fleet = load_fleet(ctx)
    chosen = loading.find(settings(ctx).inventory)
    found = [*_own(ctx, chosen), *_of_fleet(fleet, _Sources(fleet, chosen.path))]
    columns = ("name", "value", "source") if sources else ("name", "value")
    rows = [{column: value for column, value in one._asdict().items() if column in columns} for one in found]
    publish(ctx, start.report("config show", {"settings": rows}), (Layout("settings", "", columns),))
    return ExitCode.OK


def _own(ctx: typer.Context, chosen: Any) -> Iterator[Setting]:
    """Yield the settings of this program."""
    from obsctl.core.cachedir import cache_root, state_root

    given = settings(ctx)
    for name in ("output", "quiet"):
        source = f"option --{name}" if name in given.given else "default"
        yield Setting(name, getattr(given, name), source)
    origins = {"--inventory": "option --inventory", "OBSCTL_INVENTORY": "environment OBSCTL_INVENTORY"}
    yield Setting("inventory", str(chosen.path), origins.get(chosen.reason, f"default: {chosen.reason}"))
    for name, root, variable in (("cache", cache_root, "XDG_CACHE_HOME"), ("state", state_root, "XDG_STATE_HOME")):
        source = f"environment {variable}" if os.environ.get(variable, "").startswith("/") else "default"
        try:
            yield Setting(f"{name}_folder", str(root()), source)
        except ConfigError:
            yield Setting(f"{name}_folder", None, "this user has no home directory")
    for name in _ENVIRONMENT:
        if name in os.environ:
            yield Setting(name, os.environ[name], "environment")


def _of_fleet(fleet: Fleet, sources: _Sources) -> Iterator[Setting]:
    """Yield the settings from the inventory."""
    import msgspec

    from obsctl.core.redaction import MASK, scrubbed

    document = msgspec.json.decode(msgspec.json.encode(fleet))
    document.pop("inventory")
    document.pop("schema")
    document["hosts"] = {host["name"]: _without_secret_arguments(host) for host in document["hosts"]}
    document["alert_rules"] = {_name(rule, at): rule for at, rule in enumerate(document["alert_rules"])}
    # A value that is not a reference may be a secret, such as a webhook's URL.
    document["alert_channels"] = {
        _name(channel, at): {
            name: value for name, value in channel.items() if name in {"type", "name"} or _refers(value)
        }
        for at, channel in enumerate(document["alert_channels"])
    }
    for keys, value in _flat(scrubbed(document), ()):
        origin = sources.of(keys, value)
        # obsctl cannot know which values in Ansible Vault are harmless, so it shows none of them.
        yield Setting(".".join(keys), MASK if origin.secret else value, origin.words)


class _Sources:
    """Finds where each value of the fleet comes from: a fleet document, or the files that Ansible reads."""

    def __init__(self, fleet: Fleet, path: Path) -> None:
        from obsctl.fleet.load import project_root
        from obsctl.fleet.origins import Origins

        self._path = path
        self._written = _written(path)
        self._origins = Origins(fleet, path, project_root()) if self._written is None else None

    def of(self, keys: tuple[str, ...], value: object) -> Origin:
        from obsctl.fleet.origins import Origin

        if self._origins is not None:
            return self._origins.of(keys, value)
        return Origin(f"file {self._path}" if keys[0] in (self._written or ()) else "default")


def _written(path: Path) -> set[str] | None:
    """Return the parts that are in a fleet document; None for an Ansible inventory."""
    import json

    if path.suffix == ".json" and path.is_file():
        document = json.loads(path.read_bytes())
        if isinstance(document, dict) and "schema" in document:
            return set(document)
    return None


def _without_secret_arguments(host: dict[str, Any]) -> dict[str, Any]:
    from obsctl.core.redaction import MASK
    from obsctl.fleet.login import may_hold_a_secret

    if may_hold_a_secret(host["ssh"]["common_args"]):
        host["ssh"]["common_args"] = MASK
    # It is the same as that of the whole fleet, which is listed above.
    host["ssh"].pop("inventory")
    return host


def _name(entry: dict[str, Any], at: int) -> str:
    return str(entry.get("name", at))


def _refers(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("vault:", "file:", "env:"))


def _flat(part: Any, before: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(part, dict) and part:
        for name, value in part.items():
            yield from _flat(value, (*before, str(name)))
    elif isinstance(part, list) and part and all(isinstance(one, dict) for one in part):
        for at, one in enumerate(part):
            yield from _flat(one, (*before, _name(one, at)))
    else:
        yield before, part
