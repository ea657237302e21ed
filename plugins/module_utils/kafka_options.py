# -*- coding: utf-8 -*-
# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""The options of each module that asks a Kafka cluster; plugins/doc_fragments/kafka.py describes them.

Runs under the targets' Pythons (2.7 and newer).
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

SHARED = {
    "bootstrap": {"type": "list", "elements": "str", "required": True},
    "tls": {
        "type": "dict",
        "options": {
            "ca_file": {"type": "path", "required": True},
            "certificate_file": {"type": "path"},
            "key_file": {"type": "path"},
        },
    },
    "timeout": {"type": "int", "default": 60},
}
