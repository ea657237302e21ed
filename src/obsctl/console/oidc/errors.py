"""Why a login at the provider failed; for the console's journal, without secrets."""

from __future__ import annotations


class ProviderAwayError(Exception):
    """The provider does not answer, or its answer cannot be used."""


class UntrustedError(Exception):
    """What the provider, or somebody in its name, says about a person failed the validation."""


class UnknownKeyError(UntrustedError):
    """No known key can have signed an ID token."""


class UnnamedError(UntrustedError):
    """The provider gives no name, or has not verified the address that is used as name."""
