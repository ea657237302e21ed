"""MySQL's own server for the tests, beside whatever database the machine has.

    OBSCTL_TEST_MYSQLD=$(PYTHONPATH=tests python -m rig.mysql_server) pytest tests/integration/test_store.py

Debian's stable releases have MariaDB alone, so it comes from the unstable one: its package and those that it needs are
unpacked into the cache, once (some 80 MB to download), and run from there with their own loader and libraries. Nothing
is installed. Needs Debian and root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from obsctl.core.cachedir import cache_root
from obsctl.core.errors import ConfigError
from obsctl.lab import apt
from obsctl.lab.bootstrap import bootstrap
from obsctl.lab.errors import LabError
from rig.tools import REPOSITORY

_PACKAGE = "mysql-server-core"


def program() -> Path:
    """Return a program that is ``mysqld``; make it where it is not there yet.

    Raises:
        ConfigError: the machine's package sources have no unstable release beside them.
        LabError: the packages could not be fetched.
    """
    folder = cache_root() / "mysql-server"
    made = folder / "mysqld"
    if not made.exists():
        draft = folder.with_name(f".mysql-server-{os.getpid()}")
        draft.mkdir(parents=True)
        try:
            _unpack(draft / "root")
            shutil.rmtree(folder, ignore_errors=True)
            draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        _write_wrapper(made, folder / "root")
    return made


def _unpack(root: Path) -> None:
    subprocess.run([REPOSITORY / "scripts" / "install-packages", "mmdebstrap"], check=True, stdout=sys.stderr)
    bootstrap(root, apt.UNSTABLE, apt.of_machine(apt.UNSTABLE), [_PACKAGE], _note, options=["--variant=extract"])


def _write_wrapper(path: Path, root: Path) -> None:
    """Write the program: it starts the server as on a system of its own, with the paths that it would look for there.

    Written last, under another name first: where it is, all is.
    """
    (libraries,) = (root / "usr/lib").glob("*-linux-gnu")
    (loader,) = libraries.glob("ld-linux-*.so.*")
    options = [
        f"--basedir={root / 'usr'}",
        f"--plugin-dir={root / 'usr/lib/mysql/plugin'}",
        f"--lc-messages-dir={root / 'usr/share/mysql'}",
    ]
    # The file with the defaults has to be named first.
    text = f"""#!/bin/sh
first=$1
shift
exec {loader} --library-path {libraries} {root / "usr/sbin/mysqld"} "$first" {" ".join(options)} "$@"
"""
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.chmod(0o755)
    draft.rename(path)


def _note(text: str) -> None:
    sys.stderr.write(text + "\n")


def main() -> None:
    """Write the program's path to the standard output."""
    try:
        sys.stdout.write(f"{program()}\n")
    except (ConfigError, LabError) as error:
        sys.exit(f"{error}\n{error.hint}".strip())


if __name__ == "__main__":
    main()
