"""``docs/reference/faults.md`` is the catalogue of faults that the lab goes through, and the catalogue is well formed.

``OBSCTL_GOLDEN=write pytest tests/contract/docs/test_faults_page.py`` writes the page's tables.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.docs.program import COMMANDS
from tests.lab.catalogue import DEADLINES, FAULTS, PARTS, Fault, Says, filled

PAGE = Path(__file__).resolve().parents[3] / "docs/reference/faults.md"
RUNBOOKS = PAGE.parents[1] / "runbooks"
#: What the names in braces are on the page.
NAMES = {"holder": "node1", "other": "node2", "database": "mariadb"}
_HEAD = ["| fault | command | its first line | findings | exit |", "|---|---|---|---|---|"]


def tables() -> str:
    """Return the page's part that follows from the catalogue."""
    parts = []
    for part, faults in PARTS.items():
        rows = [row(name if first else "", says) for name, fault in faults.items() for first, says in _says(fault)]
        parts.append("\n".join([f"## {part}", "", *_HEAD, *rows]))
    return "\n\n".join(parts) + "\n"


def _says(fault: Fault) -> Iterator[tuple[bool, Says]]:
    yield from ((index == 0, says) for index, says in enumerate(fault.says))


def row(name: str, says: Says) -> str:
    """Return the line of a table for what one command says."""
    top = filled(says.top, NAMES).replace("|", "\\|")
    codes = dict.fromkeys(one.split()[0] for one in (*says.causes, *says.informs))
    found = ", ".join(f"`{code}`" for code in codes) or "-"
    return f"| {name} | `{says.command}` | `{top}` | {found} | {says.exit_code} |"


def test_the_page_is_the_catalogue() -> None:
    before, heading, _ = PAGE.read_text(encoding="utf-8").partition("## ")
    assert heading
    written = before + tables()
    if os.environ.get("OBSCTL_GOLDEN") == "write":
        PAGE.write_text(written, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == written


@pytest.mark.parametrize("name", FAULTS)
def test_a_row_can_be_carried_out(name: str) -> None:
    fault = FAULTS[name]
    for step in (*fault.make, *fault.mend, *fault.meanwhile):
        command = filled(step.command, NAMES)
        assert not re.search(r"\{[a-z]+\}", command), command
        if step.where == "obsctl":
            assert any(command.startswith(one) for one in COMMANDS), command
        elif step.where not in ("play", "robot", "certificate"):
            subprocess.run(["sh", "-n", "-c", command], check=True, capture_output=True)
    for says in fault.says:
        assert says.command in DEADLINES
        assert " ".join(word for word in shlex.split(says.command) if not word.startswith("-")).startswith(
            tuple(COMMANDS)
        )
        # What it asserts can go wrong: there is a code, or it has to find nothing.
        assert bool(says.causes) == bool(says.exit_code)
        for one in (*says.causes, *says.informs):
            assert (RUNBOOKS / f"{one.split()[0]}.md").is_file(), one


def test_each_kind_of_fault_is_made_in_every_run() -> None:
    """Of each part but the one that costs most, one fault is in ``./test.sh lab``; the others are made on demand."""
    for part, faults in PARTS.items():
        assert 1 <= sum(not fault.long for fault in faults.values()) <= 1, part
