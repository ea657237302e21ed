"""The systemd unit: a supervisor, its worker processes, and the health page for all of them."""
