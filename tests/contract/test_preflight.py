"""The preflight: a sound inventory passes, and each fault has one inventory in which it is named with host and fix."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from rig import ansible_inventory
from rig.ansible_cores import programs_of

ROOT = Path(__file__).resolve().parents[2]
FAULTS = Path(__file__).parent / "inventories" / "preflight"
LB = "node1, node2, node3"
EVERYBODY = "app1, db1, node1, node2, node3"


class Expected(NamedTuple):
    host: str
    problem: str
    fix: str


#: Inventory to what the preflight must say about it, and nothing else.
EXPECTED = {
    "address-is-a-name": Expected("node1", "ansible_host is node1.example.com, not an IP", "kafka_advertised_host"),
    "address-is-broadcast": Expected("node3", "192.168.100.255, which no host of the network", "ansible_host"),
    "address-is-ipv6": Expected("app1", "ansible_host is 2001:db8::161: an IPv6 fleet is not supported", "IPv4"),
    "address-is-loopback": Expected("db1", "ansible_host is 127.0.0.1, a loopback address", "other hosts reach"),
    "address-twice": Expected("node1, node2", "share the address 192.168.100.150", "ansible_host"),
    "advertised-host-is-loopback": Expected(
        "node2", "kafka_advertised_host is 127.0.0.1, a loopback address", "other hosts reach"
    ),
    "alert-template-broken": Expected("control node", "zh/kinds/ratio.j2:2: unexpected '}'", "alert-messages.md"),
    "alert-template-misnamed": Expected("control node", "en/titel.j2: no template of messages has", "title.j2"),
    "alert-templates-absent": Expected("control node", "consumer_alert_templates is no folder", "create the folder"),
    "alert-templates-relative": Expected("app1", "is 'alert-templates', not an absolute path", "inventory_dir"),
    "archive-absent": Expected("control node", "kafka_archive does not exist", "obsctl artifacts build"),
    "auth-pass-empty": Expected(LB, "keepalived_auth_pass cannot be used: a secret in the inventory is empty", "vault"),
    "auth-pass-not-plain": Expected(LB, "keepalived_auth_pass has a character", "letters, digits"),
    "auth-pass-too-long": Expected(LB, "keepalived_auth_pass has 17 characters", "at most 8"),
    "channel-incomplete": Expected("app1", "alert channel ops has no url", "needs url"),
    "channel-name-twice": Expected("app1", "2 alert channels have the name ops", "of its own"),
    "channel-option-of-another-type": Expected(
        "app1", "has recipients, which the type dingtalk does not take", "it takes name"
    ),
    "channel-password-in-clear": Expected("app1", "has a password but no tls", "tls: starttls"),
    "channel-pool-and-token": Expected("app1", "alert channel ops has both token and robots", "of the same group"),
    "channel-recipients-in-one": Expected(
        "app1", "recipients has 'b@example.com,c@example.com'", "an entry of the list"
    ),
    "channel-secrets-in-one-file": Expected("app1", "would keep their secrets in one file", "differ"),
    "channel-sender-with-name": Expected("app1", "sender has 'Alerts <a@example.com>'", "NAME@DOMAIN"),
    "channel-token-beyond-ascii": Expected(
        "app1", "token of alert channel ops cannot be used: it holds a line break or", "on one line"
    ),
    "channel-type-unknown": Expected("app1", "webhook, wecom, got: telegram", "argument_specs"),
    "channel-url-with-token": Expected("app1", "alert channel ops contains its access_token", "token or secret"),
    "channel-without-scheme": Expected("app1", "its url does not begin with https://", "https://HOST"),
    "console-address-is-a-name": Expected("app1", "console_address is console.example.com, not an", "0.0.0.0"),
    "console-header-misnamed": Expected(
        "app1", "console_trusted_header is X-Remote-User:, which is not a valid header", "letters, digits"
    ),
    "console-header-without-proxy": Expected(
        "app1", "console_trusted_header is X-Remote-User, but console_trusted_proxies", "list the addresses"
    ),
    "console-kafka-password-forgotten": Expected(
        LB, "kafka_console_password is empty, but with fleet_tls console", "vault:VAR"
    ),
    "console-oidc-in-clear": Expected(
        "app1", "console_oidc_issuer is http://id.example.com, not an address of https", "write https://HOST"
    ),
    "console-oidc-role-unknown": Expected(
        "app1", "console_oidc_roles gives the group ops the role editor", "viewer, operator, admin"
    ),
    "console-oidc-secret-forgotten": Expected(
        "app1", "console_oidc_client_secret is empty, but console_oidc_issuer names a", "vault:VARIABLE"
    ),
    "console-password-forgotten": Expected(
        "db1", "mysql_console_password is empty, but the console of app1 logs in", "console_enabled to false"
    ),
    "console-port-taken": Expected("app1", "consumer_metrics_port and console_port take the same port 9600", "another"),
    "control-node-locked-out": Expected(EVERYBODY, "lock this control node (192.168.100.10)", "fleet_admin_sources"),
    "data-dir-has-a-stranger": Expected("node1", "/var/lib/kafka/nginxlog-0 copy is no partition", "move it"),
    "data-dir-has-lost-found": Expected(
        "node1", "/var/lib/kafka/lost+found is no partition", "kafka_data_dir: /var/lib/kafka/data"
    ),
    "database-certificate-of-another-name": Expected(
        "app1", "consumer_database_host is db.example, which the certificate of db1 does not name", "add db.example to"
    ),
    "database-name-too-long": Expected("db1", "mysql_database has 68 characters", "at most 64"),
    "disk-of-brokers-only": Expected(LB, "with 3 copies over 3 brokers need 824", "larger disk"),
    "disk-too-small": Expected("node2", "/var/lib/kafka has room for 200 GiB", "larger disk"),
    "duration-without-unit": Expected(LB, "filebeat_scan_interval is '10', not a duration", "250ms"),
    "el7-backend": Expected("node1", "EL7 host in the group backend", "EL8 or newer"),
    "el7-consumer": Expected("app1", "EL7 host in the group consumer", "EL8 or newer"),
    "el8-with-newer-core": Expected("db1", "package manager of Rocky Linux 8.9 runs on a Python", "obscraft[legacy]"),
    "filebeat-too-old": Expected(LB, "filebeat_version is 7.10.0: the role filebeat is for 7.17", "filebeat_version"),
    "filebeat-name-shared": Expected(LB, "share filebeat_name balancer", "host variable"),
    "filebeat-input-id-twice": Expected(LB, "two inputs have the id shop", "an id of its own"),
    "filebeat-input-overlaps": Expected(
        LB,
        "nginx/access.log* of the input nginx-access and /var/log/nginx/acc*.log* of vhosts match the same",
        "narrow",
    ),
    "filebeat-input-relative": Expected(LB, "'shop.log*' of the input shop in filebeat_inputs is not an abs", "from /"),
    "flavor-unknown": Expected("db1", "must be one of: mysql, mariadb, got: postgres", "roles/mysql"),
    "heap-above-memory": Expected(
        "node1", "kafka_heap is 64g, but the host has 2048 MiB of memory", "lower kafka_heap"
    ),
    "heap-below-minimum": Expected(LB, "kafka_heap is 1m, which is less than the 128 MiB", "1g is usual"),
    "heap-not-a-size": Expected(LB, "kafka_heap is '1GB', not a number of bytes", "like 1g"),
    "heartbeat-url-not-in-vault": Expected(
        "app1", "url of consumer_alert_heartbeat cannot be used: vault:nothing: the inven", "vault"
    ),
    "heartbeat-without-url": Expected("app1", "consumer_alert_heartbeat has no url", "set its url"),
    "host-key-unknown": Expected(
        "node3", "host key is unknown", "`ssh-keyscan -p 2222 192.168.100.152 >> ~/.ssh/known_hosts`"
    ),
    "host-name-not-plain": Expected("node 4", "its name has a character", "letters, digits"),
    "host-name-too-long": Expected(
        "a-name-of-seventy-characters-that-somebody-generated-from-a-cloud-tagss",
        "too long: 71 characters where a host name may have 63",
        "shorter name",
    ),
    "host-unreachable": Expected(
        "node3", "cannot be reached: no answer from 192.168.100.152 port 22", "a firewall drops port 22"
    ),
    "host-without-a-shell": Expected(
        "db1", "does not run a shell command; it says: This account is currently", "login shell"
    ),
    "java-too-old": Expected(LB, "Kafka 4.1.0 needs Java 17 or newer, java_version gives 11", "java_version to 17"),
    "listen-port-out-of-range": Expected(LB, "nginx_listen has '80000 default_server'", "such as 80"),
    "listeners-with-tls-only": Expected(LB, "connect to port 9092 without TLS", "keep PLAINTEXT://:9092"),
    "kafka-client-ca-absent": Expected(
        "control node", "kafka_client_ca_file does not exist: /nonexistent/ca.pem", "path of a PEM file"
    ),
    "kafka-client-key-forgotten": Expected(
        LB, "kafka_client_certificate_file is set and kafka_client_key_file is not", "set kafka_client_key_file"
    ),
    "kafka-client-listener-absent": Expected(
        LB, "clients speak SASL_SSL to port 9092 (kafka_client_port), which is a listener of PLAINTEXT", "beside"
    ),
    "kafka-client-login-without-protocol": Expected(
        LB, "with kafka_client_security_protocol PLAINTEXT there is no login", "SASL_SSL"
    ),
    "kafka-client-password-forgotten": Expected(
        LB, "kafka_client_password is empty, but with kafka_client_security_protocol SASL_SSL", "vault:VARIABLE"
    ),
    "login-variable-unresolvable": Expected(
        "db1", "ansible_password has no value: 'vault_ssh_password' is undefined", "vault.yml"
    ),
    "memory-shared": Expected(
        "db1", "kafka_heap and mysql_buffer_pool are 5g and 5G, but the host has 8192 MiB", "more memory"
    ),
    "message-too-large": Expected(LB, "is 10000000, but message.max.bytes is 1048588", "at most 1048588"),
    "min-isr-not-below-replication": Expected(LB, "kafka_min_insync_replicas is 3", "below 3"),
    "mysql-5.7": Expected("db1", "database server 5.7.44", "upgrade"),
    "mysql-on-debian": Expected("db1", "offers MariaDB but not MySQL", "mysql_flavor to mariadb"),
    "name-does-not-resolve": Expected("node2", "cannot resolve kafka03", "/etc/hosts"),
    "name-is-itself": Expected("node2", "resolves kafka03 to 127.0.1.1", "address of kafka03"),
    "node-id-twice": Expected("node1, node2", "share kafka_node_id 1", "its own kafka_node_id"),
    "partitions-zero": Expected(LB, "partitions of topic nginxlog is 0", "range"),
    "path-is-the-root": Expected(LB, "filebeat_home is /, which belongs to the system", "of its own"),
    "path-not-absolute": Expected(LB, "kafka_data_dir is 'var/lib/kafka', not an absolute path", "from / on"),
    "nginx-http-closed-without-tls": Expected(
        LB, "nginx_http is close, but nginx_tls_listen is empty", "such as '443'"
    ),
    "nginx-tls-back-ends-in-clear": Expected(
        LB, "nginx_backend_tls is True, but backend_tls is False on node3", "mean one thing"
    ),
    "nginx-tls-back-ends-without-tls": Expected(LB, "nginx_backend_tls is true, but fleet_tls is false", "fleet_tls"),
    "nginx-tls-certificate-without-key": Expected(
        LB, "nginx_tls_certificate_path is set and nginx_tls_key_path is not", "set nginx_tls_key_path too"
    ),
    "nginx-tls-key-encrypted": Expected(
        "control node", "nginx_tls_key is no private key, or is encrypted", "without encryption"
    ),
    "nginx-tls-listen-out-of-range": Expected(LB, "nginx_tls_listen has '44300000'", "such as 443"),
    "nginx-tls-ports-collide": Expected(LB, "nginx_tls_listen 8080 and backend_port take the same port", "another"),
    "nginx-tls-two-certificates": Expected(LB, "both name a certificate", "keep the file on the control node"),
    "port-differs": Expected(LB, "nginx_backend_port is 8080, but backend_port is 8000", "same value"),
    "port-out-of-range": Expected("db1", "mysql_port is 70000, not between 1 and 65535", "range"),
    "ports-collide": Expected(LB, "nginx_listen 8080 and backend_port take the same port 8080", "another port"),
    "priority-out-of-range": Expected("node1", "keepalived_priority is 300, not between 1 and 254", "range"),
    "priority-twice": Expected("node1, node2", "share keepalived_priority 100", "its own keepalived_priority"),
    "process-role-mistyped": Expected(LB, "controler", "roles/kafka"),
    "processes-out-of-range": Expected("app1", "consumer_processes is 16, not between 0 and 8", "range"),
    "python-absent": Expected("db1", "has no Python", "apt-get install python3"),
    "python-too-old": Expected("db1", "Debian 10 has Python 3.7", "obscraft[legacy]"),
    "replication-above-brokers": Expected(LB, "kafka_replication_factor is 4, but there are 3 brokers", "at most 3"),
    "retention-negative": Expected(LB, "kafka_retention_hours is -1, not 1 or more", "range"),
    "rule-without-threshold": Expected("app1", "alert rule floods has no threshold", "needs threshold"),
    "secret-environment-unset": Expected("app1", "token of alert channel ops cannot be used: env:OBSCTL", "env:NAME"),
    "secret-file-absent": Expected("db1", "file:/nonexistent/password cannot be read: No such file", "file:/path"),
    "secret-is-the-examples": Expected(
        "db1", "mysql_reader_password cannot be used: it is still the example's", "vault"
    ),
    "secret-not-in-vault": Expected("db1", "mysql_reader_password cannot be used: vault:nothing: the inven", "vault"),
    "secret-not-set": Expected("db1", "mysql_consumer_password cannot be used: a secret in the inv", "vault:VARIABLE"),
    "segment-above-disk": Expected("node2", "one segment fills the disk", "lower kafka_segment_bytes"),
    "segment-below-minimum": Expected(LB, "kafka_segment_bytes is 512, not 1048576 or more", "range"),
    "source-is-a-name": Expected(EVERYBODY, "fleet_admin_sources has 'bastion.example.com'", "192.0.2.0/24"),
    "timezone-differs": Expected("node3", "shows Europe/Berlin, but app1 reads its error lines as Asia", "group_vars"),
    "timezone-not-set": Expected("node2", "shows +0800, but app1 reads its error lines as UTC", "set common_timezone"),
    "timezone-unknown": Expected(
        EVERYBODY, "common_timezone is Asia/Beijing, which is not a time zone", "such as Asia/Shanghai"
    ),
    "topic-config-in-words": Expected(
        LB, "min.insync.replicas of topic nginxlog is 'two', not a whole number", "whole number"
    ),
    "topic-differs": Expected(LB, "but consumer_topics.access is access-log", "same value"),
    "topic-name-bad": Expected(LB, "kafka_topics has 'nginx/log'", "at most 249 letters"),
    "topic-not-created": Expected(
        LB, "filebeat_topic_access is weblog, a topic that is not in kafka_topics", "kafka_topics"
    ),
    "topic-of-a-use-missing": Expected(LB, "fleet_topics names no topic for dlq", "add dlq as in roles/fleet_topics"),
    "topic-of-acknowledgements-not-compacted": Expected(
        LB, "fleet_topics.acknowledgements has no cleanup.policy compact", "configs to {cleanup.policy: compact}"
    ),
    "topic-of-alerts-not-created": Expected(
        "app1", "consumer_alert_history_topic is history, a topic that is not in kafka_topics", "add history"
    ),
    "topic-of-silences-not-compacted": Expected(
        LB, "fleet_topics.alert_silences has no cleanup.policy compact", "configs to {cleanup.policy: compact}"
    ),
    "topic-of-state-deleted": Expected(LB, "fleet_topics.alert_state has no cleanup.policy compact", "configs to"),
    "topic-of-state-split": Expected(LB, "fleet_topics.alert_state has 6 partitions", "partitions to 1"),
    "topics-of-alerts-missing": Expected(
        LB, "no topic for alert_state, alert_silences, alert_history", "add alert_state, alert_silences, alert_history"
    ),
    "topic-twice": Expected(LB, "kafka_topics has nginxlog 2 times", "remove"),
    "value-of-wrong-kind": Expected(EVERYBODY, "kafka_replication_factor is 'three', not a whole number", "set it to"),
    "variable-mistyped": Expected(EVERYBODY, "kafka_retention_hour", "did you mean kafka_retention_hours?"),
    "tls-client-port-moved": Expected(
        LB, "clients speak SASL_SSL to port 9192 (kafka_client_port), but with fleet_tls they log in over", "follow"
    ),
    "tls-listeners-of-their-own": Expected(
        LB, "kafka_properties has listeners, which the role computes with fleet_tls", "kafka_tls_port"
    ),
    "tls-password-forgotten": Expected(LB, "kafka_alerter_password is empty, but with fleet_tls alerter", "vault:VAR"),
    "tls-password-not-plain": Expected(LB, "kafka_obsctl_password cannot be used: it holds a line break or", "ASCII"),
    "tls-ports-collide": Expected(LB, "kafka_tls_port and kafka_tls_broker_port take the same port 9094", "another"),
    "tls-stage-differs": Expected(
        "fleet", "kafka_tls_stage differs: move on node2; tls on node1, node3", "group_vars/all"
    ),
    "tls-stage-without-switch": Expected(
        LB, "kafka_tls_stage is offer, but fleet_tls is false: no host gets a certificate", "playbooks/tls.yml"
    ),
    "variable-required": Expected("node2", "kafka_node_id is not set", "set it"),
    "variable-unresolvable": Expected(EVERYBODY, "mysql_consumer_password has no value", "define"),
    "version-is-none": Expected(LB, "filebeat_version is 'latest', not a version", "like"),
    "vip-is-a-host": Expected("fleet", "fleet_vip 192.168.100.151 is the address of node2", "no host has"),
    "vip-is-broadcast": Expected(LB, "192.168.100.255, the broadcast address of 192.168.100.0/24", "free address"),
    "vip-is-ipv6": Expected(LB, "fleet_vip is 2001:db8::100: an IPv6 fleet is not supported", "IPv4"),
    "vip-is-multicast": Expected(LB, "224.0.0.18, a multicast address", "free address"),
    "vip-is-network": Expected(LB, "192.168.100.0, the network's own address of", "free address"),
    "vip-is-not-an-address": Expected(LB, "fleet_vip is 'vip.example.com', not an address", "free address"),
    "vip-is-unspecified": Expected(LB, "0.0.0.0, the unspecified address", "free address"),
    "vip-outside": Expected(LB, "outside of the virtual address's network", "fleet_vip_prefix"),
    "vip-prefix-of-one-address": Expected(LB, "fleet_vip_prefix is 32: such a network cannot hold", "such as 24"),
    "vip-prefix-wrong": Expected(LB, "fleet_vip_prefix is 240, no prefix length", "such as 24"),
    "vrid-differs": Expected("fleet", "different keepalived_vrid (51, 52)", "one keepalived_vrid"),
    "vrid-out-of-range": Expected(LB, "keepalived_vrid is 999, not between 1 and 255", "range"),
    "vrid-twice": Expected("fleet", "share keepalived_vrid 51", "its own keepalived_vrid"),
    "weight-below-gap": Expected(
        LB, "keepalived_check_weight -5 is not larger than the priorities' gap of 20", "more than 20"
    ),
    "weight-with-nopreempt": Expected(LB, "keepalived_check_weight is -60 with nopreempt", "to 0"),
    "auth-pass-with-line-break": Expected(LB, "keepalived_auth_pass cannot be used: it holds a line break", "one line"),
    "backend-host-unknown": Expected(LB, "nginx_backend_hosts has 'nodee2', which is no host of the", "mean node2?"),
    "bootstrap-without-port": Expected("app1", "consumer_bootstrap has 'kafka01', not HOST:PORT", "192.0.2.11:9092"),
    "channel-name-empty": Expected("app1", "the alert channel number 1 has no name", "a name of its own"),
    "channel-name-null": Expected(EVERYBODY, "consumer_alert_channels[0].name is empty, not a text", "set it to"),
    "channel-option-null": Expected(EVERYBODY, "consumer_alert_channels[0].keyword is empty, not a text", "leave it"),
    "channel-secret-with-line-break": Expected(
        "app1", "secret of alert channel ops cannot be used: it holds a line break", "on one line"
    ),
    "extra-rule-with-host-bits": Expected(
        EVERYBODY, "firewall_extra_rules[0].sources has '192.0.2.7/24', an address with the", "write 192.0.2.0/24 for"
    ),
    "host-in-a-mistyped-group": Expected("node4", "is only in the group kafak", "did you mean the group kafka?"),
    "host-in-an-unknown-group": Expected("node4", "is only in the group webservers", "fleet_foreign_groups"),
    "kafka-quota-unknown": Expected(
        LB, "kafka_quotas: filebeat has the quota bytes_per_second; known are", "producer_byte_rate: 10485760"
    ),
    "kafka-quotas-without-tls": Expected(LB, "kafka_quotas names filebeat, but without fleet_tls", "fleet_tls to true"),
    "kafka-right-unknown": Expected(
        LB, "kafka_extra_rights: a right of User:reports has the operation read; known are", "operations: [Read]"
    ),
    "list-for-a-mapping": Expected(EVERYBODY, "kafka_properties is a list, not a mapping", "set it to a mapping"),
    "listen-is-a-name": Expected(LB, "nginx_listen has 'abc', whose address is neither", "192.0.2.10:80"),
    "listen-nowhere": Expected(LB, "nginx_listen is an empty list", "leave it out for the default"),
    "login-port-is-a-boolean": Expected("node1", "ansible_port is True, not a whole number", "The TCP port"),
    "login-port-is-a-name": Expected("node1", "ansible_port is 'ssh', not a whole number", "The TCP port"),
    "login-port-out-of-range": Expected("node1", "ansible_port is 70000, not between 1 and 65535", "usually 22"),
    "login-port-zero": Expected("node1", "ansible_port is 0, not between 1 and 65535", "usually 22"),
    "property-is-a-list": Expected(EVERYBODY, "kafka_properties.log.dirs is a list, not a single value", "a,b"),
    "property-nested": Expected(
        EVERYBODY, "kafka_properties.log is a mapping, not a single value", "dots in one piece"
    ),
    "property-of-the-role": Expected(LB, "kafka_properties has node.id, which the role computes", "kafka_node_id"),
    "proxy-with-host-bits": Expected(
        EVERYBODY, "nginx_trusted_proxies has '192.0.2.7/24', an address with the", "192.0.2.7 for the one host"
    ),
    "rule-ignores-host-bits": Expected(
        "app1", "alert rule calm: ignore_clients has '192.0.2.7/24', an address with the", "write 192.0.2.0/24 for"
    ),
    "rule-name-null": Expected(EVERYBODY, "consumer_alert_rules[0].name is empty, not a text", "set it to a text"),
    "secret-ends-with-line-break": Expected(
        "db1", "mysql_reader_password cannot be used: it holds a line break", "on one line"
    ),
    "secret-with-line-break": Expected(
        "db1", "mysql_reader_password cannot be used: it holds a line break", "on one line"
    ),
    "source-with-host-bits": Expected(
        EVERYBODY, "fleet_admin_sources has '192.168.100.10/24', an address with the", "192.168.100.10 for the one host"
    ),
    "test-secret-is-the-examples": Expected(LB, "nginx_test_secret cannot be used: it is still the example's", "vault"),
    "text-for-a-list": Expected(EVERYBODY, "fleet_admin_sources is a text, not a list", "set it to a list"),
    "text-with-line-break": Expected(LB, "kafka_properties.log.flush.interval.ms holds a line break", "one line"),
    "tls-ca-key-absent": Expected(
        "control node", "/nonexistent/pki/ca.key.pem does not exist", "put the signing key there"
    ),
    "tls-ca-key-closed": Expected(
        "control node", "ca.key.pem cannot be opened", "fleet_tls_ca_passphrase its passphrase"
    ),
    "tls-on-for-a-group": Expected("fleet", "fleet_tls is on for node1, node2, node3, and off for app1, db1", "once"),
    "tls-passphrase-absent": Expected(
        "control node", "fleet_tls_ca_passphrase cannot be used: file:/nonexistent/passphrase cannot be read", "vault"
    ),
    "tls-ready-certificate-of-another-host": Expected(
        "control node", "mysql.pem is not for 192.168.100.160, so clients would refuse it", "subject alternative names"
    ),
    "tls-ready-certificate-without-key": Expected(
        "db1", "certificates_ready_certificate is set and certificates_ready_key is not", "set certificates_ready_key"
    ),
    "tls-without-passphrase": Expected("control node", "no passphrase for its key", "fleet_tls_ca_passphrase to a ref"),
    "topics-collide": Expected(LB, "kafka_topics has shop.orders and shop_orders: Kafka refuses", "more than . and _"),
    "value-of-wrong-kind-in-an-entry": Expected(
        EVERYBODY, "kafka_topics[0].configs is a text, not a mapping", "set it to a mapping"
    ),
}

#: What follows from a fault and is named as well.
CONSEQUENCES = {
    "el7-backend": "runs on a Python",
    "el7-consumer": "runs on a Python",
    "login-variable-unresolvable": "one of its inventory values cannot be computed",
    "mysql-5.7": "runs on a Python",
    "process-role-mistyped": "no Kafka host is a controller",
    "python-absent": "offers MariaDB but not MySQL",
    "topic-differs": "consumer_topics.access is access-log, a topic that is not in kafka_topics",
    "topic-not-created": "consumer_topics.access is weblog, a topic that is not in kafka_topics",
}

#: What is no fault for ansible-core 2.16.
ONLY_NEWER_CORES = {"el8-with-newer-core", "python-too-old"}


def problems_of(*sources: Path):
    templar, hostvars, groups = ansible_inventory.read(sources)
    from ansible_collections.obscraft.fleet.plugins.action import fleet_preflight
    from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight import rules

    return rules.find_problems(fleet_preflight.gather(templar, hostvars, groups, ["look"]))


def test_sound_inventory_has_no_problem():
    assert problems_of(FAULTS / "sound") == []


def test_sound_inventory_with_tls_has_no_problem(tmp_path: Path):
    """The fleet's CA need not be there: the run that begins makes it."""
    on = tmp_path / "on.yml"
    on.write_text(yaml.safe_dump({"all": {"vars": {"fleet_tls": True}}}))
    assert problems_of(FAULTS / "sound", on) == []


