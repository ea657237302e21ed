"""``obsctl bundle``: the command, what it asks a host, and the archive that it writes."""
