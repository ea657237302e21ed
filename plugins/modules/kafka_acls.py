#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: kafka_acls
short_description: Give Kafka's users exactly the rights that are listed
version_added: 0.1.0
description:
  - Afterwards each named user has the listed rights, from every host, and no others; deny rules are removed as well.
  - Users that are not named are left alone. New rights are added before old ones are removed.
options:
  rights:
    description:
      - User to a list of rights, an empty list for none. A right has C(resource) (C(topic), C(group), C(cluster) or
        C(transactional_id)), C(names) (C(*) for all of them; not for the cluster), C(operations) as Kafka names them
        (C(Read), C(Describe), ...), and C(pattern), C(prefixed) for all names that begin with these.
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
    description: Shows the users' rights before and after.
"""

EXAMPLES = r"""
- name: Let Filebeat write the lines, and nothing else
  obscraft.fleet.kafka_acls:
    bootstrap: ["SSL://192.168.100.150:9095"]
    tls:
      ca_file: /etc/obscraft/tls/ca.pem
      certificate_file: /etc/obscraft/tls/kafka/cert.pem
      key_file: /etc/obscraft/tls/kafka/key.pem
    rights:
      filebeat:
        - {resource: topic, names: [nginxlog], operations: [Write]}
"""

RETURN = r"""
added:
  description: Rights that were added, one line each.
  type: list
  elements: str
  returned: success
removed:
  description: Rights that were removed, one line each.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.obscraft.fleet.plugins.module_utils import kafka_options
from ansible_collections.obscraft.fleet.plugins.module_utils import kafka_wire as wire
from ansible_collections.obscraft.fleet.plugins.module_utils.kafka_settle import REQUEST_TIMEOUT, settled

#: The only resource of its type.
_CLUSTER = "kafka-cluster"
_KEYS = ("resource", "names", "pattern", "operations")


def wanted_acls(rights):
    """Return the access rules that the rights are, as the wire has them; pure.

    Raises:
        ValueError: a right is not written as the module takes it.
    """
    found = set()
    for user, listed in rights.items():
        if not isinstance(listed or [], (list, tuple)):
            raise ValueError("User:%s has %s, where a list of rights belongs" % (user, listed))
        for right in listed or []:
            if not isinstance(right, dict):
                raise ValueError("User:%s has the right %s, where resource, names and operations belong" % (user, right))
            found.update(_acls_of("User:%s" % user, right))
    return found


def _acls_of(principal, right):
    unknown = sorted(set(right) - set(_KEYS))
    if unknown:
        raise ValueError("a right of %s has %s; it takes %s" % (principal, ", ".join(unknown), ", ".join(_KEYS)))
    resource, pattern = right.get("resource"), right.get("pattern") or "literal"
    names = [_CLUSTER] if resource == "cluster" else right.get("names")
    if not names or not right.get("operations"):
        raise ValueError("a right of %s has no %s" % (principal, "operations" if names else "names"))
    for given in (names, right["operations"]):
        if not isinstance(given, (list, tuple)):
            raise ValueError("a right of %s has %s, where a list belongs" % (principal, given))
    for given, known in ((resource, wire.RESOURCES), (pattern, wire.PATTERNS)):
        if given not in known:
            raise ValueError("a right of %s has %s; known are %s" % (principal, given, ", ".join(sorted(known))))
    for operation in right["operations"]:
        if operation not in wire.OPERATIONS:
            known = ", ".join(sorted(wire.OPERATIONS))
            raise ValueError("a right of %s has the operation %s; known are %s" % (principal, operation, known))
        for name in names:
            what = (wire.RESOURCES[resource], str(name), wire.PATTERNS[pattern])
            yield what + (principal, "*", wire.OPERATIONS[operation], wire.ALLOW)


def plan(rights, existing):
    """Return (rules to add, rules to remove), sorted; pure.

    Args:
        rights: the module's.
        existing: all rules of the cluster, as :func:`wire.acls` returns them.
    """
    wanted = wanted_acls(rights)
    principals = set("User:%s" % user for user in rights)
    present = set(acl for acl in existing if acl[3] in principals)
    return sorted(wanted - present), sorted(present - wanted)


def line(acl):
    """Return a rule as one line."""
    resource, name, pattern, principal, host, operation, permission = acl
    names = [dict((n, w) for w, n in words.items()) for words in (wire.RESOURCES, wire.PATTERNS, wire.OPERATIONS)]
    what = (names[0].get(resource, resource), name + ("*" if pattern == wire.PATTERNS["prefixed"] else ""))
    verb = "may" if permission == wire.ALLOW else "may not"
    text = "%s %s %s %s %s" % ((principal, verb, names[2].get(operation, operation)) + what)
    return text if host == "*" else "%s from %s" % (text, host)


def settle(module):
    """Look, change and return (rules before, added, removed)."""
    bootstrap, tls = module.params["bootstrap"], module.params["tls"]
    existing = wire.acls(bootstrap, REQUEST_TIMEOUT, tls)
    add, remove = plan(module.params["rights"], existing)
    if add and not module.check_mode:
        wire.create_acls(bootstrap, add, REQUEST_TIMEOUT, tls)
    if remove and not module.check_mode:
        wire.delete_acls(bootstrap, remove, REQUEST_TIMEOUT, tls)
    return existing, add, remove


def main():
    module = AnsibleModule(
        argument_spec=dict(kafka_options.SHARED, rights={"type": "dict", "required": True}),
        supports_check_mode=True,
    )
    existing, add, remove = settled(module, "rights", lambda: settle(module))
    principals = set("User:%s" % user for user in module.params["rights"])
    before = set(acl for acl in existing if acl[3] in principals)
    after = (before | set(add)) - set(remove)
    module.exit_json(
        changed=bool(add or remove),
        added=[line(acl) for acl in add],
        removed=[line(acl) for acl in remove],
        diff=dict(
            (when, "".join("%s\n" % text for text in sorted(line(acl) for acl in acls)))
            for when, acls in (("before", before), ("after", after))
        ),
    )


if __name__ == "__main__":
    main()
