"""docs/reference/consumer.md names every key of the configuration and every metric."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from obsctl.consumer.config import Config
from obsctl.consumer.telemetry import Telemetry
from obsctl.consumer.unit import health_page
from obsctl.consumer.unit.overview import gather


def keys(kind: type[msgspec.Struct]) -> set[str]:
    found = set()
    for field in msgspec.structs.fields(kind):
        nested = isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
        found |= keys(field.type) if nested else {field.name}
    return found


def test_every_key(project: Path) -> None:
    page = (project / "docs" / "reference" / "consumer.md").read_text()
    named = {key.rpartition(".")[2] for key in re.findall(r"`([a-z_.]+)`", page)}
    assert keys(Config) - named == set()


def test_every_metric(project: Path) -> None:
    page = (project / "docs" / "reference" / "consumer.md").read_text()
    for name in re.findall(
        r"(?m)^# TYPE obsctl_consumer_(\w+)",
        health_page.metrics(gather(Telemetry(), [], started=0, lines_per_second=None)),
    ):
        assert re.search(rf"`{name}[`{{]", page), name
