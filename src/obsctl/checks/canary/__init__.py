"""``kafka canary``: small records written to each broker and read back, and how long that takes."""
