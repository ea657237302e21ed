"""``alert test``: whether each alert channel accepts a marked message."""
