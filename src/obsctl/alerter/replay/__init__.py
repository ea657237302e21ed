"""What rules would have sent: ``obsctl alert rules replay``, no part of the running alerter.

:mod:`~obsctl.alerter.replay.from_files` and :mod:`~obsctl.alerter.replay.from_topics` give the lines (of which records,
says :mod:`~obsctl.alerter.replay.topic_plan`), :mod:`~obsctl.alerter.replay.run` has the engine and the stages go
through them.
"""
