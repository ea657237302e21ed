#!/usr/bin/python
# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Stands for Debian's package module under Python 2.7: sees that the packages are installed, and changes nothing.

The real one hands over to the interpreter that has python-apt, and on the way from Python 2 to 3 ansible-core loses
its arguments. An EL 7 host runs its own package module under Python 2.7, so nothing of that concerns it.
"""

from ansible.module_utils.basic import AnsibleModule


def main():
    module = AnsibleModule({"name": {"type": "list", "elements": "str"}, "state": {"type": "str"}})
    query = ["dpkg-query", "--show", "--showformat=${Status}\n"]
    rc, shown, said = module.run_command(query + module.params["name"])
    if rc != 0 or set(shown.splitlines()) != {"install ok installed"}:
        module.fail_json(msg="not installed: %s" % (said or shown))
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
