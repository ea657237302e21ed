"""The log formats. A new one is a module here with a ``parse`` function, a line in ``registry`` and a golden file."""
