"""Login by OpenID Connect: what is said to the provider, and what is believed of it."""
