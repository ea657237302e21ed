"""What a newcomer reads: no command before the step that brings its program."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("document", "beginning"), [("README.md", "## Your own hosts"), ("docs/deployment-manual.md", "## 1.")]
)
def test_steps_come_in_the_order_in_which_they_work(document: str, beginning: str):
    text = (ROOT / document).read_text(encoding="utf-8").partition(beginning)[2]
    steps = (
        "scripts/make-venv control",
        "source .venv/bin/activate",
        "ansible-vault encrypt",
        "export ANSIBLE_VAULT_PASSWORD_FILE=",
        "obsctl artifacts build",
        "ansible-playbook site.yml -i ",
        "`-K`",
    )
    places = [text.find(step) for step in steps]
    assert -1 not in places, dict(zip(steps, places, strict=True))
    # The manual shows the playbook's syntax check first.
    places[5] = text.rfind(steps[5], 0, places[6])
    assert places == sorted(places)
