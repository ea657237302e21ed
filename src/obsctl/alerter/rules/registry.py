"""Which kinds of rules there are."""

from __future__ import annotations

from obsctl.alerter import rules
from obsctl.alerter.kinds import Kinds
from obsctl.alerter.rules.rule import Rule

KINDS = Kinds(rules, Rule)
