"""A backlog of access lines as Filebeat ships them: real-shaped, the same for the same number of rows and day.

Half of the lines are nginx's combined format, half are JSON with the fields that a combined line has, and a request
id, a time with milliseconds and a request time; both are about 230 bytes long. They come from three hosts, 900 a
second, in runs of 64 to each of six partitions in turn, as the role's Filebeat spreads them.
"""

from __future__ import annotations

import datetime
import random
from collections.abc import Iterator
from dataclasses import dataclass

import confluent_kafka

PARTITIONS = 6
LINES_A_SECOND = 900
#: Lines that the role's Filebeat sends to one partition before it turns to the next one (``group_events``).
RUN = 64
#: The lines of a bulk of 2,048 that go to one partition, and with that the size of its batches in Kafka.
KAFKA_BATCH = 341
HOSTS = ("node1", "node2", "node3")

_AGENTS = (
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537",
        40,
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_{} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/604.1",
        20,
    ),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:{}.0) Gecko/20100101 Firefox/126.0", 20),
    ("Mozilla/5.0 (compatible; Googlebot/2.{}; +http://www.google.com/bot.html)", 8),
    ("curl/7.{}.0", 6),
    ("python-requests/2.{}.0", 6),
)
_SECTIONS = ("api/v1/orders", "api/v1/users", "static/js", "static/css", "img/products", "blog", "product", "search")
_ENDINGS = {"static/js": ".js", "static/css": ".css", "img/products": ".webp"}
_STATUSES = (200,) * 82 + (304,) * 8 + (301, 302, 404, 404, 404, 403, 499, 500, 502, 503)
_METHODS = ("GET",) * 85 + ("POST",) * 12 + ("HEAD",) * 3


@dataclass(frozen=True)
class Shape:
    """How the shipper sends its documents.

    Attributes:
        whole: with all metadata, as Filebeat does by itself; else as our role trims them.
        compression: the producer's.
    """

    whole: bool
    compression: str


SHAPES = {
    "trimmed": Shape(whole=False, compression="lz4"),
    "filebeat": Shape(whole=True, compression="gzip"),
}


