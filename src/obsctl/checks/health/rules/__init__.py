"""The rules for what `health` itself queries: a module for each subject, a pure function for each rule.

The VIP, the cluster, the shippers and the clocks have their own rules, which :mod:`obsctl.checks.health.judge`
combines with these.
"""
