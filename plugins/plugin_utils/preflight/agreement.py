# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Variables of two roles that must have the same value; there are two because each role can be used alone."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet, Problem, value_at

#: (group, variable, group, variable); a dot leads into a dictionary.
MUST_AGREE = (
    ("filebeat", "filebeat_topic_access", "consumer", "consumer_topics.access"),
    ("filebeat", "filebeat_topic_error", "consumer", "consumer_topics.error"),
    ("filebeat", "filebeat_nginx_log_format", "lb", "nginx_log_format"),
    ("filebeat", "filebeat_nginx_log_dir", "lb", "nginx_log_dir"),
    ("lb", "nginx_backend_port", "backend", "backend_port"),
    ("lb", "nginx_backend_tls", "backend", "backend_tls"),
    ("lb", "nginx_backend_tls_name", "backend", "backend_tls_name"),
    ("lb", "keepalived_check_port", "lb", "nginx_check_port"),
)


def agreeing_variables(fleet: Fleet) -> Iterator[Problem]:
    for left_group, left, right_group, right in MUST_AGREE:
        found = [(value_at(variables, right), host) for host, variables in fleet.group(right_group)]
        rights = {str(value): host for value, host in found if value is not None}
        for host, variables in fleet.group(left_group):
            own = value_at(variables, left)
            if own is not None and rights and str(own) not in rights:
                value, other = next(iter(rights.items()))
                yield Problem(
                    host,
                    f"{left} is {own}, but {right} is {value} on {other}",
                    f"set both to the same value: {left} and {right} mean one thing",
                )
