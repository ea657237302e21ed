#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: kafka_elect_leaders
short_description: Make every partition's preferred replica its leader again
version_added: 0.1.0
description:
  - After a rolling restart the brokers that were restarted last lead no partition. Kafka corrects that by itself within
    five minutes; this module does it at once.
  - A refused election is only a warning, since Kafka's own follows.
options:
  timeout:
    description: Seconds that the election may take.
    type: int
    default: 30
extends_documentation_fragment: obscraft.fleet.kafka
author:
  - The ObsCraft authors (@obscraft)
attributes:
  check_mode:
    support: full
    description: Elects nothing.
"""

EXAMPLES = r"""
- name: Spread the leaders
  obscraft.fleet.kafka_elect_leaders:
    bootstrap: ["192.168.100.150:9092", "192.168.100.151:9092"]
"""

RETURN = r"""
moved:
  description: How many partitions have another leader now.
  type: int
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.obscraft.fleet.plugins.module_utils import kafka_options
from ansible_collections.obscraft.fleet.plugins.module_utils import kafka_wire as wire


def main():
    module = AnsibleModule(
        argument_spec=dict(kafka_options.SHARED, timeout={"type": "int", "default": 30}),
        supports_check_mode=True,
    )
    moved = 0
    if not module.check_mode:
        try:
            moved = wire.elect_preferred_leaders(*[module.params[name] for name in ("bootstrap", "timeout", "tls")])
        except wire.KafkaError as error:
            module.warn("the preferred leaders were not elected: %s" % error)
    module.exit_json(changed=moved > 0, moved=moved)


if __name__ == "__main__":
    main()
