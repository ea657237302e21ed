"""Tests of rules with real requests: the requests that make a condition true, and the evaluation of their lines
apart from real traffic.

:mod:`~obsctl.alerter.wire.plan` says which requests a rule needs, :mod:`~obsctl.alerter.wire.fitting` finds one that a
filter matches, and :mod:`~obsctl.alerter.wire.runs` is the alerter's part.
"""
