#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: kafka_quotas
short_description: Give Kafka's users exactly the quotas that are listed
version_added: 0.1.0
description:
  - Afterwards each named user has the listed quotas and no others. Each broker enforces them by itself; it slows down a
    client that exceeds them, and refuses nothing.
  - Users that are not named, quotas of client ids and quotas of users with a client id are left alone.
options:
  quotas:
    description:
      - User to its quotas, an empty dictionary for none. A quota has one of the names that Kafka gives it
        (C(producer_byte_rate), C(consumer_byte_rate), C(request_percentage), C(controller_mutation_rate)) and a number
        above 0; rates of bytes are whole numbers.
    type: dict
    required: true
extends_documentation_fragment: obscraft.fleet.kafka
author:
  - The ObsCraft authors (@obscraft)
attributes:
  check_mode:
    support: full
    description: Asks only. Where no broker answers yet (a bare host), the task is skipped with that reason.
  diff_mode:
    support: full
    description: Shows the users' quotas before and after.
"""

EXAMPLES = r"""
- name: Let each broker take at most 10 MiB a second from Filebeat
  obscraft.fleet.kafka_quotas:
    bootstrap: ["SSL://192.168.100.150:9095"]
    tls:
      ca_file: /etc/obscraft/tls/ca.pem
      certificate_file: /etc/obscraft/tls/kafka/cert.pem
      key_file: /etc/obscraft/tls/kafka/key.pem
    quotas:
      filebeat: {producer_byte_rate: 10485760}
"""

RETURN = r"""
set:
  description: Quotas that were set, one line each.
  type: list
  elements: str
  returned: success
removed:
  description: Quotas that were removed, one line each.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.obscraft.fleet.plugins.module_utils import kafka_options
from ansible_collections.obscraft.fleet.plugins.module_utils import kafka_wire as wire
from ansible_collections.obscraft.fleet.plugins.module_utils.kafka_settle import REQUEST_TIMEOUT, settled

#: https://kafka.apache.org/documentation/#design_quotas
_BYTES = ("consumer_byte_rate", "producer_byte_rate")
KEYS = _BYTES + ("controller_mutation_rate", "request_percentage")


def wanted_quotas(quotas):
    """Return the quotas as numbers, user to C({key: number}); pure.

    Raises:
        ValueError: a quota is not written as the module takes it.
    """
    return dict((user, _numbers(user, listed)) for user, listed in quotas.items())


def _numbers(user, listed):
    if not isinstance(listed or {}, dict):
        raise ValueError("%s has %s, where a dictionary of quotas belongs" % (user, listed))
    found = {}
    for key, value in (listed or {}).items():
        if key not in KEYS:
            raise ValueError("%s has the quota %s; known are %s" % (user, key, ", ".join(KEYS)))
        try:
            found[key] = float(value)
        except (TypeError, ValueError):
            found[key] = 0.0
        if isinstance(value, bool) or not 0 < found[key] < float("inf"):
            raise ValueError("%s has %s: %s, where a number above 0 belongs" % (user, key, value))
        if key in _BYTES and found[key] % 1:
            raise ValueError("%s has %s: %s, and Kafka takes whole bytes" % (user, key, value))
    return found


def plan(quotas, existing):
    """Return what to change, user to C({key: number}), where None removes the key; pure.

    Args:
        quotas: as :func:`wanted_quotas` returns them.
        existing: those of the cluster, as :func:`wire.quotas` returns them.
    """
    changes = {}
    for user, wanted in quotas.items():
        present = existing.get(user, {})
        change = dict((key, value) for key, value in wanted.items() if present.get(key) != value)
        change.update((key, None) for key in present if key not in wanted)
        if change:
            changes[user] = change
    return changes


def lines(quotas):
    """Return quotas, one line each, sorted."""
    return sorted(
        "%s %s %s" % (user, key, ("%f" % value).rstrip("0").rstrip("."))
        for user, values in quotas.items()
        for key, value in values.items()
    )


def settle(module):
    """Look, change and return (quotas wanted, those before)."""
    bootstrap, tls = module.params["bootstrap"], module.params["tls"]
    wanted = wanted_quotas(module.params["quotas"])
    existing = wire.quotas(bootstrap, REQUEST_TIMEOUT, tls)
    changes = plan(wanted, existing)
    if changes and not module.check_mode:
        wire.set_quotas(bootstrap, changes, REQUEST_TIMEOUT, tls)
    return wanted, dict((user, existing.get(user, {})) for user in wanted)


def main():
    module = AnsibleModule(
        argument_spec=dict(kafka_options.SHARED, quotas={"type": "dict", "required": True}),
        supports_check_mode=True,
    )
    wanted, existing = settled(module, "quotas", lambda: settle(module))
    after, before = lines(wanted), lines(existing)
    module.exit_json(
        changed=after != before,
        set=[line for line in after if line not in before],
        removed=[line for line in before if line not in after],
        diff={"before": "".join("%s\n" % line for line in before), "after": "".join("%s\n" % line for line in after)},
    )


if __name__ == "__main__":
    main()
