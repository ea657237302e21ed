"""Finds stored lines that match a filter, newest first, for the terminal and for other programs."""
