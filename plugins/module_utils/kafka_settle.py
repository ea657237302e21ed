# -*- coding: utf-8 -*-
# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""How a module makes a Kafka cluster match a list: read, change, and retry while no broker answers.

Runs under the targets' Pythons (2.7 and newer).
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import time

from ansible_collections.obscraft.fleet.plugins.module_utils.kafka_wire import KafkaError

#: Seconds for one request.
REQUEST_TIMEOUT = 10


def retried(deadline, step):
    """Return what a step returns; repeat it while Kafka does not answer, until the time is up."""
    while True:
        try:
            return step()
        except KafkaError:
            if time.time() > deadline:
                raise
            time.sleep(1)


def settled(module, what, step):
    """Return what a step returns; repeat it while no broker answers, until the option C(timeout) is over.

    In check mode it is asked once, and the module ends as skipped where no broker answers (a bare host).

    Args:
        module: the running module.
        what: what is settled, for error messages.
        step: looks, and changes what has to be changed; a C(ValueError) says that what is listed cannot be read.
    """
    try:
        return step() if module.check_mode else retried(time.time() + module.params["timeout"], step)
    except ValueError as error:
        module.fail_json(msg="%s: %s" % (what, error))
    except KafkaError as error:
        if module.check_mode:
            module.exit_json(changed=False, skipped=True, msg="no broker answers yet: %s" % error)
        module.fail_json(msg="%s: %s" % (what, error))
