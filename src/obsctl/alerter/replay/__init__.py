"""What rules would have sent, for ``obsctl alert rules replay``; not part of the running alerter.

:mod:`~obsctl.alerter.replay.from_files` and :mod:`~obsctl.alerter.replay.from_topics` yield the lines
(:mod:`~obsctl.alerter.replay.topic_plan` says of which records), and :mod:`~obsctl.alerter.replay.run` runs the engine
and the stages over them.
"""
