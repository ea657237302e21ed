"""How a Debian root is made: by mmdebstrap, from the machine's own package sources."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from obsctl.lab.apt import AptSources
from obsctl.lab.errors import LabError

Note = Callable[[str], None]


def bootstrap(
    root: Path, codename: str, sources: AptSources, packages: Sequence[str], note: Note, *, options: Sequence[str] = ()
) -> None:
    """Make a root of a release with these packages and what they depend on.

    Args:
        root: the directory to make; its parent gets the source lists.
        codename: the release.
        sources: where packages come from.
        packages: what the root has.
        note: called with each line of progress.
        options: further options of mmdebstrap; without a ``--variant`` the packages are all there is.

    Raises:
        LabError: mmdebstrap failed; the message holds its own first complaints.
    """
    files = []
    for name, text in ((f"{codename}.sources", sources.deb822), (f"{codename}.list", sources.one_line)):
        if text:
            path = root.parent / name
            path.write_text(text + "\n")
            files.append(str(path))
    argv = [
        "mmdebstrap", "--mode=root", "--format=directory",
        '--aptopt=Acquire::Languages "none"',
        *(f"--aptopt={line.removesuffix(';')}" for line in sources.settings),
        f"--include={','.join(packages)}",
        *(f"--setup-hook=mkdir -p \"$1/etc/apt\" && cp -a {path} \"$1/etc/apt/\""
          for path in ("/etc/apt/auth.conf", "/etc/apt/auth.conf.d") if Path(path).exists()),
        *options,
        codename, str(root), *files,
    ]  # fmt: skip
    # In its own session: so interruptions are handled here only, and an orphan can be found and ended with all its
    # children.
    builder = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    said: list[str] = []
    assert builder.stdout is not None  # noqa: S101 - a pipe was asked for
    for line in builder.stdout:
        said.append(line.rstrip())
        if line.startswith("I: ") and " in shell: " not in line:
            note(f"  {line[3:].rstrip()}")
    if builder.wait() != 0:
        faults = [line for line in said if line.startswith(("E: ", "Err:"))] or said[-3:]
        raise LabError(
            f"the root of the hosts could not be built: {'; '.join(faults[:3])}",
            hint="check the machine's own package sources: apt-get update",
        )
