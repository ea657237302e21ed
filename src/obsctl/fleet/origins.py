"""Where a fleet's values come from: the variables of each setting, and the file and line that set them for its host.

The role that renders the fleet document determines the variables of a setting; its templates are read here, so
settings that are added there are included. Files take precedence in the order of Ansible's documentation: a role's
defaults, groups in the hosts' file, group_vars of all, those of other groups, the host in the hosts' file, host_vars;
the deeper group and the later name count more. Ansible itself reports the groups of a host. There are no extra
variables, because obsctl passes none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

from obsctl.core.errors import ConfigError
from obsctl.fleet import ansible, inventory_files
from obsctl.fleet.model import Fleet

#: The document's sections: the group whose first host is used for them, and the variable with their templates.
_SECTIONS = {
    "vip": ("lb", "__fleet_document_vip"),
    "vip.https": ("lb", "__fleet_document_https"),
    "kafka": ("kafka", "__fleet_document_kafka"),
    "kafka.client": ("kafka", "__fleet_document_kafka_client"),
    "database": ("mysql", "__fleet_document_database"),
    "tls": ("kafka", "__fleet_document_tls"),
}
_OF_THE_CONSUMER = "__fleet_document_consumer"
#: The same for the parts of a host's entry; all other parts are in the entry's own template.
_PARTS = {
    "kafka": "__fleet_document_kafka_node",
    "backend": "__fleet_document_backend",
    "keepalived": "__fleet_document_keepalived",
    "console": "__fleet_document_console",
}
_HOST = "__fleet_document_host"
_OWN = "__fleet_document_"
#: A template's look-up of the environment or ansible.cfg.
_ANSIBLES_OWN = "ansible.builtin.config"
#: Variables of Ansible and its templates that no file sets.
_BUILT_IN = {
    "group_names", "groups", "hostvars", "inventory_dir", "inventory_file", "inventory_hostname",
    "inventory_hostname_short", "omit", "play_hosts", "playbook_dir", "role_name", "role_path", "vars",
    "cycler", "dict", "joiner", "lipsum", "lookup", "namespace", "now", "q", "query", "range", "undef",
}  # fmt: skip
_DEADLINE_S = 30.0
_VAULT_TAG = "!vault"


class Place(NamedTuple):
    """The definition of a variable.

    Attributes:
        line: None for one in a file that is encrypted.
        value: the node of its value; None in a file that is encrypted.
        default: a role's.
        secret: Ansible Vault protects the value, or a part of it.
    """

    variable: str
    file: Path
    line: int | None
    value: Any = None
    default: bool = False
    secret: bool = False

    def __str__(self) -> str:
        kind = "role default " if self.default else ""
        where = f"{self.file}:{self.line}" if self.line is not None else f"{self.file} (encrypted)"
        return f"{self.variable} in {kind}{where}"


class Origin(NamedTuple):
    """Where a setting was set.

    Attributes:
        words: variables, each with its file and line; or a text in place of them.
        secret: Ansible Vault protects the value, so it is not to be shown.
    """

    words: str
    secret: bool = False


class Origins:
    """Finds where each setting of a fleet was set."""

    def __init__(self, fleet: Fleet, path: Path, tree: Path) -> None:
        """Prepare the search.

        Args:
            path: the Ansible inventory.
            tree: the project's root, where the roles are.
        """
        self._fleet = fleet
        self._path = path
        self._tree = tree
        self._read: dict[str, list[tuple[Path, dict[str, tuple[Any, Any]]]]] = {}

    def of(self, setting: Sequence[str], value: object) -> Origin:
        """Return where a setting was set.

        Args:
            setting: its keys in the fleet document; a list's entry by its name.
            value: of the setting, to distinguish a file from an encrypted one that may set the same variable.
        """
        host, template, rest = self._template(setting)
        names = list(self._variables(template))
        found = [place for name in names if (place := self._set(host, name, value))]
        found = found or [place for name in names if (place := self._by_default(host, name, value))]
        if not found:
            named = _ANSIBLES_OWN in "".join(self._texts(template))
            return Origin("ansible.cfg or the environment" if named else f"inventory {_shown(self._path)}")
        words = dict.fromkeys(str(_narrowed(place, rest)) for place in found)
        return Origin(", ".join(words), any(place.secret for place in found))

    def _template(self, setting: Sequence[str]) -> tuple[str, Any, Sequence[str]]:
        """Return the host that is used for a setting, its template, and the keys within the template's value."""
        first, *rest = setting
        if first == "hosts":
            host, *keys = rest
            own = _PARTS.get(keys[0] if keys else "")
            template, within = _within(self._document[own or _HOST], keys[1:] if own else keys)
        else:
            deeper = ".".join(setting[:2])
            if len(setting) > 1 and deeper in _SECTIONS:
                first, rest = deeper, rest[1:]
            group, name = _SECTIONS.get(first, ("consumer", _OF_THE_CONSUMER))
            host = next((host.name for host in self._fleet.group(group)), "")
            if first in _SECTIONS and not rest:
                # The fleet does not have this section: return its would-be template.
                return host, self._document[name], ()
            template, within = _within(self._document[name], setting if name == _OF_THE_CONSUMER else rest)
        return host, template, within

    @cached_property
    def _document(self) -> dict[str, Any]:
        import yaml

        return dict(yaml.safe_load((self._tree / "roles/fleet_document/vars/main.yml").read_text(encoding="utf-8")))

    def _texts(self, template: Any) -> Iterator[str]:
        """Yield a template and those of the document's own variables in it."""
        for text in _strings(template):
            yield text
            for name in _names(text):
                if name.startswith(_OWN):
                    yield from self._texts(self._document.get(name))

    def _variables(self, template: Any) -> Iterator[str]:
        """Yield the variables of a template, but for the document's own, in the order in which it names them."""
        names = dict.fromkeys(name for text in self._texts(template) for name in _names(text))
        return (name for name in names if not name.startswith(_OWN))

    @cached_property
    def _defaults(self) -> dict[str, Place]:
        """The roles' defaults."""
        found = {}
        for file in sorted(self._tree.glob("roles/*/defaults/main.yml")):
            for name, (key, node) in inventory_files.variables(file).items():
                found[name] = Place(name, _shown(file), key.start_mark.line + 1, node, default=True)
        return found

    def _by_default(self, host: str, name: str, value: object) -> Place | None:
        """Return the role's default, or, if that is not the value, the encrypted file that may set it."""
        default, closed = self._defaults.get(name), self._closed(host)
        lacks_one = default is None and not name.startswith("ansible_")
        if closed is not None and (lacks_one or (default is not None and _differs(default.value, value))):
            return Place(name, _shown(closed), None, secret=True)
        return self._beneath(host, default) if default is not None else None

    def _closed(self, host: str) -> Path | None:
        """Return the encrypted file of variables with the highest precedence for a host."""
        files = [file for file, _ in reversed(self._layers(host)) if inventory_files.is_encrypted(file)]
        return next(iter(files), None)

    def _beneath(self, host: str, default: Place) -> Place:
        """Return the origin of a role's default: a variable of the inventory, or the only other default in it."""
        names = [name for text in _node_texts(default.value) for name in _names(text) if name != default.variable]
        deeper = []
        for name in dict.fromkeys(names):
            if place := self._set(host, name, None):
                return place
            if name in self._defaults:
                deeper.append(self._beneath(host, self._defaults[name]))
        inherited = next((place for place in deeper if not place.default), None)
        return inherited or (deeper[0] if len(set(names)) == 1 and deeper else default)

    def _set(self, host: str, name: str, value: object) -> Place | None:
        """Return what sets a variable of a host, apart from the roles; None if nothing does."""
        closed: Path | None = None
        for file, found in reversed(self._layers(host)):
            if inventory_files.is_encrypted(file):
                closed = closed or file
            elif name in found:
                key, node = found[name]
                if closed is not None and _differs(node, value):
                    return Place(name, _shown(closed), None, secret=True)
                secret = self._is_secret(host, name, node)
                return Place(name, _shown(file), key.start_mark.line + 1, node, secret=secret)
        return None

    def _is_secret(self, host: str, name: str, node: Any) -> bool:
        """Return whether a value is encrypted, or depends on an encrypted variable."""
        if node.tag == _VAULT_TAG:
            return True
        others = {other for text in _node_texts(node) for other in _names(text)} - {name}
        places = [self._set(host, other, None) or self._by_default(host, other, None) for other in others]
        return any(place is not None and place.secret for place in places)

    def _layers(self, host: str) -> list[tuple[Path, dict[str, tuple[Any, Any]]]]:
        """Return the files that set variables of a host, with the variables; later ones take precedence."""
        if host not in self._read:
            self._read[host] = self._layers_of(host)
        return self._read[host]

    def _layers_of(self, host: str) -> list[tuple[Path, dict[str, tuple[Any, Any]]]]:
        path, groups = self._path, ["all", *self._groups.get(host, [])]
        hosts_files = inventory_files.hosts_files(path)
        layers = [(file, _of_hosts_file(file, "group", group)) for group in groups for file in hosts_files]
        layers += [
            (file, inventory_files.variables(file))
            for group in groups
            for file in inventory_files.variables_files(path, "group_vars", group)
        ]
        layers += [(file, _of_hosts_file(file, "host", host)) for file in hosts_files]
        layers += [
            (file, inventory_files.variables(file)) for file in inventory_files.variables_files(path, "host_vars", host)
        ]
        return [(file, found) for file, found in layers if found or inventory_files.is_encrypted(file)]

    @cached_property
    def _groups(self) -> dict[str, list[str]]:
        """Groups by host, without ``all``; later ones take precedence."""
        done = ansible.run(
            "ansible-inventory",
            ["-i", str(self._path), "--graph"],
            purpose=f"the inventory {self._path}",
            deadline_s=_DEADLINE_S,
            hint="does a script of the inventory hang?",
            environment=ansible.readable(self._tree),
            cwd=self._tree,
        )
        if done.returncode != 0:
            raise ConfigError(f"ansible-inventory cannot read {self._path}")
        return groups_of(done.stdout)


