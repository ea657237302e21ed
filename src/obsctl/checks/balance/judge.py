"""Judges whether the load is balanced, by a statistical test *and* an effect size, so that neither noise nor a large
sample raises a false alarm.

With 600 requests a healthy random balancer deviates by 15 % about once in a hundred runs, and with 600,000 requests an
unimportant difference is "significant". A warning therefore needs both; :mod:`obsctl.checks.balance.model` has the
numbers.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from obsctl.checks.balance import model, upstream
from obsctl.checks.balance.model import Expectation, Share, expectation, shares
from obsctl.checks.balance.snapshot import BackendTally, BalancerConfig, BalancerSnapshot, Upstream
from obsctl.checks.balance.upstream import addresses, primaries
from obsctl.checks.web_refusal import refused
from obsctl.core.report import Finding, Severity
from obsctl.fleet.model import Fleet, Host

#: The least number of answers for each back end that allows a judgement.
MIN_ANSWERS = 10
#: From this share on, requests that were passed on to another back end are reported.
RETRIES_WARNING = 0.01
#: Statuses with which nginx refuses requests above a limit.
_LIMITED = frozenset(("429", "503"))
_WHO_LISTENS = "ss -ltnp shows which process listens there; systemctl status obs-backend"
_SHOW_UPSTREAM = "nginx -T | sed -n '/upstream/,/}/p'"


def judge_balancer(fleet: Fleet, seen: BalancerSnapshot) -> list[Finding]:
    """Return what is wrong with the balancing."""
    if not seen.target:
        return []
    if seen.answered == 0:
        return [_unreachable(fleet, seen)]
    expected = expectation(fleet, seen.configs, seen.balancers)
    findings = [_unreachable(fleet, seen)] if seen.lost else []
    findings += [
        *_strangers(fleet, seen),
        *_silent(fleet, seen, expected),
        *_members(fleet, seen, expected),
        *_configs(seen, expected),
        *_skew(seen, expected),
        *_slow(fleet, seen),
        *_retries(fleet, seen),
        *_limited(seen, expected),
        *_errors(fleet, seen),
    ]
    return [*findings, *_too_little(fleet, seen, expected, findings)]


def _unreachable(fleet: Fleet, seen: BalancerSnapshot) -> Finding:
    reasons = ", ".join(f"{reason} ({count}x)" for reason, count in seen.failures.items())
    # The same object as in verify vip and health, so that a mute applies whichever command finds the address silent.
    address = fleet.vip.address if fleet.vip is not None else seen.target
    if seen.refusal is not None and fleet.vip is not None:
        return refused(
            fleet,
            seen.refusal,
            about=f"vip/{address}",
            address=address,
            port=int(seen.target.rpartition(":")[2]),
            severity=Severity.CRITICAL,
        )
    before = f" after {seen.answered} answers" if seen.answered else ""
    return Finding(
        code="VIP_UNREACHABLE",
        severity=Severity.CRITICAL,
        object=f"vip/{address}",
        summary=f"nothing answers{before}: {reasons}",
        evidence={"sent": seen.sent, "answered": seen.answered, "failures": seen.failures},
        hint="obsctl verify vip shows which node holds the address and whether its nginx runs",
    )


def _strangers(fleet: Fleet, seen: BalancerSnapshot) -> Iterator[Finding]:
    """Yield findings about answers that are not from a back end of the inventory: with another name, or without one."""
    known = {host.name for host in fleet.group("backend")}
    of_host = addresses(fleet)
    total = seen.answered
    for tally in seen.backends:
        got = tally.answers + tally.errors
        if tally.name in known or (not tally.name and (not tally.answers or _is_limited(tally, seen))):
            continue
        source = f"; nginx got them from {tally.upstream}" if tally.upstream else ""
        owner = of_host.get(tally.upstream)
        hint = (
            f"on {_lb_names(seen)}: {_SHOW_UPSTREAM} shows the members; {fleet.playbook('nginx')} writes them from the "
            "inventory"
        )
        if tally.name:
            summary = f"{got} answers came from a back end that is not in the inventory{source}"
            if owner is not None:
                summary += f", which is {owner}'s address: another process answers there, or its name was changed"
                hint = _where(fleet, owner, _WHO_LISTENS)
            about = f"backend/{tally.name}"
        elif tally.upstream:
            summary = f"{tally.answers} good answers carry no X-Backend-Server header{source}"
            if owner is not None:
                summary += f", which is {owner}'s address: another process answers there"
                hint = _where(fleet, owner, _WHO_LISTENS)
            else:
                summary += ", which is not a back end of the fleet"
            about = f"backend/{tally.upstream}"
        elif tally.balancer and seen.marked:
            summary = f"{tally.answers} answers ({_statuses(tally)}) came from nginx itself, without asking a back end"
            hint = f"{_curl(fleet, seen)} | head shows them; on {_lb_names(seen)}: nginx -T shows why"
            about = "backend/(none)"
        else:
            summary = f"{tally.answers} good answers carry no X-Backend-Server header: "
            summary += "they do not come from a back end of the fleet"
            hint = (
                f"{_curl(fleet, seen)} | head shows who answers; on the lb hosts: {_SHOW_UPSTREAM} lists the "
                "members of the upstream block, which must all be back ends of the fleet"
            )
            about = "backend/(unnamed)"
        yield Finding(
            code="LB_UNKNOWN_BACKEND",
            severity=Severity.CRITICAL,
            object=about,
            summary=summary,
            evidence={"got": got, "share": round(got / total, 4), "upstream": tally.upstream},
            hint=hint,
        )


def _curl(fleet: Fleet, seen: BalancerSnapshot) -> str:
    """Return the command that shows an answer."""
    https = fleet.vip.https if fleet.vip is not None else None
    if seen.scheme == "http" or https is None:
        return f"curl -si http://{seen.target}/"
    trusted = f"--cacert {shlex.quote(https.ca_file)} " if https.ca_file else ""
    if not https.server_name:
        return f"curl -si {trusted}https://{seen.target}/"
    return f"curl -si {trusted}--connect-to ::{seen.target} https://{https.server_name}/"


def _silent(fleet: Fleet, seen: BalancerSnapshot, expected: Expectation) -> Iterator[Finding]:
    counts = model.named(seen.backends)
    named = sum(counts.values())
    dead = model.dead(counts, seen.direct)
    of_host = addresses(fleet)
    # Something else answers at its address, which is another finding.
    usurped = {of_host.get(tally.upstream) for tally in seen.backends if tally.name not in of_host.values()}
    asked_in_vain = {of_host[address]: count for address, count in seen.retried.items() if address in of_host}
    for host in fleet.group("backend"):
        proved = host.name in dead or host.name in model.silent(counts, expected)
        if not proved or host.name in usurped:
            continue
        port = host.backend.port if host.backend else upstream.BACKEND_PORT
        summary = f"none of {named} answers came from it"
        if expected.of_one_client or not expected.share(host.name):
            summary += ", which proves nothing"
        else:
            summary += f", {expected.share(host.name):.0%} should have"
        if count := asked_in_vain.get(host.name):
            summary += f"; nginx asked it {count} times without success and retried the requests on another back end"
        https = fleet.vip.https if fleet.vip is not None else None
        # The question is whether it answers, not whether it is trusted.
        curl = "curl -ik https" if https is not None and https.backend_ca_file else "curl -i http"
        curl += f"://{host.address}:{port}/healthz"
        hint = f"on {host.name}: systemctl status obs-backend; {curl}"
        if host.name in dead:
            summary += f"; when asked directly on port {port}, it does not answer either ({dead[host.name]})"
        if dead.get(host.name) == "no answer in time":
            # For a frozen process systemctl status would say active.
            hint = f"on {host.name}: if {curl} hangs as well, its process does: systemctl restart obs-backend"
        yield Finding(
            code="LB_BACKEND_SILENT",
            severity=Severity.CRITICAL,
            object=f"backend/{host.name}",
            summary=summary,
            evidence={
                "got": 0,
                "of": named,
                "expected_share": round(expected.share(host.name), 4),
                "direct": seen.direct.get(host.name),
                "passed_on": asked_in_vain.get(host.name, 0),
            },
            hint=hint,
        )


def _members(fleet: Fleet, seen: BalancerSnapshot, expected: Expectation) -> Iterator[Finding]:
    """Compare the members of the balancers' upstream blocks with the inventory."""
    of_host = addresses(fleet)
    in_charge = expected.config.node if expected.config is not None else ""
    listed: dict[str, list[str]] = {}
    missing: dict[str, list[str]] = {}
    for config, block in _readable(seen):
        for address in {member.address: None for member in block.members if not member.down}:
            if address not in of_host:
                listed.setdefault(address, []).append(config.node)
        all_members = {member.address for member in block.members}
        for address, name in of_host.items():
            if address not in all_members:
                missing.setdefault(name, []).append(config.node)
    answering = {tally.upstream for tally in seen.backends}
    for address, nodes in listed.items():
        if address in answering:
            continue  # a finding about its answers
        tried = seen.retried.get(address, 0)
        yield Finding(
            code="LB_MEMBER_UNKNOWN",
            severity=Severity.WARNING,
            object=f"backend/{address}",
            summary=f"nginx on {', '.join(nodes)} lists {address}, which is not a back end of the inventory"
            + (f"; {tried} requests had to be retried on another back end because it did not answer" if tried else ""),
            evidence={"nodes": nodes, "passed_on": tried},
            hint=f"on {nodes[0]}: {_SHOW_UPSTREAM} shows it; "
            f"{fleet.playbook('nginx')} writes the list from the inventory",
        )
    for name, nodes in missing.items():
        gets_none = in_charge in nodes
        host = fleet.host(name)
        yield Finding(
            code="LB_MEMBER_MISSING",
            severity=Severity.CRITICAL if gets_none else Severity.WARNING,
            object=f"backend/{name}",
            summary=f"nginx on {', '.join(nodes)} does not list it"
            + (f" ({host.address})" if host is not None else "")
            + (": it gets no requests" if gets_none else f": it gets none once {nodes[0]} holds the VIP"),
            evidence={"nodes": nodes},
            hint=f"{fleet.playbook('nginx')} writes the list from the inventory",
        )


