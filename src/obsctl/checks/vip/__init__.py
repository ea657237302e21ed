"""``verify vip``: who holds the virtual address, and who answers on it."""
