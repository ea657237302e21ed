"""Finds stored lines that fit a filter, newest first: the same for the terminal and for other programs."""
