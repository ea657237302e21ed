"""``alert test``: whether each alert channel takes a marked message."""
