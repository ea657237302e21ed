#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: kafka_node_health
short_description: Wait until a Kafka node answers, is fully in sync, or may be stopped
version_added: 0.1.0
description:
  - Checks once a second until every required condition holds, or the time is up.
  - It changes nothing.
options:
  node_id:
    description: The node's id.
    type: int
    required: true
  unit:
    description:
      - The node's unit. If it is not running, the node does not answer.
      - Where its process was started with C(-Dobscraft.address=ADDRESS), that address is asked in place of
        O(address), which may already be the one of the next start.
    type: str
    default: kafka
  address:
    description: The node's own listener as C(host:port), or C(SSL://host:port) with TLS; the broker's, or the
      controller's where it is no broker.
    type: str
    required: true
  broker:
    description: Whether the node is a broker. A pure controller is only asked for its port.
    type: bool
    default: true
  bootstrap:
    description: Brokers in the notation of O(address), asked for the addresses that the cluster itself knows.
  require:
    description:
      - C(answering), its unit runs and its own listener answers, whatever the cluster says.
      - C(led), a broker knows a quorum leader.
      - C(serving), the node answers, and the cluster has a leader and lists it.
      - C(in_sync), it is in the ISR of each partition that it holds, and as a voter not behind.
      - C(safe_to_stop), the quorum and every partition survive its stop.
      - With an empty list the module checks once and never fails.
    type: list
    elements: str
    choices: [answering, led, serving, in_sync, safe_to_stop]
    default: []
  timeout:
    description: Seconds until the module gives up and fails with what is still missing.
    type: int
    default: 120
extends_documentation_fragment: obscraft.fleet.kafka
author:
  - The ObsCraft authors (@obscraft)
attributes:
  check_mode:
    support: full
    description: Checks once and never fails.
"""

EXAMPLES = r"""
- name: Wait for the node
  obscraft.fleet.kafka_node_health:
    node_id: 1
    address: 192.168.100.150:9092
    bootstrap: ["192.168.100.150:9092", "192.168.100.151:9092"]
    require: [serving, in_sync]
"""

RETURN = r"""
in_sync:
  description: Whether the node is fully in sync.
  type: bool
  returned: success
leader:
  description: Node id of the quorum's leader, -1 where none is known.
  type: int
  returned: success
missing:
  description: Condition to the reason why it does not hold; required ones only.
  type: dict
  returned: always
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.obscraft.fleet.plugins.module_utils import kafka_options
from ansible_collections.obscraft.fleet.plugins.module_utils import kafka_wire as wire

#: Seconds for one request.
_REQUEST_TIMEOUT = 5
#: A voter further behind than this would not follow in time: Kafka's controller.quorum.fetch.timeout.ms.
_FETCH_TIMEOUT_MS = 2000


def not_answering(view):
    """Return why the node itself does not answer, or None: what the cluster says does not matter here."""
    return view["own_fault"]


def not_led(view):
    """Return why no quorum leader is known, or None."""
    if view["cluster_fault"]:
        return view["cluster_fault"]
    return None if view["leader"] >= 0 else "no quorum leader is known"


def not_serving(view):
    """Return why the node does not serve, or None."""
    if view["own_fault"]:
        return view["own_fault"]
    if view["broker"] and not_led(view):
        return not_led(view)
    if view["broker"] and view["node_id"] not in view["brokers"]:
        return "the cluster does not list broker %d yet" % view["node_id"]
    return None


def not_in_sync(view):
    """Return why the node is not fully in sync, or None."""
    if view["cluster_fault"]:
        return view["cluster_fault"]
    node = view["node_id"]
    out = [name for name, p in view["partitions"] if node in p["replicas"] and node not in p["isr"]]
    if out:
        return "not in the ISR of %s" % _few(out)
    behind = [v for v in view["voters"] if v["id"] == node and v["behind_ms"] > _FETCH_TIMEOUT_MS]
    if behind:
        return "as a voter %d ms behind" % behind[0]["behind_ms"]
    return None


def not_safe_to_stop(view):
    """Return what the node's stop would break, or None."""
    if view["cluster_fault"]:
        return view["cluster_fault"]
    node = view["node_id"]
    others = [v for v in view["voters"] if v["id"] != node]
    fresh = [v for v in others if v["behind_ms"] <= _FETCH_TIMEOUT_MS]
    if any(v["id"] == node for v in view["voters"]):
        if len(fresh) < len(others):
            late = sorted(v["id"] for v in others if v not in fresh)
            return "voter %s is behind" % ", ".join(str(n) for n in late)
        if len(others) and len(fresh) * 2 <= len(view["voters"]):
            return "the quorum would lose its majority"
    offline = [name for name, p in view["partitions"] if p["leader"] < 0]
    if offline:
        return "offline: %s" % _few(offline)
    # A partition with a single copy goes down with its broker in any case; waiting does not help.
    tight = [
        name
        for name, p in view["partitions"]
        if node in p["replicas"]
        and len(p["replicas"]) > 1
        and len([n for n in p["isr"] if n != node]) < p["min_isr"]
    ]
    if tight:
        return "would fall under min ISR: %s" % _few(tight)
    return None


