"""The real MySQL server, which only Debian's unstable release has, on the twin's older C library.

It brings its own loader and libraries in a directory of its own, so it runs beside any others.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from obsctl.lab import apt
from obsctl.lab.eltwin.tree import Tree
from obsctl.lab.eltwin.workshop import Workshop
from obsctl.lab.programs import run

_PRIVATE = "usr/lib64/mysql/private"
_PROGRAMS = {
    "usr/sbin/mysqld": "usr/libexec/mysqld",
    **{f"usr/bin/{name}": f"usr/bin/{name}" for name in ("mysql", "mysqladmin", "mysqlbinlog", "mysqldump")},
}
#: What the C library loads by name at run time: accounts and host names.
_NAME_SERVICES = ("libnss_files.so.2", "libnss_dns.so.2")
_LISTED = re.compile(r"(?:=> |^\s*)(/\S+) \(0x", re.MULTILINE)


def fill(tree: Tree, workshop: Workshop) -> str:
    """Put the server, its clients and all that they load into an empty tree, at EL's places.

    Returns:
        The server's version.

    Raises:
        LabError: unstable cannot be reached, or patchelf refused a program.
    """
    unstable = workshop.other_root(apt.UNSTABLE, ["mysql-server"])
    (loader,) = (unstable / "usr/lib64").glob("ld-linux*.so.*")
    in_unstable = ["chroot", str(unstable), f"/{loader.relative_to(unstable)}"]
    programs = [_copy(unstable / source, tree.at(target)) for source, target in _PROGRAMS.items()]
    shutil.copytree(unstable / "usr/lib/mysql/plugin", tree.at("usr/lib64/mysql/plugin"))
    shutil.copytree(unstable / "usr/share/mysql", tree.at("usr/share/mysql"))
    # Compiled in; EL's server has it at the other place.
    tree.link("usr/lib/mysql", "../lib64/mysql")
    named = [path for name in _NAME_SERVICES for path in unstable.glob(f"usr/lib/*/{name}")]
    needed = {f"/{path.relative_to(unstable)}" for path in named}
    plugins = (path.name for path in unstable.glob("usr/lib/mysql/plugin/*.so"))
    for name in [*_PROGRAMS, *(f"usr/lib/mysql/plugin/{plugin}" for plugin in plugins)]:
        needed |= set(_LISTED.findall(run([*in_unstable, "--list", f"/{name}"])))
    for library in needed:
        _copy((unstable / library.lstrip("/")).resolve(), tree.at(f"{_PRIVATE}/{Path(library).name}"))
    for program in programs:
        settings = ["--set-interpreter", f"/{_PRIVATE}/{loader.name}", "--force-rpath", "--set-rpath", f"/{_PRIVATE}"]
        workshop.run(["patchelf", *settings, workshop.inside(program)])
    found = re.search(r"Ver ([0-9.]+)", run([*in_unstable, "/usr/sbin/mysqld", "--version"]))
    return found[1] if found else "0"


def _copy(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)
    return target
