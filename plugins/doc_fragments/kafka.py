# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""The options of each module that asks a Kafka cluster; ``plugins/module_utils/kafka_options.py`` declares them."""

from __future__ import annotations


class ModuleDocFragment:
    """A module takes it by ``extends_documentation_fragment: obscraft.fleet.kafka``; what it says itself wins."""

    DOCUMENTATION = r"""
options:
  bootstrap:
    description:
      - Brokers as C(host:port), or C(SSL://host:port) for a listener with TLS, asked one after the other until one
        answers.
      - To change something, name a listener where this host may administer.
    type: list
    elements: str
    required: true
  tls:
    description:
      - The PEM files of TLS, for addresses that begin with C(SSL://); C(ca_file) holds the certificates that are
        trusted, C(certificate_file) and C(key_file) are the host's own.
    type: dict
    suboptions:
      ca_file:
        description: Certificates of the authorities.
        type: path
        required: true
      certificate_file:
        description: Own certificate with its chain.
        type: path
      key_file:
        description: Its key, not encrypted.
        type: path
  timeout:
    description: Seconds to keep trying, for example until a quorum leader is known or enough brokers are registered.
    type: int
    default: 60
"""
