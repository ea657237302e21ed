"""``certs status``: the certificates of services, and their files on the hosts."""