def groups_of(graph: str) -> dict[str, list[str]]:
    """Return groups by host, without ``all``, sorted by depth and then by name, as Ansible merges them.

    Args:
        graph: what ``ansible-inventory --graph`` prints.
    """
    depths: dict[str, int] = {}
    members: dict[str, set[str]] = {}
    above: list[str] = []
    for line in graph.splitlines():
        name = line.lstrip(" |-")
        depth = line.count("|")
        above = above[:depth]
        if name.startswith("@"):
            group = name[1:].removesuffix(":")
            depths[group] = max(depths.get(group, 0), depth)
            above.append(group)
        elif name:
            members.setdefault(name, set()).update(above)
    return {
        host: sorted(groups - {"all", "ungrouped"}, key=lambda group: (depths[group], group))
        for host, groups in members.items()
    }


def _within(template: Any, keys: Sequence[str]) -> tuple[Any, Sequence[str]]:
    """Return the template of a key, or None, and the keys within the template's value."""
    for at, key in enumerate(keys):
        if not isinstance(template, dict):
            return template, keys[at:]
        template = template.get(key)
    return (None if isinstance(template, dict) else template), ()


def _narrowed(place: Place, keys: Sequence[str]) -> Place:
    """Return the place of a part of the value, as far as the file has its keys; a list's entry by its ``name``."""
    import yaml

    node, line = place.value, place.line
    for key in keys:
        if isinstance(node, yaml.SequenceNode):
            entries = [one for one in node.value if _name_of(one) == key]
            if not entries:
                break
            node, line = entries[0], entries[0].start_mark.line + 1
            continue
        found = inventory_files.pairs(node).get(key)
        if found is None:
            # A mapping of named entries, such as the topics.
            entries = [pair for pair in inventory_files.pairs(node).values() if _name_of(pair[1]) == key]
            if not entries:
                break
            found = entries[0]
        line, node = found[0].start_mark.line + 1, found[1]
    return place._replace(line=line)


