"""The tests. Whatever is imported from here finds ``rig``, which the benchmarks use as well."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
