"""The formats that programs read: json, ndjson and yaml."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from obsctl.core.report import Report


def as_json(report: Report) -> str:
    """Return the report as one JSON object on one line."""
    return msgspec.json.encode(report, enc_hook=str).decode()


def as_ndjson(report: Report) -> str:
    """Return a JSON line for each finding and error, then one for the report without them."""
    head: dict[str, Any] = msgspec.to_builtins(report)
    lines = [{"kind": "finding", **finding} for finding in head.pop("findings")]
    lines += [{"kind": "error", **error} for error in head.pop("errors")]
    lines.append({"kind": "report", **head})
    return "\n".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) for line in lines)


def as_yaml(report: Report) -> str:
    """Return the report as one YAML document."""
    import yaml

    return yaml.safe_dump(msgspec.to_builtins(report), allow_unicode=True, sort_keys=False).rstrip("\n")
