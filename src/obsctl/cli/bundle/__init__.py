"""``obsctl bundle``: the command, the parts that it collects from a host, and the archive."""