def fill(bootstrap: str, topic: str, rows: int, shape: Shape) -> int:
    """Write the backlog; return the bytes of its documents. The topic must have PARTITIONS partitions."""
    producer = confluent_kafka.Producer(
        {
            "bootstrap.servers": bootstrap,
            "compression.type": shape.compression,
            "linger.ms": 100,
            "batch.num.messages": KAFKA_BATCH,
            "queue.buffering.max.messages": 100_000,
        }
    )
    size = 0
    for index, document in enumerate(documents(rows, shape)):
        size += len(document)
        while True:
            try:
                producer.produce(topic, document, partition=index // RUN % PARTITIONS)
                break
            except BufferError:
                producer.poll(0.1)
    if producer.flush(120):
        raise RuntimeError("the broker did not take the whole backlog")
    return size


def documents(rows: int, shape: Shape) -> Iterator[bytes]:
    """Yield the documents in the order in which they are sent."""
    offsets: dict[tuple[str, str], int] = {}
    for index, (second, log_format, line) in enumerate(_lines(rows)):
        # A host's turn is a run for each partition, so that every partition gets lines of every host.
        host = HOSTS[index // (RUN * PARTITIONS) % len(HOSTS)]
        offset = offsets.get((host, log_format), 0)
        offsets[host, log_format] = offset + len(line) + 1
        stamp = f"{second}.{offset % 1000:03d}Z"
        escaped = line.replace("\\", "\\\\").replace('"', '\\"')
        yield _document(shape, host, offset, log_format, stamp=stamp, message=escaped)


def _document(shape: Shape, host: str, offset: int, log_format: str, *, stamp: str, message: str) -> bytes:
    log_input = "nginx-access" if log_format == "json" else "lab-replay"
    file = f'"file":{{"path":"/var/log/{log_input}/access.log"}}'
    fields = f'"fields":{{"log_type":"access","log_format":"{log_format}","log_input":"{log_input}"}}'
    head = f'{{"@timestamp":"{stamp}","@metadata":{{"beat":"filebeat","type":"_doc","version":"7.17.28"}},'
    if not shape.whole:
        parts = [f'"host":{{"name":"{host}"}}', f'"log":{{"offset":{offset},{file}}}', fields, f'"message":"{message}"']
        return f"{head}{_mixed(parts, offset)}}}".encode()
    agent = (
        f'"agent":{{"name":"{host}","type":"filebeat","version":"7.17.28","hostname":"{host}.example.com",'
        f'"ephemeral_id":"6c6ab2fd-6dcf-4a2b-a4d6-7b9b7f2f2b0{host[-1]}","id":"5b6b3c6e-1c8e-4d3c-8f8f-2f8a1d6d0f0{host[-1]}"}}'
    )
    parts = [
        f'"log":{{"offset":{offset},{file}}}', f'"message":"{message}"', '"input":{"type":"filestream"}', fields,
        '"ecs":{"version":"1.12.0"}', f'"host":{{"name":"{host}"}}', agent,
    ]  # fmt: skip
    return f"{head}{_mixed(parts, offset)}}}".encode()


def _mixed(parts: list[str], seed: int) -> str:
    """Join the parts of a document in an order that changes, as Filebeat does: it goes through a map of Go."""
    random.Random(seed).shuffle(parts)  # noqa: S311  the same orders each time
    return ",".join(parts)


def _lines(rows: int) -> Iterator[tuple[str, str, str]]:
    """Yield the second (ISO), format and line; they end at noon of yesterday (UTC), so that all are of one day."""
    rand = random.Random(5)  # noqa: S311  the same lines each time
    some = rand.random
    addresses = [
        f"{rand.randint(1, 223)}.{rand.randint(0, 255)}.{rand.randint(0, 255)}.{rand.randint(1, 254)}"
        for _ in range(20_000)
    ]
    addresses += [f"2001:db8:{rand.randint(0, 65535):x}::{rand.randint(1, 65535):x}" for _ in range(800)]
    agents = [text.format(rand.randint(1, 126)) for text, weight in _AGENTS for _ in range(weight)]
    referers = ["-"] * 80 + [
        f"https://www.example.com/{rand.choice(_SECTIONS)}/{rand.randint(1, 9999)}" for _ in range(240)
    ]
    referers += [f"https://www.google.com/search?q=it's+a+{i}" for i in range(4)]
    noon = datetime.datetime.now(datetime.UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    first = noon - datetime.timedelta(days=1, seconds=rows // LINES_A_SECOND)
    for index in range(rows):
        second, part = divmod(index, LINES_A_SECOND)
        if not part:
            moment = first + datetime.timedelta(seconds=second)
            iso = f"{moment:%Y-%m-%dT%H:%M:%S}"
            stamp = f"{moment:%d/%b/%Y:%H:%M:%S} +0000"
            epoch = int(moment.timestamp())
        address = addresses[int(some() ** 4 * len(addresses))]
        chance = some()
        section = _SECTIONS[int(some() * len(_SECTIONS))]
        uri = f"/{section}/{int(some() * 200_000)}{_ENDINGS.get(section, '')}"
        if chance < 0.35:
            uri += f"?page={int(some() * 40)}&sort=price&utm_source=mail&sid={rand.getrandbits(32):08x}"
        method, status, size = _METHODS[int(some() * 100)], _STATUSES[int(some() * 100)], int(some() * 90_000)
        agent, referer = agents[int(some() * len(agents))], referers[int(some() * len(referers))]
        if index // (RUN * PARTITIONS) % 2:
            request = f"{method} {uri} HTTP/1.1"
            if chance > 0.997:  # what scanners send
                request, status = (r"\x16\x03\x01\x02\x00\x01\x00", 400) if chance > 0.9985 else ("", 400)
            yield iso, "combined", f'{address} - - [{stamp}] "{request}" {status} {size} "{referer}" "{agent}"'
        else:
            yield (
                iso,
                "json",
                (
                    f'{{"msec":{epoch}.{part * 1000 // LINES_A_SECOND:03d},"remote_addr":"{address}",'
                    f'"request_id":"{rand.getrandbits(128):032x}","method":"{method}","uri":"{uri}","status":{status},'
                    f'"bytes":{size},"request_time":{some() ** 6 * 2:.3f},"user_agent":"{agent[:20]}"}}'
                ),
            )
