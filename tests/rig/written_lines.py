"""Lines at a steady rate in a balancer's access log, which a small program on the host writes as nginx does.

``msec`` is the moment of writing. There are 5,000 clients, so that none of them is a flood to the alerter.
"""

from __future__ import annotations

#: Each line of this number is a probe, whose ``request_id`` is ``MARKER-p-N``; the others have ``MARKER-l-N``.
PROBE_EVERY = 50
_LOG = "/var/log/nginx/access.log"

# The log is opened for each tick, so that a rotation by rename is followed. Prints the number of lines at its end.
_PROGRAM = """
import json, os, sys, time
path, marker, rate, seconds, every = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5])
stop = sys.argv[6]
began, written, probes = time.time(), 0, 0
while True:
    now = time.time()
    due = int(min(now - began, seconds) * rate) - written
    if due:
        lines = []
        for number in range(written, written + due):
            if number % every == 0:
                name, probes = "%s-p-%d" % (marker, probes), probes + 1
            else:
                name = "%s-l-%d" % (marker, number)
            lines.append(json.dumps({
                "time": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(now)), "msec": round(now, 3),
                "remote_addr": "100.64.%d.%d" % divmod(number % 5000, 250), "x_forwarded_for": "", "remote_user": "",
                "request_id": name, "client_request_id": "", "host": "bench.example", "method": "GET",
                "uri": "/item/%d?page=%d" % (number % 997, number % 7), "protocol": "HTTP/1.1", "status": 200,
                "bytes": 512 + number % 4096, "request_length": 180, "request_time": 0.004, "referer": "",
                "user_agent": "bench/1", "upstream_addr": "198.18.0.11:8080", "upstream_status": "200",
                "upstream_response_time": "0.003", "upstream_connect_time": "0.000", "scheme": "https",
                "ssl_protocol": "TLSv1.3", "ssl_cipher": "TLS_AES_256_GCM_SHA384",
            }, separators=(",", ":")))
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        os.write(file, ("\\n".join(lines) + "\\n").encode())
        os.close(file)
        written += due
    if now - began >= seconds or os.path.exists(stop):
        break
    time.sleep(0.01)
print(written)
"""


def writer(marker: str, rate: float, seconds: float) -> list[str]:
    """Return the command line that writes; it prints how many lines it wrote.

    Args:
        marker: first part of each line's ``request_id``.
        rate: lines a second.
        seconds: how long; :func:`stopper` ends it earlier.
    """
    return ["python3", "-c", _PROGRAM, _LOG, marker, str(rate), str(seconds), str(PROBE_EVERY), _stop_file(marker)]


def stopper(marker: str) -> list[str]:
    """Return the command line that ends the writer of this marker on the same host."""
    return ["touch", _stop_file(marker)]


def _stop_file(marker: str) -> str:
    return f"/run/{marker}.stop"
