"""The checks: one folder each.

``snapshot`` holds what was seen (frozen data and the errors met), ``collect`` does all I/O and makes one, ``judge``
is pure and turns fleet and snapshot into findings.
"""