def _configs(seen: BalancerSnapshot, expected: Expectation) -> Iterator[Finding]:
    """Compare the balancers with the one that answers: a difference would only show after a failover."""
    known = _readable(seen)
    if len(known) < 2:
        return
    first = next(((c, u) for c, u in known if expected.config is not None and c.node == expected.config.node), known[0])
    for config, block in known:
        differences = list(_differences(first[1], block))
        if differences:
            yield Finding(
                code="LB_CONFIG_DIFFERS",
                severity=Severity.WARNING,
                object=f"host/{config.node}",
                summary=f"its nginx balances differently from {first[0].node}'s: {'; '.join(differences)}",
                evidence={"differences": differences, "compared_with": first[0].node},
                hint=f"on both: {_SHOW_UPSTREAM}",
            )


def _differences(one: Upstream, other: Upstream) -> Iterator[str]:
    if one.method != other.method:
        yield f"{other.method} instead of {one.method}"
    if one.zone != other.zone:
        yield "with a shared zone" if other.zone else "without a shared zone, so that each worker balances on its own"
    ours, theirs = primaries(one), primaries(other)
    for address in ours.keys() & theirs.keys():
        mine, its = ours[address], theirs[address]
        if mine.weight != its.weight:
            yield f"{address} with weight {its.weight} instead of {mine.weight}"
        if mine.down != its.down:
            yield f"{address} is {'' if its.down else 'not '}marked down"


