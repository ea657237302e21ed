"""The console: web pages and an API for the stored lines and the fleet's state, for users with a role."""
