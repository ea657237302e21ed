# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""What makes an inventory unable to work: small pure rules, one module a subject.

``model`` holds what a rule may know and what it answers, ``look`` what a host says about itself, ``rules`` the ordered
list of all rules. ``plugins/action/fleet_preflight.py`` gathers; nothing here asks a host.
"""