def _name_of(node: Any) -> str:
    _key, value = inventory_files.pairs(node).get("name", (None, None))
    return str(value.value) if value is not None else ""


def _of_hosts_file(file: Path, kind: str, name: str) -> dict[str, tuple[Any, Any]]:
    """Return the variables that a file with hosts sets for a group or a host."""
    found: dict[str, tuple[Any, Any]] = {}

    def walk(groups: dict[str, tuple[Any, Any]]) -> None:
        for group, (_key, node) in groups.items():
            parts = {part: inventory_files.pairs(value) for part, (_, value) in inventory_files.pairs(node).items()}
            if kind == "group" and group == name:
                found.update(parts.get("vars", {}))
            if kind == "host" and name in parts.get("hosts", {}):
                found.update(inventory_files.pairs(parts["hosts"][name][1]))
            walk(parts.get("children", {}))

    walk(inventory_files.variables(file))
    return found


def _differs(node: Any, value: object) -> bool:
    """Return whether a file's value cannot be the setting's value; a template may give any value."""
    import yaml

    return (
        isinstance(node, yaml.ScalarNode)
        and isinstance(value, str | int)
        and "{{" not in node.value
        and not node.tag.startswith("!")
        # YAML's true is Python's True.
        and (
            str(node.value).lower() != str(value).lower() if isinstance(value, bool) else str(node.value) != str(value)
        )
    )


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _strings(part)


def _node_texts(node: Any) -> Iterator[str]:
    import yaml

    if isinstance(node, yaml.ScalarNode):
        yield node.value
    elif isinstance(node, yaml.CollectionNode):
        for part in node.value:
            for one in part if isinstance(part, tuple) else (part,):
                yield from _node_texts(one)


@cache
def _names(text: str) -> tuple[str, ...]:
    """Return the variables of a template, in order."""
    from jinja2 import Environment, TemplateError, nodes

    if "{{" not in text:
        return ()
    try:
        # Parsed and not rendered; Ansible's own filters need not be known for that.
        tree = Environment(autoescape=True).parse(text)
    except TemplateError:
        return ()
    return tuple(dict.fromkeys(node.name for node in tree.find_all(nodes.Name) if node.name not in _BUILT_IN))


def _shown(file: Path) -> Path:
    """Return a path as typed in the current folder."""
    here = Path.cwd()
    return file.relative_to(here) if file.is_relative_to(here) else file
