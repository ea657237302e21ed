"""``consumer status``: positions, lag, quarantine."""
