#!/usr/bin/python
# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Stands for EL's package module under Python 2.7: sees that the packages are installed, and changes nothing.

The real one hands over to the platform's Python, which is 3.6 or newer on every system with dnf, and cannot do so from
2.7. An EL 7 host runs yum's module under Python 2.7, so nothing of that concerns it.
"""

from ansible.module_utils.basic import AnsibleModule


def main():
    module = AnsibleModule({"name": {"type": "list", "elements": "str"}, "state": {"type": "str"}})
    rc, shown, said = module.run_command(["rpm", "--query", "--whatprovides"] + module.params["name"])
    if rc != 0:
        module.fail_json(msg="not installed: %s" % (said or shown))
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
