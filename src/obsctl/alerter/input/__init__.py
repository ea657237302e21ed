"""Reads lines from Kafka.

:mod:`~obsctl.alerter.input.topic_follower` decides which log of a topic is read and from which offset, by what
:mod:`~obsctl.alerter.input.topic_probe` learns from the cluster; :mod:`~obsctl.alerter.input.record_source` reads the
records of one log. :mod:`obsctl.lines.line_reader` turns a record into a line as rules see it.
"""
