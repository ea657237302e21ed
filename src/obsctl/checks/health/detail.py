"""The most important facts about each layer, in one line. Pure."""

from __future__ import annotations

from obsctl.checks.health.answers import answering, idle
from obsctl.checks.health.layers import PAGED, Layer, seen
from obsctl.checks.health.snapshot import AlerterPage, DatabaseProbe, HealthSnapshot, NoPage, Page
from obsctl.checks.kafka.judge import cluster_in_short, group_lag
from obsctl.checks.kafka.snapshot import KafkaSnapshot
from obsctl.checks.logs.judge import shipping_detail
from obsctl.checks.vip.snapshot import VipSnapshot
from obsctl.core.consumer_page import ConsumerPage
from obsctl.fleet.model import Fleet


def detail(fleet: Fleet, snapshot: HealthSnapshot, layer: Layer) -> str:
    """Return a layer's line."""
    if not seen(snapshot, layer.name):
        return "no answer"
    if layer.name == "vip" and snapshot.vip is not None:
        return _vip_detail(snapshot.vip)
    if layer.name == "kafka" and snapshot.kafka is not None:
        return cluster_in_short(fleet, snapshot.kafka)
    if layer.name == "filebeat" and snapshot.logs is not None:
        return shipping_detail(fleet, snapshot.logs)
    if layer.name == "database" and snapshot.database is not None:
        return _database_detail(snapshot.database)
    if layer.name in PAGED:
        pages = (probe.pages.get(layer.name) for probe in snapshot.hosts)
        answered = next((page for page in pages if page is not None and not isinstance(page, NoPage)), None)
        return _page_detail(answered, _consumer_lag(fleet, snapshot.kafka))
    return _running(fleet, snapshot, layer)


def _running(fleet: Fleet, snapshot: HealthSnapshot, layer: Layer) -> str:
    """Return on how many of its hosts a layer answers, or, if it cannot be asked, on how many it runs."""
    hosts = {host.name for host in layer.hosts(fleet)}
    by_name = {probe.name: probe for probe in snapshot.hosts if probe.name in hosts}
    frozen = {(name, unit) for name, probe in by_name.items() for unit, _, _ in idle(fleet, snapshot, probe)}
    answers = {"nginx": snapshot.vip is not None and bool(snapshot.vip.nodes), "obs-backend": bool(snapshot.backends)}
    if answers.get(layer.name) and not (fleet.vip and fleet.vip.exclusive and layer.name == "nginx"):
        working = sum(layer.name in answering(fleet, snapshot, name) for name in hosts)
        return f"{working} of {len(hosts)} answer"
    working = sum(
        probe.units.get(layer.name) == "active" and (name, layer.name) not in frozen for name, probe in by_name.items()
    )
    unknown = sorted(name for name, probe in by_name.items() if not probe.answered)
    return f"{working} of {len(hosts)} running" + (f", {', '.join(unknown)} not asked" if unknown else "")


def _vip_detail(vip: VipSnapshot) -> str:
    holders = [node.name for node in vip.nodes if node.holds_vip]
    if holders:
        return f"{vip.vip} on {', '.join(holders)}"
    answers = "it answers" if not vip.vip_failure else f"it does not answer ({vip.vip_failure})"
    if all(node.failure for node in vip.nodes):
        return f"{vip.vip}: no balancer could be checked over ssh for the VIP; {answers}"
    return f"{vip.vip} on none of the balancers that could be checked; {answers}"


def _consumer_lag(fleet: Fleet, kafka: KafkaSnapshot | None) -> str:
    """Return the lag from Kafka: a consumer that is not a member of its group reads nothing and reports a lag of 0."""
    groups = kafka.groups if kafka is not None else ()
    group = next((group for group in groups if group.name == fleet.consumer.group), None)
    lag = group_lag(group, kafka.partitions) if group and kafka else None
    return "unknown" if lag is None else str(lag)


def _page_detail(page: Page | None, consumer_lag: str) -> str:
    """Return the numbers of a health page: what waits, and how old the newest line is."""
    if isinstance(page, ConsumerPage):
        # Without microseconds.
        newest = f"{page.newest_event.partition('.')[0]} UTC" if page.newest_event else "none yet"
        return f"lag {consumer_lag}, newest event {newest}, {page.lines.stored} stored since its start"
    if isinstance(page, AlerterPage):
        return f"{page.firing} firing, {page.waiting} messages waiting, lag {page.lag}"
    return "no answer"


def _database_detail(database: DatabaseProbe) -> str:
    if database.failure:
        return database.failure
    # obsctl's own requests are stored as well; they must not make an idle or broken pipeline look alive.
    newest = "no traffic lately"
    if database.traffic_s is not None:
        newest = f"newest traffic row {max(0, database.traffic_s)} s old ({database.traffic_host})"
    return f"{database.version}, {newest}, {database.quarantined_last_day or 0} quarantined in 24 h"
