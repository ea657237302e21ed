#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: unit_stale
short_description: Check whether a running unit uses an older configuration than the disk has
version_added: 0.1.0
description:
  - Reports a change when the unit runs and one of its files was written after the unit was started or last reloaded,
    or when systemd itself has an older unit file than the disk. A handler that is notified by it restarts or reloads.
  - If a run fails after a task has written a file, the handler that the task notified is lost, and the next run finds
    the file unchanged. This module compares the file with the running unit instead.
  - A reload counts once the last task of the handler has touched O(reload_mark). Systemd's own record is not used,
    because it does not distinguish a failed reload from a successful one.
  - It changes nothing itself.
options:
  unit:
    description: The unit, as C(systemctl) takes it.
    type: str
    required: true
  files:
    description: What the unit reads when it starts or reloads. A link counts itself, not what it points to.
    type: list
    elements: path
    required: true
  reload_mark:
    description: File that is touched after each successful reload, below C(/run); for units that are reloaded.
    type: path
author:
  - The ObsCraft authors (@obscraft)
attributes:
  check_mode:
    support: full
    description: Reads only.
"""

EXAMPLES = r"""
- name: Check whether nginx has read its configuration
  obscraft.fleet.unit_stale:
    unit: nginx
    files: [/etc/nginx/nginx.conf]
    reload_mark: /run/obscraft-nginx.reloaded
  notify: Reload nginx
"""

RETURN = r"""
unread:
  description: The files that the running unit has not read. A file that is missing is never among them.
  type: list
  elements: str
  returned: always
"""

import os
import time

from ansible.module_utils.basic import AnsibleModule

RUNNING = ("active", "reloading", "activating")
# The monotonic clock of these is the one that time.monotonic() reads; wall-clock properties would jump when
# the clock is set, and older systemds print them in whole seconds and local time.
# When the start began, not when it was done: the process may have read its files at any moment in between.
PROPERTIES = ("ActiveState", "InactiveExitTimestampMonotonic", "NeedDaemonReload")


def parse(shown):
    """Return what C(systemctl show) printed as a dictionary."""
    pairs = (line.partition("=") for line in shown.splitlines())
    return dict((key, value) for key, _equals, value in pairs)


def unread_files(properties, files, reload_mark, written, wall_seconds, monotonic_seconds):
    """Return the files that were written after the running unit's start and its last noted reload.

    Args:
        properties: the unit's, see PROPERTIES.
        files: paths, in the order of the answer.
        reload_mark: path that the last successful reload has touched, or None.
        written: function from a path to its modification time (seconds since the epoch) or None where it is missing.
        wall_seconds: the present time since the epoch.
        monotonic_seconds: the present time on the clock of the unit's timestamp.
    """
    if properties.get("ActiveState") not in RUNNING:
        return []
    started = int(properties.get("InactiveExitTimestampMonotonic") or 0) / 1e6
    reloaded = written(reload_mark) if reload_mark else None
    began = max(wall_seconds - (monotonic_seconds - started), reloaded or 0)
    times = [(path, written(path)) for path in files]
    return [path for path, moment in times if moment is not None and moment > began]


def modified(path):
    """Return when the path itself was modified, None where it is missing."""
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return None


def monotonic():
    """Return the machine's monotonic clock in seconds; Python 2 has no call for it."""
    try:
        return time.monotonic()
    except AttributeError:
        with open("/proc/uptime") as uptime:
            return float(uptime.read().split()[0])


def main():
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "required": True},
            "files": {"type": "list", "elements": "path", "required": True},
            "reload_mark": {"type": "path"},
        },
        supports_check_mode=True,
    )
    command = ["systemctl", "show", "--property=" + ",".join(PROPERTIES), module.params["unit"]]
    rc, shown, said = module.run_command(command)
    if rc != 0:
        module.fail_json(msg="systemctl show %s failed: %s" % (module.params["unit"], said.strip()))
    properties = parse(shown)
    files, reload_mark = module.params["files"], module.params["reload_mark"]
    unread = unread_files(properties, files, reload_mark, modified, time.time(), monotonic())
    reload_due = properties.get("ActiveState") in RUNNING and properties.get("NeedDaemonReload") == "yes"
    module.exit_json(changed=bool(unread or reload_due), unread=unread)


if __name__ == "__main__":
    main()
