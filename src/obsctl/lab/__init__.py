"""The embedded fleet: real systemd hosts on this machine, and what stands in for the outside world."""
