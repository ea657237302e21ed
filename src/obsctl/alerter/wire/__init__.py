"""Tests of rules with real requests: which requests make a condition true, and how their lines are evaluated
separately from real traffic.

:mod:`~obsctl.alerter.wire.plan` says which requests a rule needs, :mod:`~obsctl.alerter.wire.fitting` finds one that a
filter matches, and :mod:`~obsctl.alerter.wire.runs` is the alerter's part.
"""
