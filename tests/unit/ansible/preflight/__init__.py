"""The preflight's rules; loading the collection first makes ``ansible_collections.obscraft`` importable."""

from rig import collection  # noqa: F401
