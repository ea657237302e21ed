"""Drills as one self-contained HTML page, each with a timeline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2

import obsctl
from obsctl.core.errors import ConfigError
from obsctl.core.report import Finding
from obsctl.core.utc import iso
from obsctl.drill.record import Drill

_TEMPLATES = Path(obsctl.__file__).parent / "templates" / "drill"
#: Size of the drawing, in its own units.
_WIDTH, _TICKS = 1000.0, 60.0
#: Number of columns in which requests are drawn, each with its share of failures.
_COLUMNS = 250


class _Column(NamedTuple):
    x: float
    width: float
    good: float
    bad: float


def write(path: Path, drills: Sequence[Drill], findings: Sequence[Finding]) -> None:
    """Write the page.

    Raises:
        ConfigError: the file cannot be written.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template("report.html.j2").render(
        drills=[_drawn(drill) for drill in drills], findings=findings, width=_WIDTH, ticks=_TICKS
    )
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the report cannot be written to {path}: {error.strerror}") from None


def _drawn(drill: Drill) -> dict[str, Any]:
    ends = max([1.0, *(probe.at for probe in drill.probes), *(event.at for event in drill.events)])
    scale = _WIDTH / ends
    most = max([1, *(sample.value or 0 for sample in drill.rows)])
    return {
        "drill": drill,
        "begun": iso(drill.begun_at),
        "ends": ends,
        "columns": _columns(drill, ends),
        "events": [(round(event.at * scale, 1), event) for event in drill.events],
        "outage": (round(drill.outage.begins * scale, 1), max(1.0, round(drill.outage.seconds * scale, 1))),
        "rows": " ".join(
            f"{sample.at * scale:.1f},{_TICKS * (1 - sample.value / most):.1f}"
            for sample in drill.rows
            if sample.value is not None
        ),
        "seconds": [(round(second * scale, 1), second) for second in range(0, int(ends) + 1, max(1, int(ends) // 10))],
    }


def _columns(drill: Drill, ends: float) -> list[_Column]:
    width = ends / _COLUMNS
    good, bad = [0] * (_COLUMNS + 1), [0] * (_COLUMNS + 1)
    for probe in drill.probes:
        (good if probe.good else bad)[int(probe.at / width)] += 1
    most = max([1, *(one + other for one, other in zip(good, bad, strict=True))])
    step = _WIDTH / _COLUMNS
    return [
        _Column(round(number * step, 1), round(step, 1), _TICKS * good[number] / most, _TICKS * bad[number] / most)
        for number in range(_COLUMNS + 1)
        if good[number] or bad[number]
    ]
