"""Which lists of a report's ``data`` people see as tables, and which columns of them."""

from __future__ import annotations

from typing import NamedTuple


class Layout(NamedTuple):
    """One table: the key in ``data``, its title, the columns always shown and those of ``-o wide``.

    ``percent`` names the columns whose numbers are parts of one.
    """

    key: str
    title: str
    columns: tuple[str, ...]
    wide: tuple[str, ...] = ()
    percent: tuple[str, ...] = ()


_PARTITIONS = Layout(
    "partitions",
    "Partitions",
    ("topic", "partition", "leader", "isr", "start", "lso", "hw", "leo", "lag"),
    ("replicas", "min_isr", "leader_epoch"),
)

_LAYERS = Layout("layers", "Layers", ("layer", "status", "detail"))
_HOSTS = Layout("hosts", "Hosts", ("host", "answers", "units", "fullest_disk"))

LAYOUTS: dict[str, tuple[Layout, ...]] = {
    "kafka status": (
        Layout(
            "brokers",
            "Brokers",
            ("broker", "host", "state", "leads", "in_sync", "replicas", "log_bytes", "disk_free"),
            ("address", "answer_ms", "failure"),
        ),
        Layout("quorum", "Controller quorum", ("leader", "epoch", "voters", "lag", "may_fail"), ("behind_ms",)),
        Layout("topics", "Topics", ("topic", "partitions", "replicas", "min_isr", "whole", "offline", "messages")),
        Layout("groups", "Groups", ("group", "state", "lag"), ("coordinator", "partitions")),
    ),
    "kafka partitions": (_PARTITIONS,),
    "verify lb": (
        Layout(
            "backends",
            "Back ends",
            ("backend", "got", "got_share", "expected_share", "deviation", "ci95", "errors", "p50_ms", "p99_ms"),
            percent=("got_share", "expected_share", "deviation", "ci95"),
        ),
    ),
    "verify vip": (
        Layout("vip", "", ("address", "holders", "answers", "answered_by")),
        Layout("nodes", "Nodes", ("node", "holds_vip", "keepalived", "nginx"), ("address", "priority", "failure")),
    ),
    "health": (_LAYERS, _HOSTS),
    "status": (_LAYERS, _HOSTS),
    "consumer status": (
        Layout(
            "summary",
            "",
            ("lag", "rate", "behind_s", "last_stored_s", "newest_event", "dead_letters"),
            ("letters_due", "former_sources"),
        ),
        Layout(
            "hosts",
            "Consumers",
            ("host", "unit", "status", "stored", "known", "quarantined", "fenced", "missing_offsets"),
            ("last_commit_at", "started_at"),
        ),
        Layout(
            "positions",
            "Positions",
            ("topic", "partition", "start", "position", "end", "lag", "behind_s", "moved_s", "newest_event"),
            ("source_id", "topic_id", "cluster_id"),
        ),
        Layout("quarantine", "Quarantine", ("reason", "lines", "first", "last")),
        Layout("tables", "Tables", ("table", "days_ahead", "beyond_rows")),
    ),
    "consumer replay": (
        Layout("lines", "", ("reason", "examined", "moved", "known", "stays", "cut", "left"), ("since", "until")),
    ),
    "consumer reset": (
        Layout(
            "plan",
            "",
            ("topic", "partition", "position", "target", "first", "end", "read_again", "skipped", "gone"),
            ("source_id", "topic_id", "cluster_id"),
        ),
    ),
    "artifacts build": (Layout("parts", "", ("part", "action", "files", "size_bytes", "origin")),),
    "artifacts verify": (Layout("artifacts", "", ("path", "version", "origin", "size_bytes"), ("sha256",)),),
    "artifacts lock": (Layout("changes", "Changes", ("what", "new"), ("old",)),),
    "lab status": (Layout("hosts", "", ("name", "address", "running", "cable", "ssh")),),
    "alert test": (
        Layout("channels", "Channels", ("name", "type", "delivered", "verdict", "vendor_code", "took_ms")),
        Layout("requests", "Requests (not sent)", ("name", "type", "request")),
    ),
}
