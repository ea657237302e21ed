"""The distribution's Python, which hosts run the consumer on, reads each golden line as this Python does.

Regular expressions differ between patch releases: before 3.11.5 a possessive group may match wrongly.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"
DISTRIBUTIONS = Path("/usr/bin/python3")
#: Reads all golden lines, and writes what each became.
_READ = """
import json, pathlib, re, sys
from obsctl.lines.formats import registry
from obsctl.lines.formats.line import LineError
formats = registry.formats(error_log_timezone="Europe/Berlin")
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.jsonl")):
    for text in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(text)
        # The empty request of a scanner, and lines that end in the middle, are where patterns went wrong.
        for line in (entry["line"], entry["line"][:-1], entry["line"] + ' "'):
            try:
                became = repr(formats[path.stem](line))
            except LineError as error:
                became = error.reason
            # An absent number prints its address in memory.
            print(json.dumps([path.stem, line, re.sub(" at 0x[0-9a-f]+", "", became)]))
"""


def read_by(python: str | Path) -> list[str]:
    project = Path(__file__).resolve().parents[3]
    paths = [project / "src", sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [python, "-c", _READ, GOLDEN], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_each_line_is_read_alike() -> None:
    if not DISTRIBUTIONS.exists():
        pytest.skip(f"no {DISTRIBUTIONS} on this machine")
    version = subprocess.run(
        [DISTRIBUTIONS, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=True
    ).stdout.split()
    if version != [str(part) for part in sys.version_info[:2]]:
        pytest.skip(f"{DISTRIBUTIONS} is Python {'.'.join(version)}: the compiled libraries here are not for it")
    mine, theirs = read_by(sys.executable), read_by(DISTRIBUTIONS)
    assert len(mine) > 300
    different = [json.loads(m)[:2] for m, t in zip(mine, theirs, strict=True) if m != t]
    assert different == []
