"""The metrics by which rules know the pipeline are those of the two pages, and the documentation names each.

``python -m tests.contract.alerter.test_metric_names`` writes src/obsctl/alerter/rules/metric_names.py.
"""

from __future__ import annotations

import re
from pathlib import Path

from obsctl.alerter import health as alerter
from obsctl.alerter.rules.metric_names import OURS
from obsctl.consumer.telemetry import Telemetry
from obsctl.consumer.unit import health_page as consumer
from obsctl.consumer.unit.overview import gather

ROOT = Path(__file__).resolve().parents[3]
MODULE = ROOT / "src" / "obsctl" / "alerter" / "rules" / "metric_names.py"
PAGE = ROOT / "docs" / "reference" / "alerting.md"
_KIND = re.compile(r"(?m)^# TYPE (\S+) (\S+)$")
_PARTS = {"histogram": ("_bucket", "_sum", "_count")}


def of_alerter() -> str:
    """Return the alerter's page without a number."""
    nothing = alerter.Health(role=alerter.Role.ACTIVE, status="ok", reason="")
    return alerter.metrics(nothing, 0.0)


def names() -> set[str]:
    """Return all names of both pages."""
    pages = of_alerter() + consumer.metrics(gather(Telemetry(), [], started=0, lines_per_second=None))
    return {name + part for name, kind in _KIND.findall(pages) for part in _PARTS.get(kind, ("",))}


def module() -> str:
    """Return the module's text with these names."""
    lines = "".join(f'        "{name}",\n' for name in sorted(names()))
    text = f"frozenset(\n    {{\n{lines}    }}\n)\n\n"
    return re.sub(r"(?s)(?<=\nOURS = ).*?\)\n\n", text, MODULE.read_text(), count=1)


def test_rules_know_each_name() -> None:
    assert names() == OURS, "python -m tests.contract.alerter.test_metric_names writes them"
    assert MODULE.read_text() == module()


def test_the_page_names_each_number_of_the_alerter() -> None:
    page = PAGE.read_text()
    found = [name.removeprefix("obsctl_alerter_") for name, _ in _KIND.findall(of_alerter())]
    assert [name for name in found if not re.search(rf"`{name}[`{{]", page)] == []


if __name__ == "__main__":
    MODULE.write_text(module())
