"""Mounts of the lab: found in the kernel's table, and unmounted from the innermost to the outermost."""

from __future__ import annotations

from pathlib import Path

from obsctl.lab.errors import LabError
from obsctl.lab.programs import run


def below(directory: Path) -> list[Path]:
    """Return the mount points at or below the directory, the innermost first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = Path(_unescape(line.split()[4]))
        if point == directory or directory in point.parents:
            found.append(point)
    return found[::-1]


def detach(directory: Path) -> None:
    """Unmount everything at or below the directory, even where something is still open there.

    Raises:
        LabError: a mount stayed. Nothing below the directory may be removed then: it might be the machine's.
    """
    for point in below(directory):
        run(["umount", "--lazy", str(point)])
    if left := below(directory):
        raise LabError(f"{left[0]} is still mounted", hint=f"see what uses it: grep {directory} /proc/*/mounts")


def overlay(lower: Path, upper: Path, work: Path, target: Path) -> None:
    """Mount ``lower`` at ``target``, with every change going to ``upper``.

    Raises:
        LabError: the kernel or the file system below refused.
    """
    if target in below(target):
        return
    options = f"lowerdir={_escape(lower)},upperdir={_escape(upper)},workdir={_escape(work)}"
    try:
        run(["mount", "-t", "overlay", "-o", options, "obsctl-lab", str(target)])
    except LabError as error:
        raise LabError(
            str(error), hint=f"{upper} must be on a local disk: an overlay (a container's own root) cannot hold another"
        ) from None


def _escape(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def _unescape(field: str) -> str:
    # proc(5): blank, tab, newline and backslash are written as octal.
    return field.encode().decode("unicode_escape").encode("latin-1").decode()
