"""The console: a web page and an API over what is stored, for people with a name and a role."""
