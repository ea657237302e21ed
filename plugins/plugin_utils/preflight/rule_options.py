# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""The options of each kind of alert rule, with their types and bounds.

``python -m tests.contract.alerter.test_one_description`` writes it from src/obsctl/alerter/rules.
"""

from __future__ import annotations

from typing import Any

#: Options of every kind.
COMMON: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "severity": {"type": "str"},
    "window_s": {"type": "int", "ge": 1, "le": 3600},
    "resolve_after_s": {"type": "int", "ge": 1},
    "for_s": {"type": "int", "ge": 0, "le": 86400},
}
#: Further options, by kind.
KINDS: dict[str, dict[str, dict[str, Any]]] = {
    "cardinality": {
        "lines": {"type": "str"},
        "filter": {"type": "str"},
        "by": {"type": "list"},
        "of": {"type": "str", "required": True},
        "threshold": {"type": "int", "required": True, "ge": 2, "le": 100000},
    },
    "change": {
        "lines": {"type": "str"},
        "filter": {"type": "str"},
        "by": {"type": "list"},
        "of": {"type": "str", "required": True},
    },
    "flatline": {
        "lines": {"type": "str"},
        "filter": {"type": "str"},
        "by": {"type": "list"},
        "expect": {"type": "list"},
    },
    "frequency": {
        "lines": {"type": "str"},
        "filter": {"type": "str"},
        "by": {"type": "list"},
        "threshold": {"type": "int", "required": True, "ge": 1},
    },
    "match": {
        "lines": {"type": "str"},
        "filter": {"type": "str"},
        "by": {"type": "list"},
    },
    "metric": {
        "metric": {"type": "str", "required": True},
        "match": {"type": "dict"},
        "by": {"type": "list"},
        "above": {"type": "float"},
        "below": {"type": "float"},
        "resolve_above": {"type": "float"},
        "resolve_below": {"type": "float"},
        "increase": {"type": "bool"},
    },
    "new_term": {
        "lines": {"type": "str"},
        "filter": {"type": "str"},
        "by": {"type": "list"},
        "learn_s": {"type": "int", "ge": 1},
        "forget_s": {"type": "int", "ge": 60},
    },
    "percentile": {
        "lines": {"type": "str"},
        "filter": {"type": "str"},
        "by": {"type": "list"},
        "of": {"type": "str"},
        "percentile": {"type": "float", "gt": 0, "lt": 100},
        "above": {"type": "float", "required": True, "ge": 0},
        "min_lines": {"type": "int", "ge": 1},
    },
    "ratio": {
        "lines": {"type": "str"},
        "filter": {"type": "str"},
        "by": {"type": "list"},
        "hits": {"type": "str", "required": True},
        "share": {"type": "float", "required": True, "gt": 0, "le": 1},
        "resolve_share": {"type": "float"},
        "min_lines": {"type": "int", "ge": 1},
    },
    "requests_per_client": {
        "threshold": {"type": "int", "required": True, "ge": 1},
        "ignore_clients": {"type": "list"},
    },
    "spike": {
        "lines": {"type": "str"},
        "filter": {"type": "str"},
        "by": {"type": "list"},
        "factor": {"type": "float", "required": True, "gt": 1},
        "min_lines": {"type": "int", "ge": 1},
        "baseline_s": {"type": "int", "ge": 60, "le": 86400},
    },
    "status_4xx": {
        "threshold": {"type": "int", "required": True, "ge": 1},
    },
    "status_5xx_share": {
        "share": {"type": "float", "required": True, "gt": 0, "le": 1},
        "min_requests": {"type": "int", "required": True, "ge": 1},
    },
}
