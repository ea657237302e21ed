#!/usr/bin/python
# Copyright: The ObsCraft authors
# Apache License 2.0 (see LICENSE)
from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: mysql_certificate
short_description: Make a running MySQL or MariaDB use the certificate on the disk
description:
  - Compares the certificate that the server presents with the one in its file, and makes the server reload its files
    if they differ (C(ALTER INSTANCE RELOAD TLS), on MariaDB C(FLUSH SSL)). Connections stay open, and nothing is
    restarted.
  - It asks the server instead of remembering that a file was written, so that the next run completes one that was
    interrupted.
  - Works through the server's own client over the socket, as root. No driver is needed on the host.
version_added: 0.1.0
author: The ObsCraft authors
options:
  certificate:
    description: The file with the server's certificate (PEM), which its configuration names.
    type: path
    required: true
  reload:
    description:
      - Whether to reload the files even if the certificate is the same, after a change of the CAs beside it.
    type: bool
    default: false
  socket:
    description: The server's socket; the client's own default where it is not given.
    type: path
attributes:
  check_mode:
    description: Compares only; where no server answers yet, loading is a change.
    support: full
"""

EXAMPLES = r"""
- name: Make the server use the certificate on the disk
  obscraft.fleet.mysql_certificate:
    certificate: /etc/obscraft/tls/mysql/cert.pem
"""

RETURN = r"""
loaded:
  description: Whether the server loaded its files (in check mode, would).
  returned: success
  type: bool
"""

import io

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.obscraft.fleet.plugins.module_utils import mysql_tls
from ansible_collections.obscraft.fleet.plugins.module_utils.mysql_client import Client, ClientError, find_program

_TIMEOUT_S = 10


def main():
    module = AnsibleModule(
        argument_spec={
            "certificate": {"type": "path", "required": True},
            "reload": {"type": "bool", "default": False},
            "socket": {"type": "path"},
        },
        supports_check_mode=True,
    )
    path = module.params["certificate"]
    try:
        wanted = certificate_of(path)
        client = local_client(module)
        at = module.params["socket"] or client.rows("SELECT @@socket")[0][0]
        due = module.params["reload"] or presented(at) != wanted
        if due and not module.check_mode:
            load(client)
            if mysql_tls.served(at, _TIMEOUT_S) != wanted:
                module.fail_json(
                    msg="the server still presents another certificate than %s: check that its configuration names this file"
                    % path
                )
    except (mysql_tls.NotServed, ClientError, IOError) as error:
        if module.check_mode:
            module.exit_json(changed=True, loaded=True)
        module.fail_json(msg=str(error))
    module.exit_json(changed=due, loaded=due)


def presented(at):
    """Return what the server presents as DER, None where it offers no TLS.

    MySQL does not, where its certificate was of no use when it started, and does so as soon as it loads a good one.
    """
    try:
        return mysql_tls.served(at, _TIMEOUT_S)
    except mysql_tls.NotServed:
        return None


def certificate_of(path):
    """Return the certificate in the file as DER.

    Raises:
        IOError: it cannot be read, or holds none.
    """
    with io.open(path, encoding="ascii", errors="replace") as pem:
        found = mysql_tls.stored(pem.read())
    if found is None:
        raise IOError("%s holds no certificate in PEM" % path)
    return found


def local_client(module):
    """Return the server's own client, as root over the socket.

    Raises:
        ClientError: there is none on this host.
    """
    program = find_program(module)
    if program is None:
        raise ClientError("no mysql or mariadb client on this host")
    return Client(module, program, module.params["socket"])


def load(client):
    """Have the server load its files again; where it cannot use them, the old ones stay in use.

    Raises:
        ClientError: the server refuses, or root cannot log in.
    """
    is_mariadb = "mariadb" in client.rows("SELECT VERSION()")[0][0].lower()
    client.run("FLUSH SSL;" if is_mariadb else "ALTER INSTANCE RELOAD TLS;")


if __name__ == "__main__":
    main()
