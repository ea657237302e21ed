"""Login by OpenID Connect: the exchange with the provider, and the validation of its answers."""
