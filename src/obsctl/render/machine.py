"""The formats that programs read: json, ndjson and yaml."""

from __future__ import annotations

from typing import Any

import msgspec

from obsctl.core.report import Report


def as_json(report: Report) -> str:
    """Return the report as one JSON object on one line."""
    return _line(report)


def as_ndjson(report: Report) -> str:
    """Return a JSON line for each finding and error, then one for the report without them."""
    head: dict[str, Any] = msgspec.to_builtins(report, enc_hook=str)
    lines = [{"kind": "finding", **finding} for finding in head.pop("findings")]
    lines += [{"kind": "error", **error} for error in head.pop("errors")]
    lines.append({"kind": "report", **head})
    return "\n".join(map(_line, lines))


def _line(document: Any) -> str:
    """Return a document on one line; numbers that JSON does not have (infinity) become null."""
    return msgspec.json.encode(document, enc_hook=str).decode()


def as_yaml(report: Report) -> str:
    """Return the report as one YAML document."""
    import yaml

    return yaml.safe_dump(msgspec.to_builtins(report, enc_hook=str), allow_unicode=True, sort_keys=False).rstrip("\n")
