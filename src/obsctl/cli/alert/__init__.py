"""``obsctl alert``: a module for each of its commands or groups of commands; ``group`` puts them together."""
