"""The consumer that most people write first: kafka-python, with one row and two commits per line.

Usage: naive.py BOOTSTRAP TOPIC GROUP SOCKET ROWS; prints the seconds from the first stored row to the last one.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time

import kafka
import pymysql

_combined = re.compile(
    r'(?P<addr>\S+) \S+ \S+ \[(?P<time>[^\]]+)\] "(?P<request>[^"]*)" (?P<status>\d+) (?P<bytes>\d+) '
    r'"(?P<referer>[^"]*)" "(?P<agent>[^"]*)"'
).match
_INSERT = (
    "INSERT INTO access_log (ts,line_id,source_id,kafka_offset,log_format,host,client_addr,method,uri,protocol,status,"
    "bytes,referer,user_agent,x_forwarded_for) VALUES (%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,'')"
)


def row(message: object) -> tuple[object, ...]:
    """Return the row of a record."""
    document = json.loads(message.value)
    kind, line = document["fields"]["log_format"], document["message"]
    if kind == "json":
        data = json.loads(line)
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(data["msec"]))
        request = (data["method"], data["uri"], "")
        rest = (data["status"], data["bytes"], data.get("referer", ""), data["user_agent"])
        address = data["remote_addr"]
    else:
        match = _combined(line)
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.strptime(match["time"], "%d/%b/%Y:%H:%M:%S +0000"))
        words = match["request"].split(" ")
        request = tuple(words) if len(words) == 3 else ("", match["request"], "")
        rest = (int(match["status"]), int(match["bytes"]), match["referer"], match["agent"])
        address = match["addr"]
    place = (os.urandom(16), message.partition, message.offset)
    return (moment, *place, kind, document["host"]["name"], address, *request, *rest)


def main() -> None:
    """Store the given number of rows and print how long it took."""
    bootstrap, topic, group, socket, rows = sys.argv[1:]
    database = pymysql.connect(unix_socket=socket, user="root", database="obs", charset="utf8mb4")
    consumer = kafka.KafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False
    )
    began = 0.0
    for stored, message in enumerate(consumer, start=1):
        with database.cursor() as cursor:
            cursor.execute(_INSERT, row(message))
        database.commit()
        consumer.commit()
        began = began or time.monotonic()
        if stored == int(rows):
            break
    print(time.monotonic() - began)


main()
