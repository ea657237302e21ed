"""Failover drills: one part of the fleet is broken on purpose, the outage is measured, and everything is put back.

``faults`` has the targets and the shell commands that break and restore them (pure); ``inject`` runs these on a host,
with a timer there that restores the target even if this machine dies; ``traffic`` sends requests and counts rows;
``run`` runs a whole drill; ``judge`` compares the results with the limits; ``history`` stores the results, and
``page`` draws them.
"""
