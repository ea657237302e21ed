"""The texts that a user reads are in plain words: each word that made readers stop is named with what to write."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
#: What readers stumbled over, and the plain word. Only words that these texts never need: the list has no exceptions.
PLAIN = {
    r"anew": "again",
    r"at hand": "available, or: can be read",
    r"at it again": "repeated",
    r"(?:is|are|was|were) away": "is down",
    r"ballots?": "answers",
    r"befits?": "fits",
    r"blows?": "faults",
    r"by now": "now",
    r"gives? way|gave way": "loses a deadlock, or what else happens",
    r"h(?:old|olds|olding|eld) up": "block, delay",
    r"in clear": "unencrypted, without TLS",
    r"in person": "directly",
    r"in vain": "without success",
    r"inventory wants": "inventory specifies",
    r"let(?:s|ting)? go": "release, drop",
    r"lonely": "single",
    r"made again": "created again, built again",
    r"mend(?:s|ed|ing)?": "repair, fix",
    r"more and more seldom": "less and less often",
    r"nobody": "no consumer, no host, or who else",
    r"of its own accord": "by itself",
    r"sign of life": "heartbeat",
    r"(?:stands?|stood|standing) still": "does not advance, stops",
    r"tak(?:e|es|en|ing) note|took note": "acknowledge",
    r"tells?|told": "says, shows, names, reports",
    r"(?<!EL )(?<!EL 9 )(?<!EL-)(?<!el-)twins?": "EL twin",
    r"whoever": "those who",
    r"without a word": "silently",
}
_RULES = [(re.compile(rf"(?<![\w-])(?:{word})(?![\w-])", re.IGNORECASE), plain) for word, plain in PLAIN.items()]

_WHOLE = (
    "*.md",
    "docs/**/*.md",
    "start.sh",
    "test.sh",
    "roles/*/meta/*.yml",
    "roles/*/tasks/*.yml",
    "inventories/**/*.yml",
)
_MODULES = ("src/obsctl/**/*.py", "plugins/**/*.py")
TEXTS = sorted(path for pattern in (*_WHOLE, *_MODULES) for path in PROJECT.glob(pattern) if path.is_file())


def pieces(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of what a user reads of a file: all of a document, a module's string constants."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield from enumerate(text.splitlines(), start=1)
        return
    tree = ast.parse(text)
    # The docstring of a command is its help text; others are read by developers.
    kept = set() if "cli" in path.parts else _docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in kept:
            yield node.lineno, " ".join(node.value.split())


def _docstrings(tree: ast.Module) -> set[int]:
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def stumbles(path: Path) -> list[str]:
    return [
        f"{path.relative_to(PROJECT)}:{line}: '{found[0]}': write {plain}"
        for line, text in pieces(path)
        for rule, plain in _RULES
        for found in rule.finditer(text)
    ]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_a_text_has_only_plain_words(path: Path) -> None:
    found = stumbles(path)
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    "line", ["The file is made anew.", "Two twins of CentOS.", "It tells who.", "LET GO of it", "Kafka is away."]
)
def test_a_puzzling_word_is_found(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "PROJECT", tmp_path)
    document = tmp_path / "page.md"
    document.write_text(f"EL twins, el-twin, the EL 9 twin and a hand-told story are plain.\n{line}\n")
    assert [text.split(":")[1] for text in stumbles(document)] == ["2"]
