"""What several levels of tests and the benchmarks run against: servers, cables, the daemons, and what they are sent.

Imported as ``rig``: pytest has this folder's parent on its path, a benchmark puts it there.
"""
