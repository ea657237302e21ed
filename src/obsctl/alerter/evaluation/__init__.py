"""When a rule's condition starts and when it has ended: pure; lines and times in, transitions out.

:mod:`~obsctl.alerter.evaluation.engine` decides, and each :mod:`~obsctl.alerter.evaluation.watched_rule` has windows by
key. :mod:`~obsctl.alerter.evaluation.deduplication` drops lines that were counted before,
:mod:`~obsctl.alerter.evaluation.event_clock` says how far event time has advanced, and
:mod:`~obsctl.alerter.evaluation.line_sample` keeps recent lines, of which messages show the most frequent values.
"""
