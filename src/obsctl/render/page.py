"""Reports as self-contained HTML pages: no script, and nothing is loaded from elsewhere.

Texts from hosts and clients are escaped. In addition, the page's Content-Security-Policy allows only its own style
sheet, by digest, so that injected content could do nothing.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import jinja2

import obsctl
from obsctl.core.report import Report
from obsctl.render.plain import plain

_FOLDER = Path(obsctl.__file__).parent / "templates" / "reports"


def page(report: Report, template: str) -> str:
    """Return the page.

    Args:
        template: the name of a file in ``templates/reports`` without its suffixes.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["digest"] = _digest
    environment.filters["plain"] = plain
    return environment.get_template(f"{template}.html.j2").render(report=report, data=report.data)


def _digest(style: str) -> str:
    """Return a style sheet's digest for the policy; it covers exactly the text between the tags."""
    return f"sha256-{base64.b64encode(hashlib.sha256(str(style).encode()).digest()).decode()}"
