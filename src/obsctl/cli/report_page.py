"""A report as a page of HTML in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from obsctl.core.errors import ConfigError

if TYPE_CHECKING:
    from obsctl.core.report import Report


def write_page(path: Path, template: str, report: Report) -> None:
    """Write the report to a file.

    Args:
        path: of the file; an existing one is overwritten.
        template: of the page: the name of a file in ``templates/reports`` without its suffixes.

    Raises:
        ConfigError: the file cannot be written.
    """
    from obsctl.render.page import page

    try:
        path.write_text(page(report, template), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the report cannot be written to {path}: {error.strerror}") from None