@pytest.mark.parametrize("reference", ["file:{files}/mysql.key.pem", "vault:vault_shop_key", "env:SHOP_KEY"])
def test_a_certificate_of_nginxs_own_has_no_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str
) -> None:
    """A key in PEM has several lines, unlike other secrets."""
    files = FAULTS / "tls-files"
    key = (files / "mysql.key.pem").read_text()
    monkeypatch.setenv("SHOP_KEY", key)
    variables = {
        "fleet_tls": True, "nginx_tls_certificate_file": str(files / "mysql.pem"), "vault_shop_key": key,
        "nginx_tls_key": reference.format(files=files),
    }  # fmt: skip
    on = tmp_path / "on.yml"
    on.write_text(yaml.safe_dump({"all": {"vars": variables}}))
    assert problems_of(FAULTS / "sound", on) == []


def test_without_the_console_none_of_its_passwords_is_needed(tmp_path: Path):
    path = tmp_path / "without.yml"
    none = {"mysql_console_password": "", "kafka_console_password": ""}
    path.write_text(yaml.safe_dump({"all": {"vars": {"fleet_tls": True, "console_enabled": False, **none}}}))
    assert problems_of(FAULTS / "sound", path) == []


def test_inventory_for_production_is_sound():
    answers = FAULTS.parent / "prod-answers.yml"
    assert problems_of(ROOT / "inventories/prod", answers) == []


