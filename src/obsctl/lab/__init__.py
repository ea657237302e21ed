"""The embedded fleet: real systemd hosts on this machine, and stand-ins for external services."""
