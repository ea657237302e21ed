"""``health`` and ``status``: every layer at once."""
