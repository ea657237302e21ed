"""How the checks ask hosts: over ssh, over HTTP, and the database."""
