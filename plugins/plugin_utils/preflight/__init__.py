# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""The rules that find why an inventory cannot work: small pure functions, one module per subject.

``model`` holds what a rule is given and what it returns, ``look`` what a host reports about itself, ``rules`` the
ordered list of all rules. ``plugins/action/fleet_preflight.py`` gathers the data; nothing here contacts a host.
"""
