"""The log formats. A new one is a module here with a ``FORMAT``, and a golden file."""