def _skew(seen: BalancerSnapshot, expected: Expectation) -> Iterator[Finding]:
    counts = model.named(seen.backends)
    uneven = model.skew(counts, expected)
    if uneven is None:
        return
    method = expected.upstream.method if expected.upstream is not None else None
    by_speed = seen.lanes > 1 and method == "least_conn"
    why = ""
    if by_speed:
        why = "; with several requests at a time, least_conn prefers the faster back end: this may be no fault"
    elif expected.slack:
        why = f"; there is no shared zone, and {expected.slack} workers each balance on their own"
    hint = "compare the upstream block of the lb hosts (weights, zone, max_fails) and the back ends' response times"
    yield Finding(
        code="LB_SKEW",
        severity=Severity.INFO if by_speed else Severity.WARNING,
        object=f"backend/{uneven.backend}",
        summary=f"got {uneven.got} answers, {abs(uneven.deviation):.0%} "
        f"{'more' if uneven.deviation > 0 else 'less'} than its share of {uneven.expected:.0f} "
        f"(p = {uneven.p:.2g}){why}",
        evidence={
            "p": uneven.p,
            "deviation": round(uneven.deviation, 4),
            "tolerance": model.TOLERANCE,
            "got": {name: counts.get(name, 0) for name, weight in expected.weights.items() if weight},
            "method": method,
        },
        hint="obsctl verify lb -c 1 sends one at a time" if by_speed else hint,
    )


