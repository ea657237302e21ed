"""What can be wrong with what `health` itself asks: a module for each subject, a pure function for each rule.

The VIP, the cluster, the shippers and the clocks have rules of their own, which :mod:`obsctl.checks.health.judge` puts
together with these.
"""
