"""``artifacts verify``: whether the artifact folder is still what was built and locked."""