def _slow(fleet: Fleet, seen: BalancerSnapshot) -> Iterator[Finding]:
    for one in model.slow(seen.backends):
        yield Finding(
            code="LB_SLOW_BACKEND",
            severity=Severity.WARNING,
            object=f"backend/{one.backend}",
            summary=f"half of its answers took {one.p50_ms:.0f} ms or more, the others' {one.others_ms:.1f} ms",
            evidence={"p50_ms": one.p50_ms, "others_p50_ms": one.others_ms},
            hint=_where(fleet, one.backend, "top; journalctl -u obs-backend -n 20 shows the duration of each request"),
        )


def _retries(fleet: Fleet, seen: BalancerSnapshot) -> Iterator[Finding]:
    of_host = addresses(fleet)
    counts = model.named(seen.backends)
    for address, count in seen.retried.items():
        name = of_host.get(address)
        # A member without any answer has another finding.
        if name is None or not counts.get(name):
            continue
        share = count / seen.sent
        yield Finding(
            code="LB_RETRIES",
            severity=Severity.WARNING if share >= RETRIES_WARNING else Severity.INFO,
            object=f"backend/{name}",
            summary=f"{count} of {seen.sent} requests ({share:.1%}) were retried on another back end, because "
            "it failed them",
            evidence={"passed_on": count, "sent": seen.sent, "address": address},
            hint=f"on {_lb_names(seen)}: grep '{address}' /var/log/nginx/error.log | tail says why",
        )


def _is_limited(tally: BackendTally, seen: BalancerSnapshot) -> bool:
    """Return whether answers without a name are refusals by nginx's own limits.

    429 says so by itself. 503 may have other reasons; it counts if nginx tried no server and has a limit.
    """
    if tally.name or tally.upstream or not tally.statuses or not set(tally.statuses) <= _LIMITED:
        return False
    return "503" not in tally.statuses or any(config.limits for config in seen.configs)


def _limited(seen: BalancerSnapshot, expected: Expectation) -> Iterator[Finding]:
    refused = sum(tally.answers + tally.errors for tally in seen.backends if _is_limited(tally, seen))
    if not refused:
        return
    limits = expected.config.limits if expected.config is not None else ()
    statuses = sorted({status for tally in seen.backends if _is_limited(tally, seen) for status in tally.statuses})
    yield Finding(
        code="LB_RATE_LIMITED",
        severity=Severity.WARNING,
        object="lb",
        summary=f"nginx itself refused {refused} of {seen.sent} requests (status {', '.join(statuses)}): they exceeded "
        f"the rate that it allows one client{f' ({limits[0]})' if limits else ''}; the others are evaluated",
        evidence={"refused": refused, "sent": seen.sent, "limits": list(limits)},
        hint=f"on {_lb_names(seen)}: nginx -T | grep -E 'limit_(req|conn)' shows the limit; it also applies to "
        "real clients that share one address (an office, a proxy)",
    )