CONDITIONS = {
    "answering": not_answering,
    "led": not_led,
    "serving": not_serving,
    "in_sync": not_in_sync,
    "safe_to_stop": not_safe_to_stop,
}

#: The unit starts Java with this option.
ADDRESS_OPTION = "-Dobscraft.address="


def _few(names):
    shown = ", ".join(sorted(names)[:5])
    return shown if len(names) <= 5 else "%s and %d more" % (shown, len(names) - 5)


def process_of(shown, read_command):
    """Return (fault, address) of the unit's process; the address is None where it is not given.

    Args:
        shown: what C(systemctl show --property=ActiveState,MainPID) printed.
        read_command: function from a process id to its command line as bytes.
    """
    properties = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    state = properties.get("ActiveState")
    if state != "active":
        return "its unit is %s" % state, None
    words = read_command(properties["MainPID"]).decode("utf-8", "replace").split("\0")
    given = [word[len(ADDRESS_OPTION) :] for word in words if word.startswith(ADDRESS_OPTION)]
    return None, given[-1] if given else None


def command_line(pid):
    """Return a process's command line; empty where it has just ended."""
    try:
        with open("/proc/%s/cmdline" % pid, "rb") as words:
            return words.read()
    except (IOError, OSError):
        return b""


def look(params, process=(None, None)):
    """Ask the node itself and then the cluster, and return what both say.

    Args:
        params: the module's.
        process: (fault, address) of the unit's process.
    """
    fault, address = process[0], process[1] or params["address"]
    tls = params.get("tls")
    view = {
        "node_id": params["node_id"],
        "broker": params["broker"],
        "own_fault": fault or own_fault(address, params["broker"], tls),
        "cluster_fault": None,
        "leader": -1,
        "voters": [],
        "brokers": {},
        "partitions": [],
    }
    own = [address] if params["broker"] else []
    try:
        # The broker that answers lists the addresses of the others; during a change of ports the inventory has only
        # the new ones.
        seeds = params["bootstrap"] if view["own_fault"] else own + params["bootstrap"]
        known = wire.metadata(seeds, _REQUEST_TIMEOUT, tls)["brokers"]
        # The node's own view comes last: just after a restart it may hold an old ISR.
        asked = [known[n] for n in sorted(known) if n != params["node_id"]] + own
        state = wire.quorum(asked, _REQUEST_TIMEOUT, tls)
        view["leader"], view["voters"] = state["leader"], state["voters"]
        cluster = wire.metadata(asked, _REQUEST_TIMEOUT, tls)
        view["brokers"] = cluster["brokers"]
        view["partitions"] = named_partitions(cluster["topics"], min_isr_of(asked, cluster["topics"], tls))
    except wire.KafkaError as error:
        view["cluster_fault"] = str(error)
    return view


def own_fault(address, broker, tls=None):
    """Return why the node's own listener does not answer, or None."""
    try:
        if broker:
            wire.metadata([address], _REQUEST_TIMEOUT, tls)
        else:
            wire.touch(address, _REQUEST_TIMEOUT, tls)
    except wire.KafkaError as error:
        return str(error)
    return None


def min_isr_of(addresses, topics, tls=None):
    """Return topic to its min.insync.replicas."""
    if not topics:
        return {}
    key = "min.insync.replicas"
    found = wire.topic_configs(addresses, list(topics), [key], _REQUEST_TIMEOUT, tls)
    return dict((name, int(configs[key][0])) for name, configs in found.items() if key in configs)


def named_partitions(topics, min_isr):
    """Return (name, partition) pairs; the effective min ISR is never above the number of copies."""
    result = []
    for topic, partitions in topics.items():
        for partition in partitions:
            partition["min_isr"] = min(min_isr.get(topic, 1), len(partition["replicas"]))
            result.append(("%s-%d" % (topic, partition["partition"]), partition))
    return result


def main():
    module = AnsibleModule(
        argument_spec=dict(
            kafka_options.SHARED,
            unit={"type": "str", "default": "kafka"},
            node_id={"type": "int", "required": True},
            address={"type": "str", "required": True},
            broker={"type": "bool", "default": True},
            require={"type": "list", "elements": "str", "choices": sorted(CONDITIONS), "default": []},
            timeout={"type": "int", "default": 120},
        ),
        supports_check_mode=True,
    )
    ask_systemd = ["systemctl", "show", "--property=ActiveState,MainPID", module.params["unit"]]
    deadline = time.time() + module.params["timeout"]
    while True:
        view = look(module.params, process_of(module.run_command(ask_systemd)[1], command_line))
        missing = dict((name, CONDITIONS[name](view)) for name in module.params["require"])
        missing = dict((name, reason) for name, reason in missing.items() if reason)
        if not missing or module.check_mode:
            break
        if time.time() > deadline:
            reasons = "; ".join("not %s: %s" % pair for pair in sorted(missing.items()))
            module.fail_json(msg="node %d is %s" % (module.params["node_id"], reasons), missing=missing)
        time.sleep(1)
    module.exit_json(changed=False, in_sync=not_in_sync(view) is None, leader=view["leader"], missing=missing)


if __name__ == "__main__":
    main()
