#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: kafka_users
short_description: Give Kafka's users their passwords (SCRAM-SHA-512)
version_added: 0.1.0
description:
  - Brokers store only a hash of a password, so the module logs in with each user's listed password, and sets it if the
    login is refused.
  - The module hashes on the host, with a new random salt; the password itself reaches neither broker nor disk.
  - After a change it waits until the login succeeds. Users that are not named are left alone.
options:
  login:
    description: The listener for logins, in the notation of O(bootstrap), of one broker.
    type: str
    required: true
  users:
    description: User to password.
    type: dict
    required: true
  iterations:
    description: How often the hash is applied. Kafka takes 4096 to 16384.
    type: int
    default: 4096
extends_documentation_fragment: obscraft.fleet.kafka
author:
  - The ObsCraft authors (@obscraft)
attributes:
  check_mode:
    support: full
    description: Logs in only. Where no broker answers yet (a bare host), the task is skipped with that reason.
  diff_mode:
    support: full
    description: Names the users, never a password.
"""

EXAMPLES = r"""
- name: Users
  obscraft.fleet.kafka_users:
    bootstrap: ["SSL://192.168.100.150:9095"]
    login: SSL://192.168.100.150:9094
    tls:
      ca_file: /etc/obscraft/tls/ca.pem
      certificate_file: /etc/obscraft/tls/kafka/cert.pem
      key_file: /etc/obscraft/tls/kafka/key.pem
    users:
      filebeat: "{{ lookup('obscraft.fleet.secret', kafka_filebeat_password) }}"
  no_log: true
"""

RETURN = r"""
created:
  description: Users that were new.
  type: list
  elements: str
  returned: success
changed_passwords:
  description: Users that had another password.
  type: list
  elements: str
  returned: success
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.obscraft.fleet.plugins.module_utils import kafka_options
from ansible_collections.obscraft.fleet.plugins.module_utils import kafka_wire as wire
from ansible_collections.obscraft.fleet.plugins.module_utils.kafka_settle import REQUEST_TIMEOUT, retried


def look(params):
    """Return (users that do not exist, users with another password), sorted; the passwords are tried by logging in."""
    passwords, tls = params["users"], params["tls"]
    present = wire.users(params["bootstrap"], passwords, REQUEST_TIMEOUT, tls)
    other = [name for name in sorted(present) if not _accepts(params, name)]
    return sorted(set(passwords) - set(present)), other


def _accepts(params, name):
    try:
        wire.log_in(params["login"], name, params["users"][name], REQUEST_TIMEOUT, params["tls"])
    except wire.LoginRefused:
        return False
    return True


def apply(params, names):
    """Set the passwords of users."""
    passwords = dict((name, params["users"][name]) for name in names)
    wire.set_passwords(params["bootstrap"], passwords, params["iterations"], REQUEST_TIMEOUT, params["tls"])


def await_logins(params, names, deadline):
    """Wait until the broker for logins knows the new passwords, which reach it through the metadata log.

    Raises:
        KafkaError: it does not in time.
    """
    for name in names:
        while not retried(deadline, lambda: _accepts(params, name)):
            if time.time() > deadline:
                raise wire.KafkaError("%s does not know the new password of %s yet" % (params["login"], name))
            time.sleep(0.2)


def main():
    module = AnsibleModule(
        argument_spec=dict(
            kafka_options.SHARED,
            login={"type": "str", "required": True},
            users={"type": "dict", "required": True, "no_log": True},
            iterations={"type": "int", "default": 4096},
        ),
        supports_check_mode=True,
    )
    params = module.params
    params["users"] = dict((name, str(password)) for name, password in params["users"].items())
    empty = sorted(name for name, password in params["users"].items() if not password)
    if empty:
        module.fail_json(msg="no password is given for %s" % ", ".join(empty))
    if module.check_mode:
        try:
            missing, other = look(params)
        except wire.KafkaError as error:
            module.exit_json(changed=False, skipped=True, msg="no broker answers yet: %s" % error)
    else:
        deadline = time.time() + params["timeout"]
        try:
            missing, other = retried(deadline, lambda: look(params))
            if missing or other:
                retried(deadline, lambda: apply(params, missing + other))
                await_logins(params, missing + other, deadline)
        except wire.KafkaError as error:
            module.fail_json(msg="users: %s" % error)
    known = sorted(set(params["users"]) - set(missing))
    module.exit_json(
        changed=bool(missing or other),
        created=missing,
        changed_passwords=other,
        diff={
            "before": "".join("%s%s\n" % (name, " another password" if name in other else "") for name in known),
            "after": "".join("%s\n" % name for name in sorted(params["users"])),
        },
    )


if __name__ == "__main__":
    main()
