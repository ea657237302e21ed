"""Reads the daemons' configuration: YAML into a typed struct; each error names file, line and key."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import yaml

from obsctl.core.errors import ConfigError

T = TypeVar("T")

_PLACED = re.compile(r"(?s)(?P<what>.*) - at `(?P<place>(?:key in )?\$.*)`")
_STEP = re.compile(r"\.(?P<key>[^.\[\]]+)|\[(?P<index>\d+)\]")
#: The most values of a document with its aliases expanded; a file of 20,000 rules has 200,000.
_MOST_VALUES = 1_000_000
#: msgspec gives the key only within its messages.
_UNKNOWN_KEY = re.compile(r"Object contains unknown field `(?P<key>[^`]*)`")


class InvalidValueError(ValueError):
    """A value that has the right type and yet cannot work.

    Args:
        key: where it stands, such as ``rules[0].share``; empty for the whole file.
        what: what is wrong with it, without secrets.
        hint: what to write instead.
    """

    def __init__(self, key: str, what: str, *, hint: str = "") -> None:
        super().__init__(what)
        self.key = key
        self.hint = hint


class ConfigFile:
    """A parsed file that knows on which line a key is.

    Args:
        path: of the file, named in every error.
        text: content of the file, if it was read already.

    Raises:
        ConfigError: it cannot be read, is not YAML in UTF-8, has a key twice, or expands endlessly.
    """

    def __init__(self, path: Path, text: str | None = None) -> None:
        self.path = path
        if text is None:
            text = _text(path)
        with self._yaml_faults():
            # Only composed: other parts may contain tags of other programs, such as Ansible's !vault.
            self._root = yaml.SafeLoader(text).get_single_node()
            _refuse_repeated_keys(self._root, path)
            _refuse_endless(self._root, path)

    def to(self, kind: type[T], part: str = "") -> T:
        """Return the document as a value of the type.

        Args:
            part: a key of the document, if only its value is wanted.

        Raises:
            ConfigError: a key is missing, unknown, or of another type.
        """
        node = self._root
        if part and isinstance(node, yaml.MappingNode):
            node = next(value for key, value in reversed(node.value) if key.value == part)
        with self._yaml_faults():
            document = None if node is None else yaml.SafeLoader("").construct_document(node)
        try:
            return msgspec.convert(document, kind)
        except msgspec.ValidationError as error:
            fault = located(error)
            joined = f"{part}{'.' if part and fault.key and fault.key[0] != '[' else ''}{fault.key}"
            raise self.error(InvalidValueError(joined, str(fault))) from None
        except RecursionError:
            raise ConfigError(f"{self.path}: is nested too deeply") from None

    @property
    def keys(self) -> list[str]:
        """The keys of the document; empty if it is not a mapping."""
        if not isinstance(self._root, yaml.MappingNode):
            return []
        return [key.value for key, _ in self._root.value if isinstance(key, yaml.ScalarNode)]

    @contextlib.contextmanager
    def _yaml_faults(self) -> Iterator[None]:
        try:
            yield
        except yaml.reader.ReaderError:
            raise ConfigError(f"{self.path}: holds a control character") from None
        except yaml.MarkedYAMLError as error:
            line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
            raise ConfigError(f"{self.path}{line}: is not YAML: {error.problem}") from None
        except RecursionError:
            raise ConfigError(f"{self.path}: is nested too deeply") from None
        except ValueError as error:
            # A date or a number that YAML recognises by its form but that Python cannot represent.
            raise ConfigError(f"{self.path}: is not YAML: {error}") from None

    def error(self, fault: InvalidValueError) -> ConfigError:
        """Return the error for a value that cannot work."""
        unknown = _UNKNOWN_KEY.match(str(fault))
        line = self._line(f"{fault.key}.{unknown['key']}" if unknown else fault.key)
        return ConfigError(f"{self.path}{line}: {fault.key or 'top level'}: {fault}", hint=fault.hint)

    def _line(self, key: str) -> str:
        """Return ``:LINE`` of a key, or of its nearest parent in the file; empty for an empty file."""
        node = mark = self._root
        for step in _STEP.finditer(f".{key}" if key and key[0] not in ".[" else key):
            if step["key"] is not None and isinstance(node, yaml.MappingNode):
                pairs = [(k, v) for k, v in node.value if isinstance(k, yaml.ScalarNode) and k.value == step["key"]]
                if not pairs:
                    break
                mark, node = pairs[-1]
            elif (
                step["index"] is not None
                and isinstance(node, yaml.SequenceNode)
                and int(step["index"]) < len(node.value)
            ):
                mark = node = node.value[int(step["index"])]
            else:
                break
        return "" if mark is None else f":{mark.start_mark.line + 1}"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="give the file with --config") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not text in UTF-8") from None


def located(error: msgspec.ValidationError) -> InvalidValueError:
    """Return msgspec's error with the key apart from the text."""
    match = _PLACED.fullmatch(str(error))
    what, key = (match["what"], match["place"].removeprefix("key in ")[1:].lstrip(".")) if match else (str(error), "")
    return InvalidValueError(key, what)


def _refuse_endless(root: yaml.Node | None, path: Path) -> None:
    """Refuse aliases that contain themselves, or that expand to too many values."""
    counts: dict[int, int] = {}
    above: set[int] = set()

    def count(node: yaml.Node) -> int:
        """Return the number of values in a node, including itself."""
        if id(node) in above:
            raise ConfigError(f"{path}:{node.start_mark.line + 1}: this value holds itself, by an alias")
        if id(node) not in counts:
            above.add(id(node))
            parts = node.value if isinstance(node, yaml.CollectionNode) else []
            pairs = isinstance(node, yaml.MappingNode)
            counts[id(node)] = 1 + sum(count(part) for entry in parts for part in (entry if pairs else (entry,)))
            above.remove(id(node))
        return counts[id(node)]

    if root is not None and count(root) > _MOST_VALUES:
        raise ConfigError(f"{path}: has more than {_MOST_VALUES:,} values, with its aliases written out")


def _refuse_repeated_keys(root: yaml.Node | None, path: Path) -> None:
    """Refuse a key that is given twice: YAML would silently take the last one."""
    seen: set[int] = set()
    nodes = [] if root is None else [root]
    while nodes:
        node = nodes.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
        elif isinstance(node, yaml.MappingNode):
            lines: dict[str, int] = {}
            for key, value in node.value:
                nodes.append(value)
                if not isinstance(key, yaml.ScalarNode):
                    continue
                line = key.start_mark.line + 1
                if key.value in lines and key.value != "<<":
                    raise ConfigError(f"{path}:{line}: {key.value} is given twice, first in line {lines[key.value]}")
                lines[key.value] = line
