"""The preflight's rules; loading the collection first makes ``ansible_collections.obscraft`` importable."""

from tests import collection  # noqa: F401