def _errors(fleet: Fleet, seen: BalancerSnapshot) -> Iterator[Finding]:
    server = sum(tally.errors for tally in seen.backends if not _is_limited(tally, seen))
    silent = seen.sent - seen.answered
    if not server + silent:
        return
    share = (server + silent) / seen.sent
    alive = any(tally.answers for tally in seen.backends)
    by_backend: dict[str, int] = {}
    for tally in seen.backends:
        if tally.errors and not _is_limited(tally, seen):
            name = tally.name or "nginx itself"
            by_backend[name] = by_backend.get(name, 0) + tally.errors
    yield Finding(
        code="LB_ERRORS",
        severity=Severity.CRITICAL if share >= model.ERRORS_CRITICAL else Severity.WARNING,
        object="lb",
        summary=f"{server + silent} of {seen.sent} requests failed ({share:.1%}): {server} with status 5xx, "
        f"{silent} without an answer" + ("" if alive else "; no back end is up"),
        evidence={
            "sent": seen.sent,
            "status_5xx": server,
            "unanswered": silent,
            "by_backend": by_backend,
            "reasons": seen.failures,
        },
        hint=f"on {_lb_names(seen, fleet)}: tail /var/log/nginx/error.log",
    )


def _too_little(
    fleet: Fleet, seen: BalancerSnapshot, expected: Expectation, found: Sequence[Finding]
) -> Iterator[Finding]:
    """Yield that too few requests were answered or sent; as information only, if another fault is proved."""
    backends = len(fleet.group("backend"))
    named = sum(model.named(seen.backends).values())
    good = sum(tally.answers for tally in seen.backends)
    proved = any(finding.severity is not Severity.INFO for finding in found)
    if good and named < MIN_ANSWERS * backends and not seen.ended and not expected.of_one_client:
        yield Finding(
            code="LB_TOO_FEW_ANSWERS",
            severity=Severity.INFO if proved else Severity.UNKNOWN,
            object="lb",
            summary=f"only {named} answers name a back end: too few to judge whether all {backends} get their share",
            evidence={"answers": named, "needed": MIN_ANSWERS * backends},
            hint="the other findings say why; if there are none: obsctl verify lb -n 600",
        )
    elif seen.late:
        yield Finding(
            code="LB_RUN_CUT",
            severity=Severity.INFO if proved else Severity.UNKNOWN,
            object="lb",
            summary=f"only {seen.sent} of {seen.wanted} requests were sent before the deadline; shares "
            f"are judged from {named} answers",
            evidence={"sent": seen.sent, "wanted": seen.wanted},
            hint="obsctl verify lb -c 8 sends eight at a time",
        )


def _readable(seen: BalancerSnapshot) -> list[tuple[BalancerConfig, Upstream]]:
    return [(config, config.upstream) for config in seen.configs if not config.failure and config.upstream is not None]


def _lb_names(seen: BalancerSnapshot, fleet: Fleet | None = None) -> str:
    """Return the balancer that answers, for a hint; if the answers do not name it, all candidates."""
    if seen.balancers:
        return max(seen.balancers, key=lambda name: seen.balancers[name])
    names = [host.name for host in fleet.group("lb")] if fleet is not None else []
    return f"the VIP's holder ({', '.join(names)})" if names else "the VIP's holder"


def _where(fleet: Fleet, name: str, commands: str) -> str:
    host: Host | None = fleet.host(name)
    return f"on {host.name}: {commands}" if host is not None else commands


def _statuses(tally: BackendTally) -> str:
    return "status " + ", ".join(tally.statuses) if tally.statuses else "no status"


