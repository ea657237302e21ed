"""What rules evaluate: a line, the metrics at one moment, and both over time for one rule and key.

:mod:`~obsctl.alerter.windows.window` holds the counts of lines, :mod:`~obsctl.alerter.windows.number_series` the
numbers of ``metric`` rules. Nothing here depends on rules.
"""
