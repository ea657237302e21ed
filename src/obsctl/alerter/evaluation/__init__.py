"""When a rule's condition starts and when it has ended: pure, lines and moments in, transitions out.

:mod:`~obsctl.alerter.evaluation.engine` decides, and each :mod:`~obsctl.alerter.evaluation.watched_rule` has windows by
key. Lines that were counted before do not pass :mod:`~obsctl.alerter.evaluation.deduplication`,
:mod:`~obsctl.alerter.evaluation.event_clock` says how far event time has come, and
:mod:`~obsctl.alerter.evaluation.line_sample` keeps lines for what a message says of them.
"""