def describe_balancer(fleet: Fleet, seen: BalancerSnapshot) -> dict[str, Any]:
    """Return the report's data: a row for each back end, the test's figures, remarks, and numbers for monitoring."""
    expected = expectation(fleet, seen.configs, seen.balancers)
    rows = [_row(share, seen) for share in shares(fleet, seen)]
    weighed = [row for row in rows if row["expected_share"]]
    p = None
    if weighed and not expected.of_one_client:
        p = model.evenness(
            [row["got"] for row in weighed], [expected.weights[row["backend"]] for row in weighed], expected.slack
        )
    good = sum(tally.answers for tally in seen.backends)
    block = expected.upstream
    least = min((row["expected_share"] for row in weighed), default=0.0)
    detects = None if expected.of_one_client else model.detectable(sum(row["got"] for row in rows), least)
    return {
        "metrics": {
            "requests": seen.sent,
            "failed": seen.sent - good,
            "chi_square_p": None if p is None else round(p, 6),
            **{f"got_{row['backend']}": row["got"] for row in rows},
        },
        "target": seen.target,
        "requests": seen.sent,
        "requests_wanted": seen.wanted,
        "chi_square_p": p,
        "detects": None if detects is None else round(detects, 4),
        "method": block.method if block is not None else None,
        "balancers": seen.balancers,
        "counted_as_traffic": None if seen.marked is None else not seen.marked,
        "backends": rows,
        "answer_times": [_timed(tally, expected) for tally in seen.backends if tally.name and tally.times],
        "notes": [{"note": note} for note in _notes(seen, expected)],
    }


def _notes(seen: BalancerSnapshot, expected: Expectation) -> Iterator[str]:
    if seen.ended:
        yield f"ended after {seen.sent} of {seen.wanted} requests: {seen.ended}"
    if seen.marked is False and seen.answered:
        yield (f"the {seen.sent} requests count as traffic, in roll-ups and for alert rules: {seen.unmarked}")
    if expected.of_one_client and expected.upstream is not None:
        asked = sum(not why for why in seen.direct.values())
        yield (
            f"{expected.upstream.method} sends all requests of one client to the same back end, so shares measured "
            f"from here prove nothing; when asked directly, {asked} of {len(expected.weights)} back ends answer"
        )
    if len(seen.balancers) > 1:
        each = ", ".join(f"{name} answered {count}" for name, count in seen.balancers.items())
        yield f"the VIP moved during the run: {each}"
    for config in seen.configs:
        if config.failure:
            yield f"nginx's members and weights on {config.node} are not known: {config.failure}"
        elif config.upstream is None:
            yield f"nginx on {config.node} has no upstream block with the inventory's back ends"
    drained = [name for name, weight in expected.weights.items() if not weight]
    if drained and expected.upstream is not None:
        down = {member.address for member in expected.upstream.members}
        if down:
            yield f"{', '.join(drained)} gets no requests because of nginx's configuration (down, backup or not listed)"


def _row(share: Share, seen: BalancerSnapshot) -> dict[str, Any]:
    tallies = [tally for tally in seen.backends if tally.name == share.backend]
    tally = max(tallies, key=lambda one: one.answers + one.errors, default=None)
    return {
        "backend": share.backend,
        "got": share.got,
        "expected_share": round(share.expected_share, 4),
        "got_share": None if share.got_share is None else round(share.got_share, 4),
        "deviation": None if share.deviation is None else round(share.deviation, 4),
        "ci95": None if share.got_share is None else [round(share.low, 4), round(share.high, 4)],
        "errors": sum(one.errors for one in tallies),
        "p50_ms": tally.p50_ms if tally else None,
        "p99_ms": tally.p99_ms if tally else None,
    }


def _timed(tally: BackendTally, expected: Expectation) -> dict[str, Any]:
    return {
        "backend": tally.name,
        "upstream": tally.upstream or None,
        "weight": expected.weights.get(tally.name),
        "times": list(tally.times),
    }
