"""Redpanda Connect, built from its Go module, and its configuration."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path

from go_module import GoModule, go

MODULE = GoModule(
    "github.com/redpanda-data/connect/v4",
    "v4.61.0",
    "h1:OgKnjRvvRU8ZhGG1cvFSzzsFYpq1NeApTPSeLaG/ixU=",
    "h1:+aIT6UkK2Hs8IQbTZsqteGTyHM0FYt6B4FX9KqP1dwM=",
)
#: Lines of a batch and batches in flight: the best of those tried on two cores.
BATCH, IN_FLIGHT = 5000, 2

# Only the parts that are used: the whole program is ten times as large.
_MAIN = """package main

import (
	"context"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/redpanda-data/benthos/v4/public/components/io"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"
	_ "github.com/redpanda-data/connect/v4/public/components/kafka"
	_ "github.com/redpanda-data/connect/v4/public/components/sql/base"
)

func main() { service.RunCLI(context.Background()) }
"""

_COLUMNS = (
    "ts, line_id, source_id, kafka_offset, log_format, host, client_addr, method, uri, protocol, status, bytes,"
    " referer, user_agent, x_forwarded_for, request_id, request_time"
)

_CONFIG = """http: {{ enabled: false }}
logger: {{ level: WARN }}
input:
  kafka_franz:
    seed_brokers: [ "{bootstrap}" ]
    topics: [ "{topic}" ]
    consumer_group: "{group}"
    start_offset: earliest
    checkpoint_limit: 200000
    commit_period: 1s
    batching: {{ count: {batch}, period: 500ms }}
pipeline:
  threads: 2
  processors:
    - mapping: |
        let partition = meta("kafka_partition").number()
        let offset = meta("kafka_offset").number()
        let id = meta("kafka_partition") + "-" + meta("kafka_offset")
        let host = this.host.name
        let j = if this.fields.log_format == "json" {{ this.message.parse_json() }} else {{ null }}
        let m = if $j == null {{ this.message.re_find_object({pattern}) }} else {{ null }}
        let words = if $m != null {{ $m.rq.split(" ") }} else {{ [] }}
        let http = $words.length() == 3
        root = if $j != null {{
          [ ($j.msec.ts_format("2006-01-02 15:04:05.000", "UTC")), $id, $partition, $offset, "json", $host,
            $j.remote_addr, $j.method, $j.uri, "", $j.status, $j.bytes, "", $j.user_agent, "", $j.request_id,
            $j.request_time ]
        }} else {{
          [ $m.t.ts_strptime("%d/%b/%Y:%H:%M:%S %z").ts_format("2006-01-02 15:04:05"), $id, $partition, $offset,
            "combined", $host, $m.ip, if $http {{ $words.index(0) }} else {{ "" }},
            if $http {{ $words.index(1) }} else {{ $m.rq }}, if $http {{ $words.index(2) }} else {{ "" }},
            $m.st.number(), $m.by.number(), $m.rf, $m.ua, "", "", null ]
        }}
output:
  sql_insert:
    driver: mysql
    dsn: "{dsn}"
    table: access_log
    columns: [ {columns} ]
    args_mapping: root = this
    suffix: "ON DUPLICATE KEY UPDATE line_id = access_log.line_id"
    max_in_flight: {in_flight}
    conn_max_open: {in_flight}
"""
_PATTERN = (
    r'"(?P<ip>\\S+) \\S+ \\S+ \\[(?P<t>[^\\]]+)\\] \"(?P<rq>[^\"]*)\" (?P<st>\\d{3}) (?P<by>\\d+) '
    r'\"(?P<rf>[^\"]*)\" \"(?P<ua>[^\"]*)\""'
)


def build(cache: Path) -> Path:
    """Return the program, built once into ``cache`` (Go, about two minutes and 50 MB)."""
    program = cache / f"redpanda-connect-{MODULE.version}"
    if program.exists():
        return program
    with tempfile.TemporaryDirectory(prefix="obs-bench-go-") as name:
        folder = Path(name)
        sys.stderr.write(f"building Redpanda Connect {MODULE.version} (about two minutes)\n")
        source = MODULE.download(folder)
        # replace and exclude lines count in the main module only, so ours repeats the module's own.
        own = re.sub(r"^module .*$", "", (source / "go.mod").read_text(), count=1, flags=re.MULTILINE)
        (folder / "go.mod").write_text(f"module obscraft/bench\n\nrequire {MODULE.path} {MODULE.version}\n{own}")
        named = f"{MODULE.path} {MODULE.version}"
        sums = f"{named} {MODULE.sum}\n{named}/go.mod {MODULE.mod_sum}\n"
        (folder / "go.sum").write_text((source / "go.sum").read_text() + sums)
        (folder / "main.go").write_text(_MAIN)
        go(["build", "-trimpath", "-ldflags=-s -w", "-o", str(folder / "program"), "."], folder)
        cache.mkdir(parents=True, exist_ok=True)
        shutil.move(folder / "program", program)
    return program


def config(bootstrap: str, topic: str, group: str, dsn: str) -> str:
    """Return the pipeline's configuration: the same rows into the same table, without roll-ups and without a fence."""
    return _CONFIG.format(
        bootstrap=bootstrap,
        topic=topic,
        group=group,
        dsn=dsn,
        columns=_COLUMNS,
        pattern=_PATTERN,
        batch=BATCH,
        in_flight=IN_FLIGHT,
    )
