"""Runbook pages as blocks: every page of the collection is understood, and its words are all there."""

from __future__ import annotations

import re

import pytest

from obsctl.console.runbook import Block, Part, blocks
from obsctl.core import runbooks


def test_headings_paragraphs_lists_and_code() -> None:
    text = (
        "# CODE\n\nIt means <b>\nthis.\n\n## What\n\n1. Type `a b\n   c` now.\n2. See [the page](../x.md#y).\n\n* one\n"
    )
    assert blocks(text) == [
        Block("h1", [[Part("CODE", code=False)]]),
        Block("p", [[Part("It means <b> this.", code=False)]]),
        Block("h2", [[Part("What", code=False)]]),
        Block(
            "ol",
            [
                [Part("Type ", code=False), Part("a b c", code=True), Part(" now.", code=False)],
                [Part("See the page.", code=False)],
            ],
        ),
        Block("ul", [[Part("one", code=False)]]),
    ]


@pytest.mark.parametrize("code", runbooks.pages())
def test_a_page_is_shown_whole(code: str) -> None:
    text = runbooks.pages()[code].read_text(encoding="utf-8")
    found = blocks(text)
    assert found[0] == Block("h1", [[Part(code, code=False)]])
    shown = [part.text for block in found for line in block.lines for part in line]
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)|`|^ *(?:#+|\d+\.|[-*]) ", r"\1", text, flags=re.MULTILINE)
    assert " ".join(" ".join(shown).split()).replace(" ", "") == "".join(plain.split())
