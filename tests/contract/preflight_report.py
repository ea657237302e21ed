"""What the preflight says about each fault, as JSON: run under another ansible-core than the tests' own.

PYTHONPATH=ROOT VENV/bin/python -m tests.contract.preflight_report FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from rig import ansible_inventory


def report(folder: Path) -> dict[str, list[Any]]:
    """Return the problems of the folder's sound inventory, and of each fault laid over it."""
    from ansible_collections.obscraft.fleet.plugins.action import fleet_preflight
    from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight import rules

    found = {}
    for fault in [folder / "sound", *sorted(folder.glob("*.yml"))]:
        templar, hostvars, groups = ansible_inventory.read([folder / "sound", fault])
        fleet = fleet_preflight.gather(templar, hostvars, groups, ["look"])
        found[fault.stem] = [list(problem) for problem in rules.find_problems(fleet)]
    return found


if __name__ == "__main__":
    json.dump(report(Path(sys.argv[1])), sys.stdout)
