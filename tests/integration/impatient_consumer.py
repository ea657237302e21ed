"""The consumer, whose supervisor waits less for a worker's first report: ``impatient_consumer.py --config FILE``.

After twice that time without a worker systemd is to restart the unit; tests/unit knows the time of the real one.
"""

from __future__ import annotations

from obsctl.consumer import service
from obsctl.consumer.unit import supervisor, worker_process

supervisor.FIRST_REPORT_S = worker_process.FIRST_REPORT_S = 15.0
service.main()
