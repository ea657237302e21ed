"""Why a login at the provider came to nothing; for the console's journal, and without secrets."""

from __future__ import annotations


class ProviderAwayError(Exception):
    """The provider does not answer, or with nothing that can be used."""


class UntrustedError(Exception):
    """What the provider, or somebody in its name, says of a person is not believed."""


class UnknownKeyError(UntrustedError):
    """No key that is known can have signed an ID token."""


class UnnamedError(UntrustedError):
    """The provider says no name, or has not confirmed the address that is to be one."""
