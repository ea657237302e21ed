"""Failover drills: one part of the fleet is broken on purpose, the outage is measured, and everything is put back.

``faults`` knows the targets and the shell commands that break and restore them (pure); ``inject`` carries them out on
a host, with a timer there that restores it even if this machine dies; ``traffic`` sends requests and counts rows;
``run`` puts a drill together; ``judge`` compares what was seen with what must hold; ``history`` keeps the results, and
``page`` draws them.
"""
