"""The console's pages and its API."""
