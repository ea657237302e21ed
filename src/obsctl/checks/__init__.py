"""The checks: one folder each.

``snapshot`` holds what was seen (frozen data, and what could not be found out), ``collect`` does all I/O and makes a
snapshot, ``judge`` is pure and turns fleet and snapshot into findings and into the report's data, ``tables`` says how
people see that data, and ``check`` puts them together under the name of a command.
"""