def test_every_fault_has_an_inventory_and_every_inventory_a_fault():
    assert {path.stem for path in FAULTS.glob("*.yml")} == set(EXPECTED)


@pytest.mark.parametrize("fault", sorted(EXPECTED))
def test_fault_is_named_with_host_and_fix(fault):
    found = problems_of(FAULTS / "sound", FAULTS / f"{fault}.yml")
    expected = EXPECTED[fault]
    named = [p for p in found if expected.problem in p.problem]
    assert len(named) == 1, found
    assert named[0].host == expected.host
    assert expected.fix in named[0].fix
    others = [p for p in found if p not in named]
    assert all(fault in CONSEQUENCES and CONSEQUENCES[fault] in p.problem for p in others), others


@pytest.mark.long
def test_faults_are_the_same_under_the_oldest_core():
    """ansible-core 2.16 hands out templates and numbers in other ways, and is what EL7 and EL8 are installed with."""
    command = [programs_of("legacy") / "python", "-m", "tests.contract.preflight_report", str(FAULTS)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("sound") == []
    for fault in ONLY_NEWER_CORES:
        assert found.pop(fault) == []
    assert set(found) == set(EXPECTED) - ONLY_NEWER_CORES
    for fault, problems in found.items():
        named = [p for p in problems if EXPECTED[fault].problem in p[1]]
        assert len(named) == 1, (fault, problems)
        assert named[0][0] == EXPECTED[fault].host, fault
        assert EXPECTED[fault].fix in named[0][2], fault


def test_the_roles_own_inputs_are_known_to_the_preflight():
    from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.filebeat import OWN_INPUTS

    own = yaml.safe_load((ROOT / "roles/filebeat/vars/main.yml").read_text())
    assert [(name, [f"{{{{ {folder} }}}}/{glob}"]) for name, folder, glob in OWN_INPUTS] == [
        (entry["id"], entry["paths"]) for entry in own["__filebeat_standard_inputs"] + own["__filebeat_replay_inputs"]
    ]


def test_a_value_of_the_wrong_kind_hides_no_other_problem():
    faults = ["value-of-wrong-kind", "node-id-twice", "weight-below-gap"]
    found = problems_of(FAULTS / "sound", *(FAULTS / f"{fault}.yml" for fault in faults))
    assert [fault for fault in faults if any(EXPECTED[fault].problem in p.problem for p in found)] == faults


#: What people write into an inventory by mistake.
WRONG = (
    "",
    "garbage",
    -1,
    10**11,
    3.7,
    True,
    None,
    [],
    {},
    ["x"],
    [None],
    [["x"]],
    {"a": 1},
    [{"name": None, "configs": "x"}],
)


def test_no_value_of_any_variable_makes_a_rule_fail():
    templar, hostvars, groups = ansible_inventory.read([FAULTS / "sound"])
    from ansible_collections.obscraft.fleet.plugins.action import fleet_preflight
    from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight import rules

    sound = fleet_preflight.gather(templar, hostvars, groups, ["look"])
    hosts = {host: {name: view[name] for name in view if name in view} for host, view in sound.hosts.items()}
    options = {option for spec in sound.specs.values() for option in spec} | {"ansible_host"}
    for option in sorted(options):
        for value in WRONG:
            fleet = sound._replace(
                hosts={host: {**variables, option: value} for host, variables in hosts.items()},
                inventory_names={host: names | {option} for host, names in sound.inventory_names.items()},
            )
            for problem in rules.find_problems(fleet):
                assert problem.host, (option, value)
                assert problem.fix, (option, value)
                assert "cannot judge" not in problem.problem, (option, value, problem)


def _variants(spec):
    """Yield values of an option that are right but for one place inside, which is of a wrong kind or empty."""
    kind, options = spec.get("type", "str"), spec.get("options")
    if kind == "list":
        entry = {**spec, "type": spec.get("elements", "str"), "elements": None}
        yield from ([value] for value in _variants(entry))
    elif kind == "dict" and options:
        good = {name: _good(option) for name, option in options.items()}
        for name, option in options.items():
            yield from ({**good, name: value} for value in _variants(option))
    elif kind == "dict":
        yield from ({"name": value} for value in WRONG)
    else:
        yield from WRONG


def _good(spec):
    kind = spec.get("type", "str")
    if spec.get("choices"):
        return spec["choices"][0]
    if kind == "list":
        return [_good({**spec, "type": spec.get("elements", "str"), "choices": None})]
    if kind == "dict":
        return {name: _good(option) for name, option in (spec.get("options") or {}).items()}
    return {"int": 1, "float": 0.5, "bool": True}.get(kind, "word")


def _nested_faults(specs):
    for options in specs.values():
        for option, spec in options.items():
            if spec.get("type") in ("list", "dict"):
                yield from ((option, value) for value in _variants(spec))


@pytest.mark.long
def test_no_value_inside_of_a_variable_makes_a_rule_fail():
    """Templates of the defaults that follow the variable are computed with the wrong value, as Ansible does."""
    templar, hostvars, groups = ansible_inventory.read([FAULTS / "sound"])
    from ansible_collections.obscraft.fleet.plugins.action import fleet_preflight
    from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight import rules

    sound = fleet_preflight.gather(templar, hostvars, groups, ["look"])
    hosts = {host: {name: view[name] for name in view if name in view} for host, view in sound.hosts.items()}
    for option, value in _nested_faults(sound.specs):
        fleet = sound._replace(
            hosts={host: {**variables, option: value} for host, variables in hosts.items()},
            inventory_names={host: names | {option} for host, names in sound.inventory_names.items()},
        )
        for problem in rules.find_problems(fleet):
            assert problem.host, (option, value)
            assert problem.fix, (option, value)
            assert "cannot judge" not in problem.problem, (option, value, problem)


#: Variables that defaults of others follow, and a value of the wrong kind.
FOLLOWED = [
    {"fleet_topics": ["nginxlog"]},
    {"fleet_topics": {"access": "nginxlog", "error": "e", "dlq": "d"}},
    {"fleet_topics": {"access": None, "error": {}, "dlq": []}},
    {"fleet_admin_sources": {"a": 1}},
    {"fleet_admin_sources": "192.168.100.10"},
    {"fleet_vip": ["192.168.100.100"]},
    {"kafka_node_id": ["one"]},
    {"kafka_process_roles": "broker"},
    {"kafka_broker_port": {"port": 9092}},
    {"kafka_advertised_host": ["kafka01"]},
    {"mysql_reader_password": ["word"]},
    {"mysql_consumer_password": {"word": 1}},
    {"nginx_listen": "80"},
    {"nginx_listen": [None, {"port": 80}]},
    {"ansible_host": ["192.168.100.150"]},
    {"ansible_user": {"name": "root"}},
    {"ansible_ssh_common_args": ["-J", "bastion"]},
    {"common_timezone": ["UTC"]},
    {"consumer_alert_channels": [["ops"], None, 7]},
    {"filebeat_inputs": [{"id": ["a"], "paths": "x"}]},
]


@pytest.mark.parametrize("wrong", FOLLOWED, ids=str)
def test_one_value_of_the_wrong_kind_is_one_problem(wrong, tmp_path):
    """What follows it is not named, too."""
    file = tmp_path / "wrong.yml"
    (variable,) = wrong
    hosts = ["node1", "node2", "node3", "db1", "app1"]
    # As host variables, which win over those of the sound inventory.
    file.write_text(yaml.safe_dump({"all": {"hosts": dict.fromkeys(hosts, wrong)}}))
    found = problems_of(FAULTS / "sound", file)
    assert len(found) == 1, found
    assert re.match(rf"{variable}\S* is (a list|a mapping|a text|a number|empty), not (a|true)", found[0].problem)
    assert not re.search("Error|Traceback|object", found[0].problem), found


def test_a_rule_that_fails_is_a_problem_and_hides_no_other(monkeypatch):
    templar, hostvars, groups = ansible_inventory.read([FAULTS / "sound", FAULTS / "node-id-twice.yml"])
    from ansible_collections.obscraft.fleet.plugins.action import fleet_preflight
    from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight import rules

    def broken(_fleet):
        raise ValueError("secret-word")

    monkeypatch.setattr(rules, "RULES", (broken, *rules.RULES))
    found = rules.find_problems(fleet_preflight.gather(templar, hostvars, groups, ["look"]))
    assert [p.problem for p in found] == [
        "the check broken cannot judge this inventory (ValueError)",
        "share kafka_node_id 1",
    ]


def test_all_problems_at_once_on_one_screen():
    """One run of the playbook's own task names three faults, fails, and touches no host."""
    faults = ["auth-pass-too-long", "node-id-twice", "variable-mistyped"]
    command = [str(Path(sys.executable).parent / "ansible-playbook"), str(Path(__file__).parent / "preflight_only.yml")]
    for source in ("sound", *(f"{fault}.yml" for fault in faults)):
        command += ["-i", str(FAULTS / source)]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    shown = done.stdout + done.stderr
    assert "no host was touched" in shown
    for fault in faults:
        assert EXPECTED[fault].problem in shown
    assert "BLUEKING" not in shown
