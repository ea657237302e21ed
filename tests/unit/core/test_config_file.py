"""Configuration files: each mistake is named by file, line and key, and nothing breaks the reader."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from obsctl.core.config_file import ConfigFile, InvalidValueError
from obsctl.core.errors import ConfigError
from obsctl.core.settings import Name, Port, Section


class Inner(Section, frozen=True, kw_only=True):
    port: Port
    names: tuple[Name, ...] = ()


class Outer(Section, frozen=True, kw_only=True):
    inner: Inner
    parts: list[Inner] = []  # noqa: RUF012 - msgspec copies it


def read(tmp_path: Path, text: str | bytes) -> Outer:
    path = tmp_path / "x.yml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return ConfigFile(path).to(Outer)


def test_a_good_file_is_a_value(tmp_path: Path) -> None:
    assert read(tmp_path, "inner: {port: 1, names: [a]}\n") == Outer(inner=Inner(port=1, names=("a",)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("inner:\n  port: 0\n", "x.yml:2: inner.port: Expected `int` >= 1"),
        ("inner:\n  port: 1\n  prot: 2\n", "x.yml:3: inner: Object contains unknown field `prot`"),
        ("inner:\n  names: []\n", "x.yml:1: inner: Object missing required field `port`"),
        ("inner: {port: 1}\nparts:\n- port: 1\n- port: x\n", "x.yml:4: parts[1].port: Expected `int`, got `str`"),
        ("inner: {port: 1}\nparts:\n- port: 1\n  names: [a,\n    '']\n", "x.yml:5: parts[0].names[1]: "),
        ("# nothing\n", "x.yml: top level: Expected `object`, got `null`"),
        ("", "x.yml: top level: "),
        ("- a\n", "x.yml:1: top level: Expected `object`"),
        ("inner: [\nport: 1\n", "x.yml:3: is not YAML: "),
        ("inner: {port: 1}\ninner: {port: 2}\n", "x.yml:2: inner is given twice, first in line 1"),
        ("inner:\n  port: 1\n  names: []\n  port: 2\n", "x.yml:4: port is given twice, first in line 2"),
        ("inner: !vault |\n  x\n", "x.yml:1: is not YAML: "),
        ("inner: 2026-99-99\n", "is not YAML: "),
        (b"inner: \xff\n", "x.yml: is not text in UTF-8"),
        ("inner: \x07\n", "x.yml: holds a control character"),
        ("inner: &a [*a]\n", "x.yml:1: this value holds itself"),
        ("inner: {port: 1}\nparts:\n- &b {port: 1, more: {x: *b}}\n", "x.yml:3: this value holds itself"),
        ("? &k [*k]\n: 1\n", "x.yml:1: this value holds itself"),
        (
            "a: &a [1, 2]\n" + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefgh")),
            "x.yml: has more than 1,000,000 values",
        ),
        ("[" * 5000, "x.yml: is nested too deeply"),
    ],
)
def test_each_mistake_has_its_place(tmp_path: Path, text: str | bytes, words: str) -> None:
    with pytest.raises(ConfigError) as fault:
        read(tmp_path, text)
    assert words in str(fault.value)


def test_a_value_that_cannot_work_is_named_the_same_way(tmp_path: Path) -> None:
    path = tmp_path / "x.yml"
    path.write_text("inner:\n  port: 1\n  names:\n  - a\n  - b\n")
    file = ConfigFile(path)
    assert (
        str(file.error(InvalidValueError("inner.names[1]", "is b", hint="use a"))) == f"{path}:5: inner.names[1]: is b"
    )
    assert file.error(InvalidValueError("inner.gone", "is missing", hint="use a")).hint == "use a"
    assert str(file.error(InvalidValueError("", "is wrong"))) == f"{path}:1: top level: is wrong"


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yml cannot be read"):
        ConfigFile(tmp_path / "absent.yml")
