"""Lines from Kafka: which log of a topic is read and from where, its records, and each record as a line.

:mod:`~obsctl.alerter.input.topic_follower` decides, with what :mod:`~obsctl.alerter.input.topic_probe` hears from the
cluster; :mod:`~obsctl.alerter.input.record_source` reads one log. :mod:`obsctl.lines.line_reader` turns a record into
what rules look at.
"""
