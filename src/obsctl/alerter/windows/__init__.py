"""What rules look at: a line, the numbers of a moment, and both counted by time for one rule and key.

:mod:`~obsctl.alerter.windows.window` holds the counts of lines, :mod:`~obsctl.alerter.windows.number_series` the
numbers of ``metric`` rules. Nothing here knows a rule.
"""
